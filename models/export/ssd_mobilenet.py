"""TensorFlow's SSD MobileNet v2 (2018-03-29, COCO) as ONNX.

    python ssd_mobilenet.py --input frozen_inference_graph.pb --output model.onnx [--cache FOLDER]

TensorFlow and tf2onnx are needed once and by nothing else, so the script makes an environment of
its own for them below FOLDER (`VIGIL_CACHE`, else `vigil` in the user's cache folder) and runs
itself again in it. An environment is marked when it is complete, so a broken one is made anew;
its name has a digest of the pinned versions, so another set of pins is another environment.

The graph that comes out is checked before it gets its name: one input of type uint8, N x H x W x 3,
and four outputs of type float. Its bytes differ between machines (see models/manifest.toml).

The last line on standard error says what went wrong, when something did.
"""

import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import venv

# One set for Python 3.10 to 3.13, tried with each; where no set fits, pip says so.
PINS = """\
tensorflow-cpu==2.20.0
tf2onnx==1.17.0
onnx==1.19.1
numpy==2.2.6
protobuf==6.33.0
ml-dtypes==0.5.3
"""

INPUT = "image_tensor:0"
OUTPUTS = ["num_detections:0", "detection_boxes:0", "detection_scores:0", "detection_classes:0"]
OPSET = 13


def main():
    arguments = parse_arguments()
    if not arguments.inside:
        sys.exit(run_inside(arguments))
    graph = convert(arguments.input)
    check(graph)
    partial = arguments.output.with_name(arguments.output.name + ".tmp")
    partial.write_bytes(graph.SerializeToString())
    os.replace(partial, arguments.output)
    print(f"{arguments.output}: inputs and outputs are as expected")


def parse_arguments():
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    cache = os.environ.get("VIGIL_CACHE") or pathlib.Path(home) / "vigil"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=pathlib.Path, required=True, help="the frozen graph, .pb")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="the ONNX file to write")
    parser.add_argument("--cache", type=pathlib.Path, default=cache, help="where environments lie")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def run_inside(arguments):
    """Runs this script in its own environment and gives its exit status."""
    python = environment(arguments.cache / "export")
    command = [python, __file__, "--inside", "--input", arguments.input]
    command += ["--output", arguments.output]
    # The same order of sets each time, no graphics card, no log of TensorFlow's own.
    variables = {"PYTHONHASHSEED": "0", "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(command, env=os.environ | variables, check=False).returncode


def environment(folder):
    """The Python of the environment with the pinned versions, made when it is not there."""
    version = "{}.{}".format(*sys.version_info)
    digest = hashlib.sha256(PINS.encode()).hexdigest()[:8]
    place = folder / f"ssd-mobilenet-py{version}-{digest}"
    if not (place / "complete").exists():
        print(f"making an environment with TensorFlow in {place} (about 1.6 GB, once)", flush=True)
        shutil.rmtree(place, ignore_errors=True)
        try:
            venv.create(place, with_pip=True, symlinks=True)
        except subprocess.CalledProcessError:
            sys.exit("error: this Python cannot make an environment with pip (Debian: python3-venv)")
        pins = place / "pins.txt"
        pins.write_text(PINS)
        pip = [place / "bin/python", "-m", "pip", "install", "--quiet", "--no-input"]
        pip += ["--disable-pip-version-check", "--progress-bar", "off", "--only-binary", ":all:"]
        status = subprocess.run([*pip, "-r", pins], check=False).returncode
        if status != 0:
            sys.exit(f"error: pip could not install {', '.join(PINS.split())} for Python {version}")
        (place / "complete").touch()
    return place / "bin/python"


def convert(path):
    """The ONNX graph of the frozen TensorFlow graph at `path`."""
    import logging

    import tensorflow as tf
    import tf2onnx

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    print("converting the graph; this takes a minute or two", flush=True)
    frozen = tf.compat.v1.GraphDef()
    frozen.ParseFromString(path.read_bytes())
    graph, _ = tf2onnx.convert.from_graph_def(
        frozen, input_names=[INPUT], output_names=OUTPUTS, opset=OPSET
    )
    return graph


def check(model):
    """Exits unless the graph has the tensors of the detector family `ssd`."""
    import onnx

    onnx.checker.check_model(model)
    found = [(value.name, *shape(value)) for value in (*model.graph.input, *model.graph.output)]
    uint8, float32 = onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT
    expected = [(INPUT, uint8, 4), *zip(OUTPUTS, [float32] * 4, [1, 3, 2, 2])]
    if found != expected:
        sys.exit(f"error: the graph has the tensors {found}, expected {expected}")


def shape(value):
    """The element type and the number of dimensions of a graph's input or output."""
    tensor = value.type.tensor_type
    return tensor.elem_type, len(tensor.shape.dim)


if __name__ == "__main__":
    main()
