"""A sentence embedder of transformers as the ONNX graph and tokenizer that Vigil loads.

    python sentences.py --checkpoint sentence-transformers/all-mpnet-base-v2 --output FOLDER
                        [--precision float32|float16|int8] [--cache FOLDER]

The checkpoint is a folder or the name of one on the hub, of a BERT or an MPNet whose tokens' mean is
the sentence's vector. FOLDER gets

- model.onnx: input_ids, attention_mask and, for BERT, token_type_ids -> last_hidden_state
- tokenizer.json

and what the graph gives is compared with torch. The last line on standard error says what went
wrong, when something did.
"""

import sys

import environment

KINDS = ["bert", "mpnet"]


def main():
    arguments = environment.export_arguments(__doc__.splitlines()[0])
    environment.ensure(arguments.cache)
    import transformers

    model, tokenizer = environment.load(
        arguments.checkpoint, transformers.AutoModel, transformers.AutoTokenizer
    )
    if model.config.model_type not in KINDS or not tokenizer.is_fast:
        sys.exit(f"error: a {model.config.model_type} is none of {', '.join(KINDS)}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    graph = arguments.output / "model.onnx"
    write(model.eval(), graph, arguments.precision)
    tokenizer.backend_tokenizer.save(str(arguments.output / "tokenizer.json"))
    environment.judge(check(model, graph, tokenizer), arguments.precision)


def has_types(model):
    return model.config.model_type == "bert"


def write(model, path, precision="float32"):
    """Writes the graph, with open numbers of texts and tokens."""
    import torch

    class States(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *inputs):
            return self.model(*inputs, return_dict=True).last_hidden_state

    names = ["input_ids", "attention_mask"] + (["token_type_ids"] if has_types(model) else [])
    ids = torch.full((2, 7), 5)
    inputs = [ids, torch.ones_like(ids)] + ([torch.zeros_like(ids)] if has_types(model) else [])
    axes = {name: {0: "batch", 1: "tokens"} for name in [*names, "last_hidden_state"]}
    environment.export(States(), inputs, names, ["last_hidden_state"], axes, path, precision)


def check(model, path, tokenizer):
    """The largest relative difference of the graph's output from torch's, on two texts of which one
    is padded."""
    import numpy as np
    import torch

    texts = ["Two people walk across the street.", "a dog"]
    tokens = tokenizer(texts, padding=True, return_tensors="np")
    feed = {name: tokens[name].astype(np.int64) for name in ["input_ids", "attention_mask"]}
    if has_types(model):
        feed["token_type_ids"] = np.zeros_like(feed["input_ids"])
    with torch.no_grad():
        inputs = {name: torch.from_numpy(array) for name, array in feed.items()}
        states = model(**inputs, return_dict=True).last_hidden_state
    seen = torch.from_numpy(feed["attention_mask"])[:, :, None]
    found = environment.run(path, feed)[0]
    return environment.difference(found * seen.numpy(), states * seen)


if __name__ == "__main__":
    main()
