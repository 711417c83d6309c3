"""A tiny YOLOv8 of Ultralytics' own architecture, and what Ultralytics' predictor finds with it.

    python tiny_ultralytics.py --output FOLDER

FOLDER gets model.onnx, as `yolov8.py` exports it (open batch, height and width), and
detections.json: for pictures of waves of some sizes, the boxes of `YOLO.predict`, which letterboxes,
runs, decodes and suppresses. The weights are random and have 16 bits, and so are stored; the graph
computes in float32.

A fresh network finds nothing: normalisation is fitted to noise, and the last layers speak loudly
enough that boxes of many sizes and scores from 0 to 1 come out.
"""

import argparse
import json
import pathlib
import shutil
import tempfile

import environment
import yolov8

SEED = 5
SIDE = 128
LABELS = 3
SIZES = [(128, 128), (200, 120), (90, 240), (64, 40), (321, 199), (500, 333)]
CONFIDENCE = 0.3
IOU = 0.45

# YOLOv8's layers (ultralytics/cfg/models/v8/yolov8.yaml) with few channels.
ARCHITECTURE = """\
nc: 3
depth_multiple: 0.33
width_multiple: 0.03125
backbone:
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, Conv, [128, 3, 2]]
  - [-1, 3, C2f, [128, True]]
  - [-1, 1, Conv, [256, 3, 2]]
  - [-1, 6, C2f, [256, True]]
  - [-1, 1, Conv, [512, 3, 2]]
  - [-1, 6, C2f, [512, True]]
  - [-1, 1, Conv, [1024, 3, 2]]
  - [-1, 3, C2f, [1024, True]]
  - [-1, 1, SPPF, [1024, 5]]
head:
  - [-1, 1, nn.Upsample, [None, 2, "nearest"]]
  - [[-1, 6], 1, Concat, [1]]
  - [-1, 3, C2f, [512]]
  - [-1, 1, nn.Upsample, [None, 2, "nearest"]]
  - [[-1, 4], 1, Concat, [1]]
  - [-1, 3, C2f, [256]]
  - [-1, 1, Conv, [256, 3, 2]]
  - [[-1, 12], 1, Concat, [1]]
  - [-1, 3, C2f, [512]]
  - [-1, 1, Conv, [512, 3, 2]]
  - [[-1, 9], 1, Concat, [1]]
  - [-1, 3, C2f, [1024]]
  - [[15, 18, 21], 1, Detect, [nc]]
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--cache", default=environment.cache_folder())
    arguments = parser.parse_args()
    environment.ensure(arguments.cache, yolov8.PINS)
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "model.onnx"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = tiny(folder)
        # Before the export, which changes the model.
        found = {f"{width}x{height}": rows(model, width, height) for width, height in SIZES}
        exported = model.export(format="onnx", imgsz=SIDE, dynamic=True, simplify=False)
        shutil.move(exported, path)
    narrow(path)
    worst = yolov8.check(model, path, LABELS, SIDE)
    print(f"largest relative difference from torch: {worst:.1e}")
    print(f"boxes: {', '.join(f'{size} {len(boxes)}' for size, boxes in found.items())}")
    lines = [f'  "{size}": {json.dumps(boxes)}' for size, boxes in found.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (arguments.output / "detections.json").write_text(text)


def tiny(folder):
    import torch
    from ultralytics import YOLO

    torch.manual_seed(SEED)
    described = folder / "tiny.yaml"
    described.write_text(ARCHITECTURE)
    model = YOLO(described, task="detect")
    network = model.model
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() == 4 and ".dfl." not in name:
                parameter.normal_(0, 1.5 / parameter[0].numel() ** 0.5)
        # The first picture's statistics alone, not a running mean of them and the defaults.
        norms = [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        network.train()
        network(torch.rand(4, 3, SIDE, SIDE))
        network.eval()
        head = network.model[-1]
        for boxes, scores in zip(head.cv2, head.cv3):
            boxes[-1].weight.mul_(2.0)
            boxes[-1].bias.zero_()
            scores[-1].weight.mul_(2.5)
            scores[-1].bias.fill_(-2.0)
        # What is stored is what computes.
        network.fuse()
        for parameter in network.parameters():
            parameter.copy_(parameter.half().float())
    model.ckpt_path = network.pt_path = str(folder / "model.pt")
    return model


def rows(model, width, height):
    """What Ultralytics finds in waves: rows of class, confidence and corners in pixels."""
    import numpy as np

    rgb = waves(width, height)
    [found] = model.predict(
        np.ascontiguousarray(rgb[:, :, ::-1]), imgsz=SIDE, conf=CONFIDENCE, iou=IOU,
        max_det=300, verbose=False, save=False,
    )
    boxes = found.boxes
    return [
        [int(class_id), round(float(score), 5), *(round(float(value), 3) for value in box)]
        for box, score, class_id in zip(boxes.xyxy, boxes.conf, boxes.cls)
    ]


def waves(width, height):
    """A picture of waves; tests/detection.rs draws the same."""
    import numpy as np

    y, x, channel = np.ogrid[:height, :width, :3]
    values = (x * x * 3 + x * y * 5 + y * y * 7) // 64 + x * (channel + 1) + channel * 61
    return (values % 256).astype(np.uint8)


def narrow(path):
    """Stores the weights in 16 bits, each with a cast behind it."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = onnx.load(str(path))
    casts = []
    for weights in graph.graph.initializer:
        array = numpy_helper.to_array(weights)
        if array.dtype != np.float32 or array.size < 64:
            continue
        half = array.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), array):
            continue
        name = weights.name
        stored = numpy_helper.from_array(half, f"{name}.half")
        weights.CopyFrom(stored)
        casts.append(helper.make_node("Cast", [stored.name], [name], to=TensorProto.FLOAT))
    nodes = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend(casts + nodes)
    for node in graph.graph.node:
        node.doc_string = ""
    del graph.metadata_props[:]
    onnx.save(graph, str(path))


if __name__ == "__main__":
    main()
