"""Graphs of a few hundred bytes with YOLOv8's tensors, for models/tests/detection.rs.

    python tiny_yolo.py ../tests/fixtures/tiny-yolo

Each takes 64 x 64 pixels and has one convolution of random weights: 4 rows of box and 2 classes for
each of 64 anchors. `model.onnx` is float32, `half.onnx` the same in float16, `batch2.onnx` takes
two pictures a run and no other number, `nan.onnx` gives a NaN for each score. Needs numpy and onnx.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROWS = 6


def graph(kind, batch, not_a_number=False):
    random = np.random.default_rng(5)
    weights = random.normal(0, 0.05, (ROWS, 3, 8, 8))
    bias = np.array([32, 32, 20, 20, 0.5, 0.5])
    weights[:4] *= 20
    number = helper.tensor_dtype_to_np_dtype(kind)
    # A logarithm of what is below zero is no number.
    last = "Log" if not_a_number else "Abs"
    scale = np.where(np.arange(ROWS) < 4, 1, -1 if not_a_number else 1).reshape(1, ROWS, 1)
    constants = {
        "weights": weights,
        "bias": bias,
        "scale": scale,
    }
    nodes = [
        helper.make_node("Conv", ["images", "weights", "bias"], ["cells"], strides=[8, 8]),
        helper.make_node("Reshape", ["cells", "shape"], ["anchors"]),
        helper.make_node("Abs", ["anchors"], ["positive"]),
        helper.make_node("Mul", ["positive", "scale"], ["signed"]),
        helper.make_node(last, ["signed"], ["output0"]),
    ]
    initializers = [
        numpy_helper.from_array(np.asarray(value, number), name)
        for name, value in constants.items()
    ]
    shape = np.array([0, ROWS, -1], np.int64)
    initializers.append(numpy_helper.from_array(shape, "shape"))
    inputs = [helper.make_tensor_value_info("images", kind, [batch, 3, 64, 64])]
    outputs = [helper.make_tensor_value_info("output0", kind, [batch, ROWS, 64])]
    made = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    onnx.save(graph(TensorProto.FLOAT, "batch"), folder / "model.onnx")
    onnx.save(graph(TensorProto.FLOAT16, "batch"), folder / "half.onnx")
    onnx.save(graph(TensorProto.FLOAT, 2), folder / "batch2.onnx")
    onnx.save(graph(TensorProto.FLOAT, "batch", not_a_number=True), folder / "nan.onnx")


if __name__ == "__main__":
    main()
