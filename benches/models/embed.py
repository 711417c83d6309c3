"""The Python side of `embed_over_python`: sentences to vectors with onnxruntime and tokenizers.

    python embed.py MODEL_FOLDER CAPTIONS VECTORS THREADS

For each line on standard input all captions (a line each) are embedded, in batches of 32 in the
file's order, padded to the longest of their batch, as a user of the two libraries would write it;
the seconds that took are printed. The first time the vectors are written to VECTORS, as floats.
"""

import os
import pathlib
import sys
import time

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

BATCH = 32
MAX_TOKENS = 256


def main():
    folder, captions, vectors, threads = sys.argv[1:]
    # Tokenizing a batch takes as many threads as the network does.
    os.environ["RAYON_NUM_THREADS"] = threads
    captions = pathlib.Path(captions).read_text().split("\n")
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.enable_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    session = onnxruntime.InferenceSession(
        f"{folder}/model.onnx", options, providers=["CPUExecutionProvider"]
    )
    names = [one.name for one in session.get_inputs()]
    first = True
    for _ in sys.stdin:
        start = time.perf_counter()
        found = [
            embed(tokenizer, session, names, captions[at : at + BATCH])
            for at in range(0, len(captions), BATCH)
        ]
        seconds = time.perf_counter() - start
        if first:
            pathlib.Path(vectors).write_bytes(np.concatenate(found).astype("<f4").tobytes())
            first = False
        print(seconds, flush=True)


def embed(tokenizer, session, names, texts):
    encodings = tokenizer.encode_batch(texts)
    ids = np.array([encoding.ids for encoding in encodings], np.int64)
    mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    states = session.run(["last_hidden_state"], {name: feed[name] for name in names})[0]
    weights = mask[:, :, None].astype(np.float32)
    means = (states * weights).sum(1) / weights.sum(1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
