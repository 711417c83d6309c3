"""A YOLOv8 or YOLO11 detector of Ultralytics as the ONNX graph that Vigil loads.

    python yolov8.py --checkpoint yolov8s --output FOLDER
                     [--precision float32|float16|int8] [--size 640] [--cache FOLDER]

The checkpoint is the name of published weights (AGPL-3.0), which Ultralytics fetches from the
releases of its GitHub repository `assets`, or a .pt file of yours, or a .yaml file for random
weights. FOLDER gets model.onnx. The graph takes any batch and any height and width that are
multiples of 32, so that each stream has the input with the least padding.

The graph is checked: `images` batch x 3 x H x W, `output0` batch x (4 + classes) x anchors, and its
boxes are compared with torch's. For weights of your own the statement that registers them is
printed. The last line on standard error says what went wrong, when something did.
"""

import pathlib
import shutil
import sys
import tempfile

import environment

PINS = """\
torch==2.4.1
torchvision==0.19.1
ultralytics==8.3.40
numpy==1.26.4
onnx==1.16.2
onnxruntime==1.19.2
"""


def main():
    parser = environment.export_parser(__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=640, help="the longer side, pixels")
    arguments = parser.parse_args()
    environment.ensure(arguments.cache, PINS)
    from ultralytics import YOLO

    weights = arguments.checkpoint
    own = weights.endswith((".pt", ".yaml"))
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "model.onnx"
    with tempfile.TemporaryDirectory() as folder:
        try:
            # A name's weights are fetched into the folder that they are looked for in.
            model = YOLO(weights if own else pathlib.Path(folder) / f"{weights}.pt")
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            sys.exit(f"error: the weights {weights} could not be loaded: {reason}")
        if model.task != "detect":
            sys.exit(f"error: {weights} is for the task {model.task}, not for detection")
        if weights.endswith(".yaml"):
            # Without weights there is no file beside which the graph could go.
            model.ckpt_path = model.model.pt_path = str(pathlib.Path(folder) / "model.pt")
        exported = model.export(format="onnx", imgsz=arguments.size, dynamic=True, simplify=False)
        scratch = pathlib.Path(folder) / "scratch"
        scratch.mkdir()
        shutil.move(exported, scratch / "graph.onnx")
        graph = environment.convert(scratch, arguments.precision)
        import onnx

        environment.save(onnx, graph, path)
    labels = [model.names[index] for index in sorted(model.names)]
    environment.judge(check(model, path, len(labels), arguments.size), arguments.precision)
    if own:
        listed = "coco80" if is_coco(labels) else ", ".join(labels)
        print(
            f"CREATE MODEL name TYPE detector FROM '{path.resolve()}'\n"
            f"    WITH (family = 'yolov8', labels = '{listed.replace(chr(39), 2 * chr(39))}');"
        )


def check(model, path, classes, size):
    """The largest difference of the graph's output from torch's, on noise, over the largest value
    there, of boxes and of the scores' logits each for itself; ends the script unless the graph has
    the tensors of the family `yolov8`."""
    import numpy as np
    import torch

    session = environment.session(path)
    [images], [output] = session.get_inputs(), session.get_outputs()
    random = np.random.default_rng(0)
    pixels = random.random((1, 3, size // 2 // 32 * 32, size), np.float32)
    found = session.run(None, {images.name: pixels})[0]
    names = (images.name, output.name)
    if names != ("images", "output0") or found.shape[1] != 4 + classes:
        sys.exit(f"error: the graph has the tensors {names}, {found.shape}")
    with torch.no_grad():
        expected = model.model.float().eval()(torch.from_numpy(pixels))
    expected = expected[0] if isinstance(expected, (list, tuple)) else expected
    # Boxes are hundreds of pixels, and most scores near 0, where the sigmoids of the two differ most.
    def logits(scores):
        scores = np.clip(scores, 1e-4, 1 - 1e-4)
        return np.log(scores / (1 - scores))

    boxes = environment.difference(found[:, :4], expected[:, :4])
    scores = torch.from_numpy(logits(expected[:, 4:].numpy()))
    return max(boxes, environment.difference(logits(found[:, 4:]), scores))


def is_coco(labels):
    return len(labels) == 80 and (labels[0], labels[79]) == ("person", "toothbrush")


if __name__ == "__main__":
    main()
