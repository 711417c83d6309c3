"""An RT-DETR or D-FINE detector of transformers as the ONNX graph that Vigil's family `detr` loads.

    python detr.py --checkpoint PekingU/rtdetr_r18vd --output FOLDER
                   [--size 640] [--cache FOLDER]

The checkpoint is a folder or the name of one on the hub: RT-DETR, its second version, or D-FINE.
FOLDER gets model.onnx, which takes any batch of pictures of SIZE x SIZE pixels:

- pixel_values (batch x 3 x SIZE x SIZE, RGB in 0..1) -> logits (batch x queries x classes),
  pred_boxes (batch x queries x 4: centre x, centre y, width, height in 0..1)

What the graph finds is compared with what torch finds, as detections: the network chooses its
queries by their scores, so that a last digit may exchange two of them, which changes nothing. Only
float32 is written: in float16 and int8 networks with random weights choose other queries, and
whether trained ones do is for somebody to see who can fetch some. For classes other than COCO's the statement that registers the model is printed. The last line on
standard error says what went wrong, when something did.
"""

import sys

import environment

PINS = """\
torch==2.4.1
torchvision==0.19.1
transformers==5.1.0
numpy==1.26.4
onnx==1.16.2
onnxruntime==1.19.2
"""

KINDS = ("rt_detr", "rt_detr_v2", "d_fine")
INPUT, LOGITS, BOXES = "pixel_values", "logits", "pred_boxes"

# Of the most confident detections, a sixth of as many as there are queries, this share has a partner
# among torch's at least: of the same class, with an IoU of .95 and a confidence within .02.
COMPARED = 1 / 6
AGREEMENT = 0.98


def main():
    parser = environment.export_parser(__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=640, help="the side of the picture, pixels")
    arguments = parser.parse_args()
    if arguments.size <= 0 or arguments.size % 32:
        sys.exit(f"error: the size {arguments.size} is no multiple of 32")
    if arguments.precision != "float32":
        sys.exit(f"error: these networks are written in float32 only, not in {arguments.precision}")
    environment.ensure(arguments.cache, PINS)
    import transformers

    transformers.logging.disable_progress_bar()
    config = settings(transformers, arguments)
    [model] = environment.load(
        arguments.checkpoint, Kind(transformers.AutoModelForObjectDetection, config)
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "model.onnx"
    write(model.eval(), path, arguments.size)
    same, compared = check(model, path, arguments.size)
    print(f"{same} of {compared} detections are torch's")
    if same < AGREEMENT * compared:
        sys.exit(f"error: only {same} of {compared} detections are torch's")
    labels = [model.config.id2label[index] for index in range(model.config.num_labels)]
    if not is_coco(labels):
        print(
            f"CREATE MODEL name TYPE detector FROM '{path.resolve()}'\n"
            f"    WITH (family = 'detr', labels = '{', '.join(labels).replace(chr(39), 2 * chr(39))}');"
        )


class Kind:
    """A class of transformers with settings of its own, as `environment.load` asks it."""

    def __init__(self, kind, config):
        self.kind, self.config = kind, config

    def from_pretrained(self, checkpoint):
        # The exporter of torch 2.4 does not know the fused attention.
        return self.kind.from_pretrained(
            checkpoint, config=self.config, attn_implementation="eager"
        )


def settings(transformers, arguments):
    """The checkpoint's settings, for pictures of the size; ends the script for other networks."""
    try:
        config = transformers.AutoConfig.from_pretrained(arguments.checkpoint)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        sys.exit(f"error: the checkpoint {arguments.checkpoint} could not be loaded: {reason}")
    if config.model_type not in KINDS:
        sys.exit(f"error: a {config.model_type} is none of {', '.join(KINDS)}")
    # Where its places are computed beforehand, they are those of this size.
    config.anchor_image_size = None
    config.eval_size = None
    return config


def write(model, path, size):
    """Writes the graph, with an open number of pictures."""
    import torch

    class Outputs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, pixels):
            found = self.model(pixels)
            return found.logits, found.pred_boxes

    axes = {name: {0: "batch"} for name in (INPUT, LOGITS, BOXES)}
    pictures = torch.rand(2, 3, size, size)
    environment.export(Outputs(), [pictures], [INPUT], [LOGITS, BOXES], axes, path, opset=16)


def check(model, path, size):
    """How many of the graph's detections are among torch's, and of how many, in three made-up
    pictures alone and together; ends the script unless the graph has the family's tensors."""
    import numpy as np
    import torch

    session = environment.session(path)
    names = [tensor.name for tensor in session.get_inputs() + session.get_outputs()]
    if names != [INPUT, LOGITS, BOXES]:
        sys.exit(f"error: the graph has the tensors {names}")
    pixels = pictures(size)
    with torch.no_grad():
        expected = model(torch.from_numpy(pixels))
    expected = list(zip(expected.logits.numpy(), expected.pred_boxes.numpy()))
    together = list(zip(*session.run(None, {INPUT: pixels})))
    alone = [
        tuple(output[0] for output in session.run(None, {INPUT: pixels[at : at + 1]}))
        for at in range(len(pixels))
    ]
    same = compared = 0
    for found in (together, alone):
        for of_graph, of_torch in zip(found, expected):
            if not all(np.isfinite(numbers).all() for numbers in of_graph):
                sys.exit("error: the graph gives numbers that are none")
            best = detections(*of_graph)
            best = best[: max(1, round(len(best) * COMPARED))]
            others = detections(*of_torch)
            same += sum(has_partner(one, others) for one in best)
            compared += len(best)
    return same, compared


def pictures(size):
    """Waves, noise and rectangles: batch x 3 x size x size in 0..1."""
    import numpy as np

    random = np.random.default_rng(0)
    channel, y, x = np.ogrid[:3, :size, :size]
    waves = ((x * x * 3 + x * y * 5 + y * y * 7) // 64 + x * (channel + 1) + channel * 61) % 256
    noise = random.integers(0, 256, (3, size, size))
    shapes = np.full((3, size, size), 128)
    for _ in range(12):
        left, top = random.integers(0, size * 3 // 4, 2)
        wide, high = random.integers(size // 16, size // 3, 2)
        shapes[:, top : top + high, left : left + wide] = random.integers(0, 256, (3, 1, 1))
    return (np.stack([waves, noise, shapes]) / 255).astype(np.float32)


def detections(logits, boxes):
    """(class, confidence, box) of the pairs of query and class, the most confident first, as many as
    there are queries."""
    import numpy as np

    confidences = 1 / (1 + np.exp(-logits.astype(np.float64)))
    order = np.argsort(-confidences.ravel(), kind="stable")[: len(boxes)]
    classes = logits.shape[1]
    return [
        (int(at % classes), float(confidences.ravel()[at]), boxes[at // classes]) for at in order
    ]


def has_partner(one, others):
    kind, confidence, box = one
    return any(
        kind == other_kind and abs(confidence - other) <= 0.02 and iou(box, other_box) >= 0.95
        for other_kind, other, other_box in others
    )


def iou(one, other):
    (x, y, w, h), (other_x, other_y, other_w, other_h) = one, other
    across = min(x + w / 2, other_x + other_w / 2) - max(x - w / 2, other_x - other_w / 2)
    down = min(y + h / 2, other_y + other_h / 2) - max(y - h / 2, other_y - other_h / 2)
    shared = max(across, 0) * max(down, 0)
    return shared / max(w * h + other_w * other_h - shared, 1e-12)


def is_coco(labels):
    return len(labels) == 80 and (labels[0], labels[79]) == ("person", "toothbrush")


if __name__ == "__main__":
    main()
