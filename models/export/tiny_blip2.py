"""A tiny BLIP-2 with random weights, and what transformers' `generate` says about photos with it.

    python tiny_blip2.py --output FOLDER [--photos SHARED/data]

FOLDER gets the files of `blip2.py`. With --photos it also gets captions.json: token ids and text of
`generate`, greedy and with 5 beams, with 49 new tokens at most. As in `tiny_blip.py`, the weights
are large enough for captions that differ, and captions that JPEG decoders' noise changes are left
out.
"""

import argparse
import pathlib

import blip2
import environment
import tiny_blip

SEED = 11
START, PAD = 2, 1
NEW_TOKENS = 49
# A caption that is the same for all of the made-up noise, and another one for the noise that a second
# decoder of JPEG really makes: photo and number of beams.
LEFT_OUT = [("photos/bus.jpg", 5)]
PHOTOS = 36
SENTENCES = [
    "a man is riding a bicycle on the street",
    "two people are standing next to a red bus",
    "the dog runs across the green grass",
    "a woman with a white umbrella waits at the station",
    "several cars are parked in front of the house",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--photos", type=pathlib.Path)
    parser.add_argument("--precision", choices=environment.PRECISIONS, default="float32")
    parser.add_argument("--cache", default=environment.cache_folder())
    arguments = parser.parse_args()
    environment.ensure(arguments.cache)
    words = tokenizer()
    model = tiny(words.get_vocab_size(), words.token_to_id("Ċ"))
    arguments.output.mkdir(parents=True, exist_ok=True)
    blip2.write(model, arguments.output, arguments.precision)
    words.save(str(arguments.output / "tokenizer.json"))
    print(f"largest relative difference from torch: {blip2.check(model, arguments.output):.1e}")
    if arguments.photos:
        rows = captions(model, words, arguments.photos)
        tiny_blip.write_rows(rows, arguments.output / "captions.json")


def tokenizer():
    """A byte-pair encoding as GPT-2's and OPT's, trained on a few sentences."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(SENTENCES, trainer)
    return words


def tiny(vocabulary, end):
    import torch
    import transformers

    torch.manual_seed(SEED)
    vision = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "image_size": 224, "patch_size": 14,
    }
    qformer = {
        "vocab_size": 8, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "encoder_hidden_size": 32, "max_position_embeddings": 8,
    }
    text = {
        "model_type": "opt", "vocab_size": vocabulary, "hidden_size": 32, "ffn_dim": 64,
        "word_embed_proj_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "max_position_embeddings": 80, "bos_token_id": START, "pad_token_id": PAD,
        "eos_token_id": end, "tie_word_embeddings": False,
    }
    config = transformers.Blip2Config(
        vision_config=vision, qformer_config=qformer, text_config=text, num_query_tokens=4
    )
    model = transformers.Blip2ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() >= 2 and "embed" not in name:
                gain = 1.6 if "language" in name else 1.2
                parameter.normal_(0, gain / parameter[0].numel() ** 0.5)
        model.query_tokens.normal_(0, 1.0)
        model.language_projection.weight.mul_(2.0)
        decoder = model.language_model.model.decoder
        decoder.embed_tokens.weight.normal_(0, 1.0)
        decoder.embed_positions.weight.normal_(0, 1.2)
        head = model.language_model.lm_head.weight
        head.normal_(0, 1.3 / 32**0.5)
        # A head without bias: the end's row points where the others do not, and further.
        head[end].mul_(1.6)
        # What starts, fills or is unknown is never said.
        head[:4] = 0.0
    return model


def captions(model, words, data):
    import numpy as np
    import torch
    from PIL import Image
    from transformers import BlipImageProcessor

    processor = BlipImageProcessor(size={"height": 224, "width": 224})
    photos = sorted((data / "photos").glob("*.jpg"))
    photos += sorted((data / "coco" / "images").glob("*.jpg"))[:PHOTOS]
    end = model.config.text_config.eos_token_id
    rows = []
    for photo in photos:
        rgb = np.asarray(Image.open(photo).convert("RGB"))
        copies = [rgb] + [tiny_blip.with_noise(rgb, s) for s in range(tiny_blip.NOISY_COPIES)]
        pixels = processor(images=[Image.fromarray(copy) for copy in copies], return_tensors="pt")
        for beams in (1, 5):
            options = {"num_beams": beams, "max_new_tokens": NEW_TOKENS, "do_sample": False}
            if beams > 1:
                options |= {"early_stopping": True, "length_penalty": 1.0}
            with torch.no_grad():
                found = model.generate(**pixels, **options).tolist()
            # The first is the start token, which `generate` puts before what was said.
            found = [ids[1:] for ids in found]
            found = [ids[: ids.index(end)] if end in ids else ids for ids in found]
            text = words.decode(found[0]).strip().rstrip(".").rstrip().lower()
            name = str(photo.relative_to(data))
            alike = all(other == found[0] for other in found)
            if text and alike and (name, beams) not in LEFT_OUT:
                rows.append({"image": name, "beams": beams, "tokens": found[0], "text": text})
    return rows


if __name__ == "__main__":
    main()
