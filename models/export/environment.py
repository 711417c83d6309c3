"""What the export scripts share: a Python with the libraries, and ONNX files in three precisions.

A script that needs torch and transformers calls `ensure`. Where the running Python has them in the
versions that the scripts know, that is used; else an environment of its own is made below the cache
folder (`VIGIL_CACHE`, else `vigil` in the user's cache folder) and the script runs again in it. Its
name has a digest of the pinned versions, and it is marked when it is complete. A torch that the
running Python has already (Debian's python3-torch) is used there, which spares several GB.

What the scripts have in common beside that, their arguments and the comparison with torch, is here
too.
"""

import argparse

import hashlib
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import venv

PINS = """\
torch==2.4.1
transformers==4.44.2
tokenizers==0.19.1
numpy==1.26.4
onnx==1.16.2
onnxruntime==1.19.2
pillow==10.4.0
"""

PRECISIONS = ["float32", "float16", "int8"]

# A protobuf message has 2 GiB at most; weights past this lie in a file beside the graph.
EXTERNAL_BYTES = 1_900_000_000

# For scripts that write a graph by themselves.
ONNX_PINS = """\
numpy==1.26.4
onnx==1.16.2
protobuf==5.29.5
"""


# Largest difference of a graph's output from torch's, over the largest value there.
TOLERANCE = {"float32": 2e-4, "float16": 5e-2, "int8": 0.5}


def export_arguments(description):
    """What every script that exports a checkpoint takes."""
    return export_parser(description).parse_args()


def export_parser(description):
    """The same, for a script that takes more."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--checkpoint", required=True, help="a folder, or a name on the hub")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="the folder to write")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--cache", default=cache_folder(), help="where environments lie")
    return parser


def load(checkpoint, *kinds):
    """What each of transformers' classes makes of a checkpoint; ends the script when one cannot."""
    import transformers

    transformers.logging.set_verbosity_error()
    print(f"loading {checkpoint}", flush=True)
    try:
        return [kind.from_pretrained(checkpoint) for kind in kinds]
    except OSError as error:
        reason = " ".join(str(error).split())
        sys.exit(f"error: the checkpoint {checkpoint} could not be loaded: {reason}")


def run(path, feed):
    """The outputs of a graph on the CPU."""
    return session(path).run(None, feed)


def session(path):
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def difference(found, expected):
    """The largest difference from torch's tensor, over the largest value there."""
    import numpy as np

    expected = expected.numpy()
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def judge(worst, precision):
    """Ends the script when a graph differs too much from torch."""
    print(f"largest relative difference from torch: {worst:.1e}")
    if not worst <= TOLERANCE[precision]:
        sys.exit(f"error: the graphs differ from torch by {worst:.1e}")


def cache_folder():
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("VIGIL_CACHE") or pathlib.Path(home) / "vigil")


