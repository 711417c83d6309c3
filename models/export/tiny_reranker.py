"""A tiny cross-encoder with random weights, and what ONNX Runtime makes of some pairs with it.

    python tiny_reranker.py --output FOLDER

FOLDER gets model.onnx, tokenizer.json and scores.json: a question, texts and their logits. The
network has a cross-encoder's interface and little else: tokens and the two types are looked up,
mixed by one head of attention over the tokens that are there, and the first one is read out.
Needs `onnx`, `onnxruntime`, `tokenizers` and `numpy`.
"""

import argparse
import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

SIZE = 16
QUESTION = "a red truck on the street"
TEXTS = [
    "A red truck drives down a street .",
    "two dogs run in the snow",
    "",
    "A man in a red shirt stands next to a truck and waits for somebody on the other street " * 3,
    "Ünïcode 🚚 truck?!",
]


def words():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=120, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    )
    tokenizer.train_from_iterator([QUESTION, *TEXTS], trainer)
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    return tokenizer


def graph(vocabulary):
    random = np.random.default_rng(5)
    weights = {
        "words": random.normal(0, 1, (vocabulary, SIZE)),
        "types": random.normal(0, 1, (2, SIZE)),
        "query": random.normal(0, 0.1, (SIZE, SIZE)),
        "key": random.normal(0, 0.1, (SIZE, SIZE)),
        "read": random.normal(0, 1, (SIZE, 1)),
        "one": np.array(1.0),
        "far": np.array(-1e4),
    }
    nodes = [
        ("Gather", ["words", "input_ids"], "by_word"),
        ("Gather", ["types", "token_type_ids"], "by_type"),
        ("Add", ["by_word", "by_type"], "tokens"),
        ("MatMul", ["tokens", "query"], "queries"),
        ("MatMul", ["tokens", "key"], "keys"),
        ("Transpose", ["keys"], "turned", {"perm": [0, 2, 1]}),
        ("MatMul", ["queries", "turned"], "products"),
        ("Cast", ["attention_mask"], "there", {"to": TensorProto.FLOAT}),
        ("Sub", ["one", "there"], "absent"),
        ("Mul", ["absent", "far"], "penalty"),
        ("Unsqueeze", ["penalty", "middle"], "penalties"),
        ("Add", ["products", "penalties"], "masked"),
        ("Softmax", ["masked"], "attention", {"axis": -1}),
        ("MatMul", ["attention", "tokens"], "mixed"),
        ("Gather", ["mixed", "first"], "summary", {"axis": 1}),
        ("Tanh", ["summary"], "bent"),
        ("MatMul", ["bent", "read"], "logits"),
    ]
    made = [
        helper.make_node(node[0], node[1], [node[2]], **(node[3] if len(node) > 3 else {}))
        for node in nodes
    ]
    constants = [
        numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()
    ]
    constants.append(numpy_helper.from_array(np.array([1], dtype=np.int64), "middle"))
    constants.append(numpy_helper.from_array(np.array(0, dtype=np.int64), "first"))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1])
    made = helper.make_graph(made, "tiny-reranker", inputs, [output], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = words()
    tokenizer.save(str(folder / "tokenizer.json"))
    model = graph(tokenizer.get_vocab_size())
    onnx.checker.check_model(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    tokenizer.enable_truncation(48)
    scores = []
    for text in TEXTS:
        pair = tokenizer.encode(QUESTION, text.strip())
        feed = {
            "input_ids": [pair.ids],
            "attention_mask": [pair.attention_mask],
            "token_type_ids": [pair.type_ids],
        }
        (logits,) = session.run(None, {name: np.array(v, np.int64) for name, v in feed.items()})
        scores.append(float(logits[0, 0]))
    written = {"question": QUESTION, "texts": TEXTS, "scores": scores}
    (folder / "scores.json").write_text(json.dumps(written, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
