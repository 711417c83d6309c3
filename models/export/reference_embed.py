"""Writes the vectors of some sentences, for models/tests/models.rs to compare with.

    python reference_embed.py SHARED > ../tests/fixtures/embeddings.json

SHARED is the folder with models/. Needs numpy, tokenizers and onnxruntime. Each sentence is run
alone, cut at 256 tokens: mean over its tokens, then length 1.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

SENTENCES = [
    "two people walking together",
    "a man rides a bike. Detected objects: 1 bicycle, 2 cars, and 3 persons",
    "A bus is parked on the street.",
    "people",
    "Ünïcode, ÉMOJI 🚲 and punctuation?!",
    "",
    "a dog runs across the grass while a child throws a red ball " * 40,
]


def main():
    folder = Path(sys.argv[1]) / "models" / "all-minilm-l6-v2-int8"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, ["CPUExecutionProvider"]
    )
    lines = []
    for sentence in SENTENCES:
        encoding = tokenizer.encode(sentence)
        ids = np.array([encoding.ids], np.int64)
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        mean = session.run(None, inputs)[0][0].mean(0)
        vector = [round(float(value), 6) for value in mean / np.linalg.norm(mean)]
        lines.append("  " + json.dumps({"text": sentence, "tokens": len(encoding.ids), "vector": vector}))
    print("[\n" + ",\n".join(lines) + "\n]")


if __name__ == "__main__":
    main()
