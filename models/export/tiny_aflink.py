"""A narrow AFLink with random weights as ONNX, and what torch says of pairs of tracks.

    python tiny_aflink.py ../tests/fixtures/tiny-aflink

Writes `model.onnx` and `links.json`: pairs of tracks, each a list of frame, left and top, with the
probability that they are one object. Numbers are made ready as StrongSORT's authors do it. Needs
torch, onnx, onnxruntime and numpy.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from aflink import PLACES, network, write


def prepared(earlier, later):
    """Both tracks at the network's length, with zeros where they are shorter, and in -1..1."""
    earlier, later = earlier[-PLACES:], later[:PLACES]
    earlier = np.concatenate([np.zeros((PLACES - len(earlier), 3)), earlier])
    later = np.concatenate([later, np.zeros((PLACES - len(later), 3))])
    both = np.concatenate([earlier, later])
    most, least = both.max(axis=0), both.min(axis=0)
    ready = [(track - (most + least) / 2) / ((most - least) / 2 + 1e-5) for track in (earlier, later)]
    return [torch.tensor(track, dtype=torch.float32)[None, None] for track in ready]


def walk(random, frame, count):
    """A track from a frame on, which misses one frame in eight."""
    place, speed = random.uniform(0, 1000, 2), random.normal(0, 4, 2)
    frames = [frame + step for step in range(2 * count) if random.uniform() > 1 / 8][:count]
    return [[float(f), *np.round(place + (f - frame) * speed + random.normal(0, 1, 2), 2)] for f in frames]


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(4)
    model = network((4, 6, 8, 10))
    # Fresh layers say nearly the same of every pair; wider weights and statistics tell them apart.
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.2, 1.0)
            elif name.endswith("running_mean"):
                tensor.normal_(0, 0.2)
            elif tensor.dim() > 1:
                tensor.normal_(0, 1.6 / tensor[0].numel() ** 0.5)
    worst = write(model, folder / "model.onnx")
    assert worst < 1e-5, worst
    random = np.random.default_rng(9)
    pairs = []
    lengths = [(30, 30), (30, 10), (5, 10), (50, 40), (12, 30), (1, 1), (29, 31), (8, 64)]
    for start, (before, after) in zip([1, 300, 20, 90_000, 7, 1, 1500, 12], lengths):
        earlier = walk(random, start, before)
        later = walk(random, int(earlier[-1][0]) + int(random.integers(1, 30)), after)
        with torch.no_grad():
            linked = model(*prepared(np.array(earlier), np.array(later)))
        pairs.append({"earlier": earlier, "later": later, "probability": float(linked[0, 1])})
    (folder / "links.json").write_text(json.dumps(pairs, indent=None) + "\n")
    print([round(pair["probability"], 3) for pair in pairs])


if __name__ == "__main__":
    main()
