"""BLIP as the ONNX graphs that Vigil loads.

    python blip.py --checkpoint Salesforce/blip-image-captioning-base --output FOLDER
                   [--precision float32|float16|int8] [--cache FOLDER]

The checkpoint is a folder or the name of one on the hub, of transformers' class
BlipForConditionalGeneration. FOLDER gets

- vision_encoder.onnx: pixel_values -> last_hidden_state
- cross_attention.onnx: encoder_hidden_states -> the decoder's keys and values of the picture, once
- text_decoder_with_past.onnx: one token after the other, with the keys and values of those before
- text_decoder.onnx: the same without past, on whole sequences (input_ids, attention_mask,
  encoder_hidden_states -> logits), for whatever runs BLIP without a cache
- vocab.txt and generation_config.json

and what the graphs give is compared with torch. The last line on standard error says what went
wrong, when something did.
"""

import json

import environment


def main():
    arguments = environment.export_arguments(__doc__.splitlines()[0])
    environment.ensure(arguments.cache)
    import transformers

    model, tokenizer = environment.load(
        arguments.checkpoint,
        transformers.BlipForConditionalGeneration,
        transformers.BertTokenizerFast,
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    write(model.eval(), arguments.output, arguments.precision)
    write_words(tokenizer, arguments.output)
    environment.judge(check(model, arguments.output), arguments.precision)


def modules():
    """The parts of BLIP as modules of their own; below torch's import, which is not everywhere."""
    import torch
    from torch import nn

    class VisionEncoder(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.vision = model.vision_model

        def forward(self, pixel_values):
            return self.vision(pixel_values=pixel_values, return_dict=True).last_hidden_state

    class TextDecoder(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.decoder = model.text_decoder

        def forward(self, input_ids, attention_mask, encoder_hidden_states):
            return self.decoder(
                input_ids=input_ids,
                attention_mask=attention_mask,
                encoder_hidden_states=encoder_hidden_states,
                use_cache=False,
                return_dict=True,
            ).logits

    class CrossAttention(nn.Module):
        """Keys and values of a picture for each layer: pictures x heads x positions x size."""

        def __init__(self, model):
            super().__init__()
            self.layers = model.text_decoder.bert.encoder.layer

        def forward(self, encoder_hidden_states):
            outputs = []
            for layer in self.layers:
                attention = layer.crossattention.self
                for project in (attention.key, attention.value):
                    projected = project(encoder_hidden_states)
                    outputs.append(attention.transpose_for_scores(projected))
            return tuple(outputs)

    class TextDecoderWithPast(nn.Module):
        """One token for each row; the rows of a picture follow each other, and each picture has
        as many. Attention to the picture has no mask, so a picture's rows go through it as if they
        were positions of one sequence, and its keys and values need no copies."""

        def __init__(self, model):
            super().__init__()
            self.bert = model.text_decoder.bert
            self.head = model.text_decoder.cls

        def forward(self, input_ids, *past):
            embeddings = self.bert.embeddings
            position = embeddings.position_ids[:, past[0].shape[2] : past[0].shape[2] + 1]
            hidden = embeddings.word_embeddings(input_ids)
            hidden = embeddings.LayerNorm(hidden + embeddings.position_embeddings(position))
            present = []
            for index, layer in enumerate(self.bert.encoder.layer):
                keys, values, picture_keys, picture_values = past[4 * index : 4 * index + 4]
                hidden, grown = layer.attention(hidden, past_key_value=(keys, values))
                present += grown
                hidden = self.look(layer.crossattention, hidden, picture_keys, picture_values)
                hidden = layer.feed_forward_chunk(hidden)
            return (self.head(hidden), *present)

        def look(self, attention, hidden, keys, values):
            inner = attention.self
            heads, size = inner.num_attention_heads, inner.attention_head_size
            query = inner.query(hidden).view(keys.shape[0], -1, heads, size).permute(0, 2, 1, 3)
            scores = torch.matmul(query, keys.transpose(-1, -2)) / size**0.5
            context = torch.matmul(scores.softmax(-1), values)
            context = context.permute(0, 2, 1, 3).reshape(-1, 1, heads * size)
            return attention.output(context, hidden)

    return VisionEncoder, TextDecoder, CrossAttention, TextDecoderWithPast


def write(model, folder, precision):
    """Writes the four graphs."""
    import torch

    vision, decoder, cross, with_past = (part(model).eval() for part in modules())
    config = model.config
    side = config.vision_config.image_size
    pixels = torch.zeros(2, 3, side, side)
    with torch.no_grad():
        states = vision(pixels)
        picture = cross(states)
    open_states = {0: "pictures", 1: "positions"}
    environment.export(
        vision, [pixels], ["pixel_values"], ["last_hidden_state"],
        {"pixel_values": {0: "pictures"}, "last_hidden_state": {0: "pictures"}},
        folder / "vision_encoder.onnx", precision,
    )
    ids = torch.ones(2, 3, dtype=torch.long)
    text = {0: "rows", 1: "tokens"}
    environment.export(
        decoder, [ids, ids, states], ["input_ids", "attention_mask", "encoder_hidden_states"],
        ["logits"],
        {
            "input_ids": text,
            "attention_mask": text,
            "encoder_hidden_states": {0: "rows", 1: "positions"},
            "logits": text,
        },
        folder / "text_decoder.onnx", precision,
    )
    layers = range(config.text_config.num_hidden_layers)
    kinds = ["key", "value"]
    of_picture = [f"present.{layer}.encoder.{kind}" for layer in layers for kind in kinds]
    open_picture = {0: "pictures", 2: "positions"}
    environment.export(
        cross, [states], ["encoder_hidden_states"], of_picture,
        {"encoder_hidden_states": open_states} | {name: open_picture for name in of_picture},
        folder / "cross_attention.onnx", precision,
    )
    past, names, axes = [], [], {"input_ids": {0: "rows"}, "logits": {0: "rows"}}
    heads = config.text_config.num_attention_heads
    size = config.text_config.hidden_size // heads
    for layer in layers:
        past += [torch.zeros(4, heads, 3, size)] * 2 + list(picture[2 * layer : 2 * layer + 2])
        for side_name, open_axes in (("decoder", {0: "rows", 2: "past"}), ("encoder", open_picture)):
            for kind in kinds:
                names.append(f"past_key_values.{layer}.{side_name}.{kind}")
                axes[names[-1]] = open_axes
    present = [f"present.{layer}.decoder.{kind}" for layer in layers for kind in kinds]
    axes |= {name: {0: "rows", 2: "length"} for name in present}
    environment.export(
        with_past, [torch.ones(4, 1, dtype=torch.long), *past], ["input_ids", *names],
        ["logits", *present], axes, folder / "text_decoder_with_past.onnx", precision,
    )
    ends = {
        "bos_token_id": config.text_config.bos_token_id,
        "eos_token_id": config.text_config.sep_token_id,
    }
    (folder / "generation_config.json").write_text(json.dumps(ends, indent=2) + "\n")


def write_words(tokenizer, folder):
    words = sorted(tokenizer.get_vocab().items(), key=lambda word: word[1])
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word, _ in words))


def check(model, folder):
    """The largest relative difference of a graph's output from torch's, on noise and with tokens
    that torch chose."""
    import numpy as np
    import torch

    difference = environment.difference

    def run(name, feed):
        return environment.run(folder / name, feed)

    torch.manual_seed(0)
    config = model.config
    side = config.vision_config.image_size
    pixels = torch.randn(2, 3, side, side)
    with torch.no_grad():
        states = model.vision_model(pixel_values=pixels).last_hidden_state
        ids = model.generate(pixel_values=pixels, max_length=12, num_beams=1)
        ones = torch.ones_like(ids)
        logits = model.text_decoder(
            input_ids=ids, attention_mask=ones, encoder_hidden_states=states
        ).logits
    found = run("vision_encoder.onnx", {"pixel_values": pixels.numpy()})[0]
    worst = difference(found, states)
    feed = {"input_ids": ids.numpy(), "attention_mask": ones.numpy()}
    feed["encoder_hidden_states"] = states.numpy()
    worst = max(worst, difference(run("text_decoder.onnx", feed)[0], logits))
    picture = run("cross_attention.onnx", {"encoder_hidden_states": states.numpy()})
    decoder = environment.session(folder / "text_decoder_with_past.onnx")
    heads = config.text_config.num_attention_heads
    size = config.text_config.hidden_size // heads
    past = [np.zeros((2, heads, 0, size), np.float32)] * (2 * config.text_config.num_hidden_layers)
    for at in range(ids.shape[1]):
        feed = {"input_ids": ids[:, at : at + 1].numpy()}
        for index in range(len(past)):
            layer, kind = divmod(index, 2)
            kind = ["key", "value"][kind]
            feed[f"past_key_values.{layer}.decoder.{kind}"] = past[index]
            feed[f"past_key_values.{layer}.encoder.{kind}"] = picture[index]
        found, *past = decoder.run(None, feed)
        worst = max(worst, difference(found[:, 0], logits[:, at]))
    return worst


if __name__ == "__main__":
    main()
