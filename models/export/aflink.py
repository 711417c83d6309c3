"""AFLink as ONNX, from the checkpoint that StrongSORT's authors publish.

    python aflink.py --checkpoint AFLink_epoch20.pth --output FOLDER

Writes FOLDER/model.onnx: `earlier` and `later`, each batch x 1 x 30 x 3 (frame, left, top, made
ready as models/src/linker/aflink.rs does it), to `linked`, batch x 2 probabilities, of which the second
is that of one object. The graph is compared with torch before the script ends. Then

    CREATE MODEL aflink TYPE linker FROM 'FOLDER/model.onnx';
    CREATE SOURCE ... WITH (tracker = 'strongsort', link_model = 'aflink');

The network is that of the paper (Du et al., "StrongSORT: make DeepSORT great again", 2023, section
3.4): for each track four convolutions over time with a normalisation for each of the three columns,
one over the columns, a mean, and two layers that see both. Modules have the checkpoint's names.
"""

import sys

from environment import difference, ensure, export, export_arguments, judge, run

PLACES = 30
WIDTHS = (32, 64, 128, 256)


def network(widths=WIDTHS):
    """The network with random weights; narrower ones are for tests."""
    import torch
    from torch import nn

    class Temporal(nn.Module):
        def __init__(self, before, after):
            super().__init__()
            self.conv = nn.Conv2d(before, after, (7, 1), bias=False)
            self.bnf, self.bnx, self.bny = (nn.BatchNorm1d(after) for _ in range(3))

        def forward(self, x):
            frame, left, top = self.conv(x).unbind(dim=3)
            columns = [self.bnf(frame), self.bnx(left), self.bny(top)]
            return torch.relu(torch.stack(columns, dim=3))

    class Fusion(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.conv = nn.Conv2d(width, width, (1, 3), bias=False)
            self.bn = nn.BatchNorm2d(width)

        def forward(self, x):
            return torch.relu(self.bn(self.conv(x)))

    class Classifier(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.fc1 = nn.Linear(2 * width, width // 2)
            self.fc2 = nn.Linear(width // 2, 2)

        def forward(self, x):
            return self.fc2(torch.relu(self.fc1(x)))

    class PostLinker(nn.Module):
        def __init__(self):
            super().__init__()
            steps = list(zip((1, *widths), widths))
            self.TemporalModule_1 = nn.Sequential(*(Temporal(*step) for step in steps))
            self.TemporalModule_2 = nn.Sequential(*(Temporal(*step) for step in steps))
            self.FusionBlock_1, self.FusionBlock_2 = Fusion(widths[-1]), Fusion(widths[-1])
            self.classifier = Classifier(widths[-1])

        def forward(self, earlier, later):
            earlier = self.FusionBlock_1(self.TemporalModule_1(earlier)).mean(dim=(2, 3))
            later = self.FusionBlock_2(self.TemporalModule_2(later)).mean(dim=(2, 3))
            return torch.softmax(self.classifier(torch.cat([earlier, later], dim=1)), dim=1)

    return PostLinker().eval()


def write(model, path):
    """Writes the graph, and gives its largest relative difference from torch."""
    import torch

    names, outputs = ["earlier", "later"], ["linked"]
    generator = torch.Generator().manual_seed(1)
    pairs = [torch.rand((5, 1, PLACES, 3), generator=generator) * 2 - 1 for _ in names]
    axes = {name: {0: "batch"} for name in [*names, *outputs]}
    export(model, pairs, names, outputs, axes, path)
    with torch.no_grad():
        expected = model(*pairs)
    (found,) = run(path, {name: pair.numpy() for name, pair in zip(names, pairs)})
    return difference(found, expected)


def main():
    arguments = export_arguments(__doc__.splitlines()[0])
    if arguments.precision != "float32":
        sys.exit("error: the network is small; it is written as float32 alone")
    ensure(arguments.cache)
    import torch

    model = network()
    state = torch.load(arguments.checkpoint, map_location="cpu", weights_only=True)
    missing = model.load_state_dict(state.get("state_dict", state), strict=False)
    if missing.missing_keys or missing.unexpected_keys:
        sys.exit(f"error: {arguments.checkpoint} is no AFLink: {missing}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    judge(write(model.eval(), arguments.output / "model.onnx"), arguments.precision)


if __name__ == "__main__":
    main()
