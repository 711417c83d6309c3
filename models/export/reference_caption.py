"""Writes the captions of photos, greedy and with 5 beams, for the tests to compare with.

    python reference_caption.py SHARED > ../tests/fixtures/captions.json

SHARED is the folder with models/ and data/. Needs numpy, pillow and onnxruntime. The picture is
prepared as by transformers' BlipImageProcessor and the search is the one of its `generate` with
early_stopping=True, written again in numpy.

JPEG decoders differ by a step in a hundredth of the pixels, and the small captioner can change its
mind over that. A caption that such noise changes says nothing about the search and is left out.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

START, END = 30522, 102
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
MAX_LENGTH = 50
COCO_PHOTOS = 8
NOISY_COPIES = 8


class Model:
    """The two graphs."""

    def __init__(self, folder):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        load = lambda name: onnxruntime.InferenceSession(
            str(folder / name), options, ["CPUExecutionProvider"]
        )
        self.encoder, self.decoder = load("vision_encoder.onnx"), load("text_decoder.onnx")

    def encode(self, rgb):
        picture = Image.fromarray(rgb).resize((384, 384), Image.BICUBIC)
        pixels = (np.asarray(picture, np.float32) / 255 - MEAN) / DEVIATION
        pixels = pixels.transpose(2, 0, 1)[None].astype(np.float32)
        return self.encoder.run(None, {"pixel_values": pixels})[0]

    def log_probabilities(self, sequences, states):
        """Of the next token, for each sequence."""
        ids = np.array(sequences, np.int64)
        logits = self.decoder.run(
            None,
            {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "encoder_hidden_states": np.repeat(states, len(sequences), 0),
            },
        )[0][:, -1].astype(np.float64)
        logits -= logits.max(1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def greedy(model, states):
    sequence = [START]
    while len(sequence) < MAX_LENGTH:
        token = int(model.log_probabilities([sequence], states)[0].argmax())
        if token == END:
            break
        sequence.append(token)
    return sequence[1:]


def beam_search(model, states, beams, penalty=1.0):
    sequences = [[START]] * beams
    # As in transformers, the first step counts one of the equal beams only.
    scores = np.array([0.0] + [-1e9] * (beams - 1))
    hypotheses = []
    length = 1
    while length < MAX_LENGTH and len(hypotheses) < beams:
        totals = (model.log_probabilities(sequences, states) + scores[:, None]).ravel()
        vocabulary = len(totals) // beams
        top = np.argsort(-totals, kind="stable")[: 2 * beams]
        next_sequences, next_scores = [], []
        for rank, flat in enumerate(top):
            beam, token = divmod(int(flat), vocabulary)
            if token == END:
                if rank < beams:
                    hypotheses.append((totals[flat] / length**penalty, sequences[beam]))
            else:
                next_sequences.append(sequences[beam] + [token])
                next_scores.append(totals[flat])
            if len(next_sequences) == beams:
                break
        sequences, scores = next_sequences, np.array(next_scores)
        length += 1
    if len(hypotheses) < beams:
        for sequence, score in zip(sequences, scores):
            hypotheses.append((score / (len(sequence) - 1) ** penalty, sequence))
    return max(hypotheses, key=lambda hypothesis: hypothesis[0])[1][1:]


def with_noise(rgb, seed):
    """The pixels as another decoder might have read them."""
    random = np.random.default_rng(seed)
    steps = random.integers(-2, 3, rgb.shape) * (random.random(rgb.shape) < 0.02)
    return np.clip(rgb.astype(int) + steps, 0, 255).astype(np.uint8)


def text_of(tokens, vocabulary):
    text = " ".join(vocabulary[token] for token in tokens if token < len(vocabulary))
    return text.replace(" ##", "").replace(" .", ".").replace(" ,", ",").rstrip(". ")


def main():
    shared = Path(sys.argv[1])
    folder, data = shared / "models" / "caption-standin", shared / "data"
    model = Model(folder)
    vocabulary = (folder / "vocab.txt").read_text().splitlines()
    photos = sorted((data / "photos").glob("*.jpg"))
    photos += sorted((data / "coco" / "images").glob("*.jpg"))[:COCO_PHOTOS]
    lines = []
    for photo in photos:
        rgb = np.asarray(Image.open(photo).convert("RGB"))
        copies = [rgb] + [with_noise(rgb, seed) for seed in range(NOISY_COPIES)]
        states = [model.encode(copy) for copy in copies]
        for beams in (1, 5):
            search = greedy if beams == 1 else lambda m, s: beam_search(m, s, beams)
            captions = [search(model, of_copy) for of_copy in states]
            tokens = captions[0]
            if any(other != tokens for other in captions):
                continue
            row = {
                "image": str(photo.relative_to(data)),
                "beams": beams,
                "tokens": tokens,
                "text": text_of(tokens, vocabulary),
            }
            lines.append("  " + json.dumps(row))
    print("[\n" + ",\n".join(lines) + "\n]")


if __name__ == "__main__":
    main()