def ensure(cache, pins=PINS):
    """Returns in a Python that has the libraries; otherwise runs the script again in one."""
    if has_libraries() if pins == PINS else all(importable(name) for name in modules_of(pins)):
        return
    if os.environ.get("VIGIL_EXPORT_INSIDE"):
        sys.exit("error: the environment is not complete; remove it and try again")
    # A torch that is there already goes with its own torchvision.
    kept = [name for name in ("torch", "torchvision") if importable(name)]
    lines = [line for line in pins.splitlines(True) if line.split("==")[0] not in kept]
    python = environment(pathlib.Path(cache) / "export", "".join(lines), pins != "".join(lines))
    variables = {"VIGIL_EXPORT_INSIDE": "1", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [python, *sys.argv]
    sys.exit(subprocess.run(command, env=os.environ | variables, check=False).returncode)


def modules_of(pins):
    """The modules that the pinned packages give, where they are named alike."""
    names = [line.split("==")[0] for line in pins.split()]
    return [name for name in names if name not in ("pillow", "protobuf")]


def has_libraries():
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import torch  # noqa: F401
        import transformers
    except ImportError:
        return False
    # Later ones hold the keys and values of past tokens in other ways.
    version = tuple(int(part) for part in transformers.__version__.split(".")[:2])
    return (4, 40) <= version <= (4, 46)


def importable(module):
    return importlib.util.find_spec(module) is not None


def environment(folder, pins, with_own_packages=False):
    """The Python of the environment with the pinned versions, made when it is not there; it may see
    the packages of the Python that makes it."""
    version = "{}.{}".format(*sys.version_info)
    digest = hashlib.sha256(pins.encode()).hexdigest()[:8]
    names = [line.split("==")[0] for line in pins.split()]
    kinds = [kind for kind in ("ultralytics", "transformers", "onnx") if kind in names]
    place = folder / f"{kinds[0]}-py{version}-{digest}"
    if not (place / "complete").exists():
        size = "several GB" if "torch" in names else "some 100 MB"
        names = ", ".join(names)
        print(f"making an environment in {place} with {names} ({size}, once)", flush=True)
        shutil.rmtree(place, ignore_errors=True)
        try:
            venv.create(
                place, with_pip=True, symlinks=True, system_site_packages=with_own_packages
            )
        except subprocess.CalledProcessError:
            sys.exit("error: this Python cannot make an environment with pip (Debian: python3-venv)")
        listed = place / "pins.txt"
        listed.write_text(pins)
        pip = [place / "bin/python", "-m", "pip", "install", "--quiet", "--no-input"]
        pip += ["--disable-pip-version-check", "--progress-bar", "off", "--only-binary", ":all:"]
        if subprocess.run([*pip, "-r", listed], check=False).returncode != 0:
            sys.exit(f"error: pip could not install {', '.join(pins.split())} for Python {version}")
        (place / "complete").touch()
    return place / "bin/python"


def export(module, inputs, names, outputs, axes, path, precision="float32", opset=14):
    """Writes a torch module as an ONNX graph: `inputs` are example tensors with `names`, `axes`
    gives names to open dimensions."""
    import onnx
    import torch

    path = pathlib.Path(path)
    scratch = path.with_name(path.name + ".scratch")
    scratch.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        torch.onnx.export(
            module.eval(),
            tuple(inputs),
            str(scratch / "graph.onnx"),
            input_names=names,
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=opset,
            do_constant_folding=True,
        )
    save(onnx, plain(convert(scratch, precision)), path)
    shutil.rmtree(scratch)


def plain(graph):
    """The graph without the paths of the exporter's source, which do not belong into a fixture."""
    for node in graph.graph.node:
        node.doc_string = ""
    return graph


def convert(scratch, precision):
    """The graph in `scratch` with its weights in a precision; inputs and outputs stay float32.

    In int8, what a transformer multiplies with is quantised channel by channel, to seven bits, and the
    convolution that cuts a picture into patches is left alone: in eight bits the sums of two products
    do not fit the instructions of processors without VNNI, which cut them off. A network of
    convolutions has those quantised, to unsigned numbers: ONNX Runtime's CPU has no convolution of
    signed ones.
    """
    import onnx

    source = scratch / "graph.onnx"
    if precision == "int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic

        target = scratch / "int8.onnx"
        kinds = [node.op_type for node in onnx.load(str(source), load_external_data=False).graph.node]
        if kinds.count("Conv") > kinds.count("MatMul"):
            options = {"weight_type": QuantType.QUInt8, "op_types_to_quantize": ["Conv"]}
        else:
            options = {
                "weight_type": QuantType.QInt8, "op_types_to_quantize": ["MatMul", "Gather"],
                "per_channel": True, "reduce_range": True, "extra_options": {"MatMulConstBOnly": True},
            }
        quantize_dynamic(str(source), str(target), **options)
        return onnx.load(str(target))
    graph = onnx.load(str(source))
    if precision == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        graph = convert_float_to_float16(graph, keep_io_types=True)
    return graph


def save(onnx, graph, path):
    path.unlink(missing_ok=True)
    data = path.with_name(path.name + ".data")
    data.unlink(missing_ok=True)
    if graph.ByteSize() < EXTERNAL_BYTES:
        onnx.save(graph, str(path))
        return
    onnx.save_model(
        graph, str(path), save_as_external_data=True, all_tensors_to_one_file=True,
        location=data.name, size_threshold=1024,
    )
