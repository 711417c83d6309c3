"""A YOLOv8 or YOLO11 detector of Ultralytics as ONNX, with the manifest entry that names it.

    python yolov8.py yolov8s --models FOLDER [--size 640] [--half] [--int8]

Ultralytics fetches the published weights (AGPL-3.0) of that name, or reads a .pt file of yours. The
graph goes to FOLDER/<name>/model.onnx and the entry is printed: add it to FOLDER/manifest.toml. The
graph takes any batch and any height and width that are multiples of 32, so that each stream has
the input with the least padding; with --half it is float16, with --int8 its weights are int8.
Needs ultralytics (8.3 or later), onnx and onnxruntime from PyPI.

The graph is checked before the entry is printed: `images` batch x 3 x H x W, `output0` batch x
(4 + classes) x anchors, and it runs.
"""

import argparse
import hashlib
import pathlib
import shutil
import sys

ENTRY = """\
[[model]]
name = "{name}"
version = "1"
task = "detector"
family = "yolov8"
description = "{stem}, exported from Ultralytics' weights, {precision}"
licence = "AGPL-3.0"
input = [{size}, {size}]
labels = {labels}

[[model.file]]
name = "model.onnx"
sha256 = "{sha256}"
bytes = {bytes}
precision = "{precision}"
"""


def main():
    arguments = parse_arguments()
    from ultralytics import YOLO

    weights = arguments.weights
    model = YOLO(weights if weights.endswith((".pt", ".yaml")) else f"{weights}.pt")
    if model.task != "detect":
        sys.exit(f"error: {weights} is for the task {model.task}, not for detection")
    # Ultralytics exports float16 on a GPU only; here the float32 graph is converted.
    exported = model.export(format="onnx", imgsz=arguments.size, dynamic=True, simplify=False)
    stem = pathlib.Path(weights).stem
    precision = "float16" if arguments.half else "int8" if arguments.int8 else "float32"
    name = stem if precision == "float32" else f"{stem}-{precision}"
    path = arguments.models / name / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    convert(pathlib.Path(exported), path, precision)
    labels = [model.names[index] for index in sorted(model.names)]
    check(path, len(labels), arguments.size)
    print(
        ENTRY.format(
            name=name,
            stem=stem,
            size=arguments.size,
            precision=precision,
            labels='"coco80"' if is_coco(labels) else toml_list(labels),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            bytes=path.stat().st_size,
        )
    )


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", help="yolov8n … yolov8x, yolo11n … yolo11x, or a .pt file")
    parser.add_argument("--models", type=pathlib.Path, required=True, help="the models folder")
    parser.add_argument("--size", type=int, default=640, help="the longer side, pixels")
    parser.add_argument("--half", action="store_true", help="float16")
    parser.add_argument("--int8", action="store_true", help="weights in int8, activations as they come")
    arguments = parser.parse_args()
    if arguments.half and arguments.int8:
        parser.error("--half and --int8 are two precisions")
    return arguments


def convert(source, target, precision):
    """Writes the graph in a precision."""
    if precision == "float32":
        shutil.move(source, target)
    elif precision == "float16":
        import onnx
        from onnxconverter_common import float16

        onnx.save(float16.convert_float_to_float16(onnx.load(source)), target)
    else:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(source, target, weight_type=QuantType.QUInt8)


def check(path, classes, size):
    """Exits unless the graph has the tensors of the family `yolov8` and runs."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    [images], [output] = session.get_inputs(), session.get_outputs()
    kind = np.float16 if "float16" in images.type else np.float32
    found = session.run(None, {images.name: np.zeros((1, 3, size // 2 // 32 * 32, size), kind)})[0]
    names = (images.name, output.name)
    if names != ("images", "output0") or found.shape[1] != 4 + classes:
        sys.exit(f"error: the graph has the tensors {names}, {found.shape}")


def is_coco(labels):
    return len(labels) == 80 and (labels[0], labels[79]) == ("person", "toothbrush")


def toml_list(labels):
    return "[" + ", ".join('"' + label.replace('"', '\\"') + '"' for label in labels) + "]"


if __name__ == "__main__":
    main()
