"""A tiny BLIP with random weights, and what transformers' `generate` says about photos with it.

    python tiny_blip.py --output FOLDER [--layers 2] [--hidden 32] [--end 2.8] [--photos SHARED/data]

FOLDER gets the graphs of `blip.py`. With --photos it also gets captions.json: the token ids of
`generate`, greedy and with 5 beams, for photos of data/photos and data/coco/images; and
variants.json: those with other options, for a few.

The weights are larger than a fresh model's, so that captions differ from photo to photo and end at
different lengths. JPEG decoders differ by a step or two in up to a tenth of the values; a caption that such
noise changes says nothing about the search and is left out.
"""

import argparse
import json
import pathlib

import blip
import environment

SEED = 7
# How readily a sentence ends: the last token's bias. With much less none does before MAX_LENGTH.
END_BIAS = 2.8
WORDS = 160
START, END, PAD = 1, 2, 0
NOISY_COPIES = 8
PHOTOS = 40
MAX_LENGTH = 50


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--photos", type=pathlib.Path)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--end", type=float, default=END_BIAS)
    parser.add_argument("--precision", choices=environment.PRECISIONS, default="float32")
    parser.add_argument("--cache", default=environment.cache_folder())
    arguments = parser.parse_args()
    environment.ensure(arguments.cache)
    model = tiny(arguments.layers, arguments.hidden, arguments.seed, arguments.end)
    arguments.output.mkdir(parents=True, exist_ok=True)
    blip.write(model, arguments.output, arguments.precision)
    words = ["[PAD]", "[DEC]", "[SEP]"] + [f"word{index}" for index in range(3, WORDS)]
    (arguments.output / "vocab.txt").write_text("".join(f"{word}\n" for word in words))
    print(f"largest relative difference from torch: {blip.check(model, arguments.output):.1e}")
    if arguments.photos:
        rows = captions(model, arguments.photos)
        write_rows(rows, arguments.output / "captions.json")
        write_rows(variants(model, arguments.photos), arguments.output / "variants.json")


def write_rows(rows, path):
    path.write_text("[\n" + ",\n".join("  " + json.dumps(row) for row in rows) + "\n]\n")


def tiny(layers, hidden, seed, end):
    """The model: pictures of 384 x 384 in patches of 16, as many layers on both sides."""
    import torch
    import transformers

    torch.manual_seed(seed)
    text = {
        "vocab_size": WORDS, "hidden_size": hidden, "encoder_hidden_size": hidden,
        "intermediate_size": 2 * hidden, "num_hidden_layers": layers, "num_attention_heads": 4,
        "max_position_embeddings": 64, "bos_token_id": START, "sep_token_id": END,
        "eos_token_id": END, "pad_token_id": PAD, "hidden_act": "gelu",
    }
    vision = {
        "hidden_size": hidden, "intermediate_size": 2 * hidden, "num_hidden_layers": layers,
        "num_attention_heads": 4, "image_size": 384, "patch_size": 16,
    }
    config = transformers.BlipConfig(text_config=text, vision_config=vision, projection_dim=hidden)
    model = transformers.BlipForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "text_decoder" in name and parameter.dim() == 2:
                parameter.normal_(0, 1.6 / parameter.shape[1] ** 0.5)
            elif "vision_model" in name and parameter.dim() >= 2:
                parameter.normal_(0, 1.0 / parameter[0].numel() ** 0.5)
        decoder = model.text_decoder.bert
        # The picture speaks loudly enough to be heard among the words.
        for layer in decoder.encoder.layer:
            layer.crossattention.self.value.weight.mul_(1.4)
        decoder.embeddings.word_embeddings.weight.normal_(0, 1.0)
        decoder.embeddings.position_embeddings.weight.normal_(0, 1.2)
        head = model.text_decoder.cls.predictions
        # Not the words' own vectors, which would say each word again and again.
        head.decoder.weight = torch.nn.Parameter(torch.randn(WORDS, hidden) * 1.3 / hidden**0.5)
        # A sentence ends after some words; padding is never said.
        head.decoder.bias[END] = end
        head.decoder.bias[[PAD, START]] = -20.0
    return model


def captions(model, data):
    rows = []
    for name, pixels in pictures(data, PHOTOS):
        for beams in (1, 5):
            tokens = said(model, pixels, {"num_beams": beams, "max_length": MAX_LENGTH})
            if tokens:
                rows.append({"image": name, "beams": beams, "tokens": tokens})
    return rows


def variants(model, data):
    default = {"num_beams": 5, "length_penalty": 1.0, "early_stopping": True}
    default |= {"repetition_penalty": 1.0, "max_length": MAX_LENGTH}
    rows = []
    for change in (
        {"early_stopping": False},
        {"length_penalty": 0.0},
        {"length_penalty": 2.0, "early_stopping": False, "num_beams": 3},
        {"length_penalty": -0.5, "early_stopping": False},
        {"repetition_penalty": 1.5},
        {"repetition_penalty": 1.5, "num_beams": 1},
        {"repetition_penalty": 0.8, "num_beams": 2, "max_length": 12},
    ):
        options = default | change
        found = [(name, said(model, pixels, options)) for name, pixels in pictures(data, 6)]
        rows.append(options | {"captions": [(name, tokens) for name, tokens in found if tokens]})
    return rows


def pictures(data, count):
    """Photos with their pixels, and the pixels of noisy copies."""
    import numpy as np
    from PIL import Image
    from transformers import BlipImageProcessor

    processor = BlipImageProcessor(size={"height": 384, "width": 384})
    photos = sorted((data / "photos").glob("*.jpg"))
    photos += sorted((data / "coco" / "images").glob("*.jpg"))[:count]
    for photo in photos:
        rgb = np.asarray(Image.open(photo).convert("RGB"))
        copies = [rgb] + [with_noise(rgb, seed) for seed in range(NOISY_COPIES)]
        pixels = processor(images=[Image.fromarray(copy) for copy in copies], return_tensors="pt")
        yield str(photo.relative_to(data)), pixels["pixel_values"]


def said(model, pixels, options):
    """The tokens of the first picture, unless one of the others has another caption."""
    import torch

    options = {"do_sample": False} | options
    if options["num_beams"] == 1:
        # transformers warns of what greedy search does not use.
        options.pop("early_stopping", None)
        options.pop("length_penalty", None)
    else:
        options.setdefault("early_stopping", True)
    with torch.no_grad():
        answers = [words(ids) for ids in model.generate(pixel_values=pixels, **options).tolist()]
    return answers[0] if all(other == answers[0] for other in answers) else None


def words(ids):
    """The ids between the first, which starts the sentence, and the end."""
    ids = ids[1:]
    return ids[: ids.index(END)] if END in ids else ids


def with_noise(rgb, seed):
    """The pixels as another decoder might have read them."""
    import numpy as np

    random = np.random.default_rng(seed)
    steps = random.integers(-2, 3, rgb.shape) * (random.random(rgb.shape) < 0.12)
    return np.clip(rgb.astype(int) + steps, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
