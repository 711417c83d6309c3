"""Tiny sentence embedders with random weights, and what transformers makes of some texts with them.

    python tiny_embedders.py --output FOLDER

FOLDER gets tiny-mpnet (MPNet with WordPiece), tiny-multilingual (BERT with Unigram, as the
multilingual MiniLM) and tiny-bpe (BERT with byte-pair encoding), each with model.onnx (and
model_fp16.onnx, the same in float16), tokenizer.json and vectors.json: texts, their token counts and the mean of their tokens' vectors.
"""

import argparse
import json
import pathlib

import environment
import sentences

MAX_TOKENS = 24
SENTENCES = [
    "A man is riding a bicycle on the street.",
    "two people are standing next to a red bus",
    "Ein Hund läuft über die grüne Wiese.",
    "une femme avec un parapluie blanc attend à la gare",
    "Несколько машин стоят перед домом",
    "一个人在街上骑自行车",
    "الكلب يجري في الحديقة",
    "several cars are parked in front of the house, and a dog sleeps",
]
TEXTS = [
    *SENTENCES,
    "",
    "  people  ",
    "Ünïcode, ÉMOJI 🚲 and punctuation?!",
    "a dog runs across the grass while a child throws a red ball " * 5,
    "street\n\ttabs\u00a0and\u3000spaces",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--cache", default=environment.cache_folder())
    arguments = parser.parse_args()
    environment.ensure(arguments.cache)
    import torch
    from transformers import BertConfig, BertModel, MPNetConfig, MPNetModel

    sizes = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, "max_position_embeddings": 64,
    }
    for name, words, kind, config in (
        ("tiny-mpnet", wordpiece(), MPNetModel, MPNetConfig),
        ("tiny-multilingual", unigram(), BertModel, BertConfig),
        ("tiny-bpe", byte_pairs(), BertModel, BertConfig),
    ):
        torch.manual_seed(3)
        pad = words.token_to_id("<pad>")
        model = kind(config(vocab_size=words.get_vocab_size(), pad_token_id=pad, **sizes)).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 2:
                    parameter.normal_(0, 1.2 / parameter.shape[1] ** 0.5)
        write(model, words, arguments.output / name)


def specials(words):
    """Special tokens around a text, as XLM-RoBERTa and MPNet have them."""
    from tokenizers.processors import TemplateProcessing

    ids = [(token, words.token_to_id(token)) for token in ("<s>", "</s>")]
    words.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=ids)
    words.enable_padding(pad_id=words.token_to_id("<pad>"), pad_token="<pad>")
    return words


SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def wordpiece():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    words = Tokenizer(models.WordPiece(unk_token="<unk>"))
    words.normalizer = normalizers.BertNormalizer(lowercase=True)
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=220, special_tokens=SPECIAL, show_progress=False
    )
    words.train_from_iterator(SENTENCES, trainer)
    return specials(words)


def unigram():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    words = Tokenizer(models.Unigram())
    words.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=240, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False
    )
    words.train_from_iterator(SENTENCES, trainer)
    return specials(words)


def byte_pairs():
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    words.train_from_iterator(SENTENCES, trainer)
    return specials(words)


def write(model, words, folder):
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    sentences.write(model, folder / "model.onnx")
    sentences.write(model, folder / "model_fp16.onnx", "float16")
    words.save(str(folder / "tokenizer.json"))
    words.no_padding()
    words.enable_truncation(MAX_TOKENS)
    rows = []
    for text in TEXTS:
        ids = words.encode(text.strip()).ids
        with torch.no_grad():
            states = model(torch.tensor([ids])).last_hidden_state[0]
        vector = [round(float(value), 6) for value in states.mean(0)]
        rows.append("  " + json.dumps({"text": text, "tokens": len(ids), "vector": vector}))
    (folder / "vectors.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


if __name__ == "__main__":
    main()
