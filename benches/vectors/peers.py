"""The peers of `make bench-vectors`: a line in, a line out, until the input ends.

    peers.py hnswlib FOLDER ROWS DIMENSIONS   `ids`, `seconds`
    peers.py numpy FOLDER ROWS DIMENSIONS     `seconds`
    peers.py postgres FOLDER                  one line: the address; it runs until the input ends
"""

import os
import sys
import time
from pathlib import Path

THREADS = 2
K = 10


def arrays(folder, rows, dimensions):
    import numpy

    def read(name):
        return numpy.fromfile(Path(folder) / name, dtype=numpy.float32).reshape(-1, dimensions)

    data = read("rows.f32")
    assert len(data) == rows, len(data)
    return data, read("queries.f32")


def hnswlib(folder, rows, dimensions):
    import hnswlib as library

    data, queries = arrays(folder, int(rows), int(dimensions))
    index = library.Index(space="cosine", dim=int(dimensions))
    index.init_index(max_elements=len(data), M=16, ef_construction=200)
    index.add_items(data, num_threads=THREADS)
    index.set_ef(100)
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        ids, _ = index.knn_query(queries, k=K, num_threads=1)
        seconds = time.perf_counter() - start
        if line.strip() == "ids":
            print(";".join(" ".join(map(str, row)) for row in ids), flush=True)
        else:
            print(seconds, flush=True)


def numpy(folder, rows, dimensions):
    data, queries = arrays(folder, int(rows), int(dimensions))
    print("ready", flush=True)
    for _ in sys.stdin:
        some = queries[:50]
        start = time.perf_counter()
        for query in some:
            data @ query
        print((time.perf_counter() - start) / len(some), flush=True)


def postgres(folder):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    from real_postgres import RealPostgres

    settings = ["shared_buffers=1GB", "max_parallel_workers=1", "max_worker_processes=4"]
    with RealPostgres(folder, settings) as server:
        print(server.address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(THREADS))
    os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
    {"hnswlib": hnswlib, "numpy": numpy, "postgres": postgres}[sys.argv[1]](*sys.argv[2:])
