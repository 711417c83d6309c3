"""A cross-encoder of transformers as the ONNX graph and tokenizer that Vigil's `rerank` loads.

    python cross_encoder.py --checkpoint cross-encoder/ms-marco-MiniLM-L-6-v2 --output FOLDER
                            [--precision float32|float16|int8] [--cache FOLDER]

The checkpoint is a folder or the name of one on the hub, of a BERT that gives a pair of texts one
score. FOLDER gets

- model.onnx: input_ids, attention_mask, token_type_ids -> logits (pairs x 1)
- tokenizer.json

and what the graph gives is compared with torch. The last line on standard error says what went
wrong, when something did.
"""

import sys

import environment

NAMES = ["input_ids", "attention_mask", "token_type_ids"]


def main():
    arguments = environment.export_arguments(__doc__.splitlines()[0])
    environment.ensure(arguments.cache)
    import transformers

    model, tokenizer = environment.load(
        arguments.checkpoint,
        transformers.AutoModelForSequenceClassification,
        transformers.AutoTokenizer,
    )
    if model.config.model_type != "bert" or model.config.num_labels != 1 or not tokenizer.is_fast:
        sys.exit(f"error: a {model.config.model_type} of {model.config.num_labels} labels is no "
                 "BERT that gives one score")
    arguments.output.mkdir(parents=True, exist_ok=True)
    graph = arguments.output / "model.onnx"
    write(model.eval(), graph, arguments.precision)
    tokenizer.backend_tokenizer.save(str(arguments.output / "tokenizer.json"))
    environment.judge(check(model, graph, tokenizer), arguments.precision)


def write(model, path, precision="float32"):
    """Writes the graph, with open numbers of pairs and tokens."""
    import torch

    class Scores(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids, mask, types):
            given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
            return self.model(**given, return_dict=True).logits

    ids = torch.full((2, 7), 5)
    inputs = [ids, torch.ones_like(ids), torch.zeros_like(ids)]
    axes = {name: {0: "pairs", 1: "tokens"} for name in NAMES} | {"logits": {0: "pairs"}}
    environment.export(Scores(), inputs, NAMES, ["logits"], axes, path, precision)


def check(model, path, tokenizer):
    """The largest relative difference of the graph's output from torch's, on two pairs of which one
    is padded."""
    import numpy as np
    import torch

    questions, texts = ["who crosses the street?"] * 2, ["Two people cross the street.", "a dog"]
    tokens = tokenizer(questions, texts, padding=True, return_tensors="np")
    feed = {name: tokens[name].astype(np.int64) for name in NAMES}
    with torch.no_grad():
        inputs = {name: torch.from_numpy(array) for name, array in feed.items()}
        logits = model(**inputs, return_dict=True).logits
    return environment.difference(environment.run(path, feed)[0], logits)


if __name__ == "__main__":
    main()
