"""`make bench-wire`: Vigil's wire beside Debian's PostgreSQL 15, on the same machine in one run.

* `select1_over_postgres`: transactions a second of `SELECT 1`, prepared, one connection, by pgbench.
* `rows_over_postgres`: rows a second of a result of a million rows, streamed to psycopg in binary. Both
  have the same rows of `detections`, which a load generator has made.
* `connections_memory_kb`: what a connection takes of the server's memory, of 1,000 of which 500 query, while no source runs;
  `connections_errors` has to be 0.
* `cancel_ms`: the longest time from a cancel request to the error, over queries that keep the processors busy;
  `cancel_idle_ms`: until the server's threads have stopped working on them.
* `throughput_loss_over_cpu`: the share of frames that a source loses while 500 of 1,000 connections query, over the
  share of the processor's time that queries, wire and the clients here take of what server and clients use.
  Below 1 is good. The clients count as they run on the same processors: what they take, the source lacks.

`BENCH_PARTS=select1,rows,crowd,cancel` runs some of it. Sides are in turn A B A B; a figure is the median of the pairs' ratios. The machine drifts, so only ratios of
one run mean anything.
"""
import asyncio
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import psycopg

ROOT = pathlib.Path(__file__).resolve().parent.parent
POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")
VIGIL = os.environ.get("VIGIL_BIN", str(ROOT / "target/fast/vigil"))
PAIRS = int(os.environ.get("BENCH_PAIRS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "8"))
ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "1000"))
PARTS = os.environ.get("BENCH_PARTS", "select1,rows,crowd,cancel").split(",")
OBJECTS = 20
COLUMNS = "source, frame_number, ts, track_id, class_id, class_name, confidence, x1, y1, x2, y2"
TABLE = """CREATE TABLE detections (source text, frame_number bigint, ts timestamptz, track_id bigint,
    class_id integer, class_name text, confidence real, x1 real, y1 real, x2 real, y2 real)"""
ROWS_QUERY = f"SELECT {COLUMNS} FROM detections"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def note(text):
    print(text, file=sys.stderr, flush=True)


class Server:
    """A server that is started and stopped here."""

    def __init__(self, name, user, dbname):
        self.name, self.user, self.dbname = name, user, dbname
        self.port = free_port()

    def connect(self, **more):
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=self.user, dbname=self.dbname, autocommit=True, sslmode="disable", **more
        )

    def wait(self, process):
        for _ in range(600):
            try:
                self.connect().close()
                return
            except psycopg.Error:
                if process.poll() is not None:
                    raise SystemExit(f"{self.name} ended with {process.returncode}")
                time.sleep(0.1)
        raise SystemExit(f"{self.name} does not answer")

    def pgbench(self, folder):
        script = pathlib.Path(folder) / "select1.sql"
        script.write_text("SELECT 1;\n")
        script.chmod(0o644)
        output = subprocess.run(
            [POSTGRES / "pgbench", "--no-vacuum", "--protocol", "prepared", "--client", "1", "--time", str(SECONDS),
             "--file", script, "--host", "127.0.0.1", "--port", str(self.port), "--username", self.user, self.dbname],
            check=True, capture_output=True, text=True, env={**os.environ, "PGSSLMODE": "disable"},
        ).stdout
        return float(re.search(r"tps = ([0-9.]+)", output).group(1))

    def stream(self):
        with self.connect() as connection:
            cursor = connection.cursor(binary=True)
            start, count = time.perf_counter(), 0
            for _ in cursor.stream(f"{ROWS_QUERY} LIMIT {ROWS}", size=1000):
                count += 1
            took = time.perf_counter() - start
        if count != ROWS:
            raise SystemExit(f"{self.name} has {count} rows of {ROWS}")
        return count / took


class Postgres(Server):
    def __init__(self, folder):
        super().__init__("PostgreSQL", "postgres", "postgres")
        self.data = pathlib.Path(folder) / "postgres"
        self.data.mkdir()
        # PostgreSQL does not run as root.
        self.drop = []
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
            shutil.chown(self.data, "postgres")
            self.drop = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
        subprocess.run(
            [*self.drop, POSTGRES / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"],
            check=True, stdout=subprocess.DEVNULL, cwd="/",
        )
        self.process = subprocess.Popen(
            [*self.drop, POSTGRES / "postgres", "-D", self.data, "-p", str(self.port), "-k", "", "-c", "listen_addresses=127.0.0.1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
        )
        self.wait(self.process)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


class Vigil(Server):
    def __init__(self, folder):
        super().__init__("Vigil", "bench", "vigil")
        config = pathlib.Path(folder) / "vigil.toml"
        config.write_text(f"[limits]\nconnections = {CONNECTIONS + 50}\n")
        self.process = subprocess.Popen(
            [VIGIL, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", str(pathlib.Path(folder) / "vigil"), "--config", str(config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.wait(self.process)

    def memory_kb(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))

    def cpu(self):
        """Seconds of the processor: those of queries and wire, and all."""
        tick = os.sysconf("SC_CLK_TCK")
        asked = every = 0.0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            name = (task / "comm").read_text().strip()
            after = (task / "stat").read_text().rpartition(") ")[2].split()
            seconds = (int(after[11]) + int(after[12])) / tick
            every += seconds
            if name.startswith(("vigil-query", "tokio", "vigil-wire")):
                asked += seconds
        return asked, every

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


def fill(vigil, postgres):
    """The same million rows in both."""
    note(f"making {ROWS} rows")
    frames = ROWS // OBJECTS + 2
    with vigil.connect() as connection:
        connection.execute(
            f"CREATE SOURCE boxes FROM LOAD GENERATOR MOVING_BOXES (objects = {OBJECTS}, frames = {frames}, seed = 7) WITH (captioner = 'none', embedder = 'none')"
        )
        connection.execute("WAIT FOR SOURCE boxes TIMEOUT '30 minutes'")
        with postgres.connect() as other:
            other.execute(TABLE)
            with connection.cursor().copy(f"COPY ({ROWS_QUERY}) TO STDOUT (FORMAT binary)") as source:
                with other.cursor().copy(f"COPY detections ({COLUMNS}) FROM STDIN (FORMAT binary)") as target:
                    for block in source:
                        target.write(block)
            other.execute("VACUUM ANALYZE detections")


def in_turn(of_vigil, of_postgres, unit):
    ratios = []
    for pair in range(PAIRS):
        mine, theirs = of_vigil(), of_postgres()
        ratios.append(mine / theirs)
        note(f"  pair {pair + 1}: Vigil {mine:,.0f}, PostgreSQL {theirs:,.0f} {unit}")
    return statistics.median(ratios)


def crowd(vigil):
    """A thousand connections, half of which query: what memory they take, then what they take of a source
    that runs beside them. The source gets slower as its tables grow, so it is measured with silent
    and with asking connections in turn."""
    def frames_a_second(seconds):
        with vigil.connect() as connection:
            count = lambda: connection.execute(
                "SELECT frames_processed FROM vigil_catalog.source_statistics WHERE source = 'busy'"
            ).fetchone()[0]
            first, start = count(), time.perf_counter()
            time.sleep(seconds)
            return (count() - first) / (time.perf_counter() - start)

    with vigil.connect() as connection:
        connection.execute("DROP SOURCE IF EXISTS boxes")
    errors = 0

    async def main():
        nonlocal errors
        before = vigil.memory_kb()
        connections = []
        for _ in range(CONNECTIONS):
            connections.append(await psycopg.AsyncConnection.connect(
                host="127.0.0.1", port=vigil.port, user="bench", dbname="vigil", autocommit=True, sslmode="disable"))
        idle = (vigil.memory_kb() - before) / CONNECTIONS
        asked = 0

        async def ask(connection, stop):
            nonlocal asked, errors
            while not stop.is_set():
                try:
                    await connection.execute("SELECT state FROM vigil_catalog.sources")
                    asked += 1
                except psycopg.Error as error:
                    errors += 1
                    note(f"  {error}")
                    return
                await asyncio.sleep(0.5)

        async def beside(work):
            """What `work` gives while half of the connections ask."""
            stop = asyncio.Event()
            tasks = [asyncio.create_task(ask(connection, stop)) for connection in connections[: CONNECTIONS // 2]]
            await asyncio.sleep(2)
            outcome = await asyncio.to_thread(work)
            stop.set()
            await asyncio.gather(*tasks)
            return outcome

        def measured():
            cpu, of_clients = vigil.cpu(), time.process_time()
            frames = frames_a_second(SECONDS)
            after, of_clients = vigil.cpu(), time.process_time() - of_clients
            asking, server = after[0] - cpu[0], after[1] - cpu[1]
            return frames, asking, of_clients, server

        busy = (await beside(vigil.memory_kb) - before) / CONNECTIONS
        await connections[0].execute(
            f"CREATE SOURCE busy FROM LOAD GENERATOR MOVING_BOXES (objects = {OBJECTS}, frames = 100000000, seed = 7) WITH (captioner = 'none', embedder = 'none')"
        )
        await asyncio.sleep(2)
        ratios = []
        for pair in range(PAIRS):
            alone = await asyncio.to_thread(frames_a_second, SECONDS)
            asked = 0
            frames, asking, of_clients, server = await beside(measured)
            share = (asking + of_clients) / max(server + of_clients, 1e-9)
            ratios.append((1 - frames / alone) / max(share, 1e-9))
            note(f"  pair {pair + 1}: {asked} answers; {alone:,.0f} frames/s alone, {frames:,.0f} beside; queries and wire {asking:.2f} s and clients {of_clients:.2f} s of the {server + of_clients:.2f} s of the processor that server and clients used")
        for connection in connections:
            await connection.close()
        return idle, busy, statistics.median(ratios)

    idle, busy, loss = asyncio.run(main())
    return idle, busy, errors, loss


# Each of these runs for minutes, but for that of the catalog, which takes most of a second.
HEAVY = (
    "SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b WHERE (a * b) % 7 = 3",
    "SELECT count(*) FROM generate_series(1, 1000000000) a WHERE regexp_replace(a::text, '[13579]+', 'x') = 'x8x'",
    "SELECT n FROM generate_series(1, 20000000) n ORDER BY n * 7 % 1000003, n::text LIMIT 1 OFFSET 10000000",
    "SELECT n % 5000011 AS k, sum(n) FROM generate_series(1, 1000000000) n GROUP BY 1 ORDER BY 2 LIMIT 1",
    "SELECT n, repeat('x', 100) FROM generate_series(1, 1000000000) n",
    "SELECT count(*) FROM pg_attribute a, pg_attribute b WHERE a.attname || b.attname = 'x'",
)


def cancel(vigil):
    """How long a query that is busy goes on behind a cancel request."""
    longest = longest_busy = 0.0
    for sql in HEAVY:
        for wait in (0.1, 0.2, 0.3) if "pg_attribute" in sql else (0.3, 0.7, 1.1):
            with vigil.connect() as connection:
                def ask():
                    time.sleep(wait)
                    asked.append(time.perf_counter())
                    connection.cancel()

                asked = []
                thread = threading.Thread(target=ask)
                thread.start()
                try:
                    for _ in connection.cursor(binary=True).stream(sql, size=1000):
                        pass
                    raise SystemExit(f"was not canceled: {sql}")
                except psycopg.errors.QueryCanceled:
                    took = time.perf_counter() - asked[0]
                thread.join()
                before = vigil.cpu()[0]
                # A processor's clock ticks every 10 ms; idle is when it has not for 50 ms.
                while True:
                    time.sleep(0.05)
                    now = vigil.cpu()[0]
                    if now - before < 0.02:
                        break
                    before = now
                busy = time.perf_counter() - asked[0] - 0.05
            note(f"  {took * 1000:.1f} ms, idle after {busy * 1000:.0f} ms: {sql[:60]}")
            longest, longest_busy = max(longest, took), max(longest_busy, busy)
    return longest * 1000, longest_busy * 1000


def main():
    figures = []
    with tempfile.TemporaryDirectory(prefix="vigil-bench-") as folder:
        postgres, vigil = Postgres(folder), Vigil(folder)
        try:
            if "select1" in PARTS:
                note("SELECT 1, prepared, one connection")
                ratio = in_turn(lambda: vigil.pgbench(folder), lambda: postgres.pgbench(folder), "transactions/s")
                figures.append(("select1_over_postgres", ratio, "ratio"))
            if "cancel" in PARTS:
                note("cancel requests")
                error, idle = cancel(vigil)
                figures.append(("cancel_ms", error, "ms"))
                figures.append(("cancel_idle_ms", idle, "ms"))
            if "rows" in PARTS:
                fill(vigil, postgres)
                note(f"{ROWS} rows to psycopg, binary")
                ratio = in_turn(vigil.stream, postgres.stream, "rows/s")
                figures.append(("rows_over_postgres", ratio, "ratio"))
            if "crowd" in PARTS:
                note(f"{CONNECTIONS} connections, half of which query")
                idle, busy, errors, loss = crowd(vigil)
                figures.append(("connections_idle_kb", idle, "kB"))
                figures.append(("connections_memory_kb", busy, "kB"))
                figures.append(("connections_errors", errors, "errors"))
                figures.append(("throughput_loss_over_cpu", loss, "ratio"))
        finally:
            vigil.stop()
            postgres.stop()
    for name, value, unit in figures:
        print(f"figure {name} {value:.3f} {unit}")


main()
