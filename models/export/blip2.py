"""BLIP-2 with OPT as the ONNX graphs that Vigil loads.

    python blip2.py --checkpoint Salesforce/blip2-opt-2.7b --output FOLDER
                    [--precision float32|float16|int8] [--cache FOLDER]

The checkpoint is a folder or the name of one on the hub, of transformers' class
Blip2ForConditionalGeneration with a decoder-only language model of kind OPT. FOLDER gets

- vision_encoder.onnx: pixel_values -> last_hidden_state
- qformer.onnx: encoder_hidden_states -> query_output
- language_projection.onnx: query_output -> inputs_embeds
- embed_tokens.onnx: input_ids -> inputs_embeds
- text_decoder_with_past.onnx: inputs_embeds, attention_mask and the keys and values of what came
  before -> logits and all keys and values
- tokenizer.json and generation_config.json

and what the graphs give is compared with torch. A graph of more than 2 GB has its weights in a file
<graph>.data beside it. The last line on standard error says what went wrong, when something did.
"""

import json
import sys

import environment


def main():
    arguments = environment.export_arguments(__doc__.splitlines()[0])
    environment.ensure(arguments.cache)
    import transformers

    model, tokenizer = environment.load(
        arguments.checkpoint, transformers.Blip2ForConditionalGeneration, transformers.AutoTokenizer
    )
    if model.config.text_config.model_type != "opt":
        sys.exit(f"error: the language model is {model.config.text_config.model_type}, not opt")
    arguments.output.mkdir(parents=True, exist_ok=True)
    write(model.eval(), arguments.output, arguments.precision)
    tokenizer.backend_tokenizer.save(str(arguments.output / "tokenizer.json"))
    environment.judge(check(model, arguments.output), arguments.precision)


def modules():
    """The parts of BLIP-2 as modules of their own; below torch's import, which is not everywhere."""
    import torch
    from torch import nn

    class VisionEncoder(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.vision = model.vision_model

        def forward(self, pixel_values):
            return self.vision(pixel_values=pixel_values, return_dict=True).last_hidden_state

    class QFormer(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.qformer = model.qformer
            self.query_tokens = model.query_tokens

        def forward(self, encoder_hidden_states):
            return self.qformer(
                query_embeds=self.query_tokens.expand(encoder_hidden_states.shape[0], -1, -1),
                encoder_hidden_states=encoder_hidden_states,
                return_dict=True,
            ).last_hidden_state

    class TextDecoderWithPast(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.decoder = model.language_model.model.decoder
            self.head = model.language_model.lm_head

        def forward(self, inputs_embeds, attention_mask, *past):
            decoder = self.decoder
            before = past[0].shape[2]
            positions = decoder.embed_positions(attention_mask, before)
            if decoder.project_in is not None:
                inputs_embeds = decoder.project_in(inputs_embeds)
            hidden = inputs_embeds + positions
            # A token looks at those before it and at itself, and at no padding.
            place = torch.arange(attention_mask.shape[1])
            later = place[None, :] > place[before:, None]
            hides = later[None, None] | (attention_mask == 0)[:, None, None]
            least = torch.finfo(hidden.dtype).min
            mask = torch.zeros_like(hides, dtype=hidden.dtype).masked_fill(hides, least)
            present = []
            for index, layer in enumerate(decoder.layers):
                hidden, grown = layer(
                    hidden,
                    attention_mask=mask,
                    past_key_value=past[2 * index : 2 * index + 2],
                    use_cache=True,
                )
                present += grown
            if decoder.final_layer_norm is not None:
                hidden = decoder.final_layer_norm(hidden)
            if decoder.project_out is not None:
                hidden = decoder.project_out(hidden)
            return (self.head(hidden), *present)

    return VisionEncoder, QFormer, TextDecoderWithPast


def write(model, folder, precision):
    """Writes the five graphs and the tokens that start and end a caption."""
    import torch

    vision, qformer, decoder = (part(model).eval() for part in modules())
    config, text = model.config, model.config.text_config
    side = config.vision_config.image_size
    pixels = torch.zeros(2, 3, side, side)
    with torch.no_grad():
        states = vision(pixels)
        queries = qformer(states)
    pictures = {0: "pictures"}
    environment.export(
        vision, [pixels], ["pixel_values"], ["last_hidden_state"],
        {"pixel_values": pictures, "last_hidden_state": pictures},
        folder / "vision_encoder.onnx", precision,
    )
    environment.export(
        qformer, [states], ["encoder_hidden_states"], ["query_output"],
        {"encoder_hidden_states": {0: "pictures", 1: "positions"}, "query_output": pictures},
        folder / "qformer.onnx", precision,
    )
    environment.export(
        model.language_projection, [queries], ["query_output"], ["inputs_embeds"],
        {"query_output": pictures, "inputs_embeds": pictures},
        folder / "language_projection.onnx", precision,
    )
    rows = {0: "rows", 1: "tokens"}
    environment.export(
        model.get_input_embeddings(), [torch.ones(2, 3, dtype=torch.long)], ["input_ids"],
        ["inputs_embeds"], {"input_ids": rows, "inputs_embeds": rows},
        folder / "embed_tokens.onnx", precision,
    )
    heads, size = text.num_attention_heads, text.hidden_size // text.num_attention_heads
    layers, kinds = range(text.num_hidden_layers), ["key", "value"]
    names = [f"past_key_values.{layer}.{kind}" for layer in layers for kind in kinds]
    present = [f"present.{layer}.{kind}" for layer in layers for kind in kinds]
    axes = {"inputs_embeds": rows, "logits": rows, "attention_mask": {0: "rows", 1: "length"}}
    axes |= {name: {0: "rows", 2: "past"} for name in names}
    axes |= {name: {0: "rows", 2: "length"} for name in present}
    past = [torch.zeros(2, heads, 4, size)] * len(names)
    embeds = torch.zeros(2, 3, text.word_embed_proj_dim)
    environment.export(
        decoder, [embeds, torch.ones(2, 7, dtype=torch.long), *past],
        ["inputs_embeds", "attention_mask", *names], ["logits", *present], axes,
        folder / "text_decoder_with_past.onnx", precision,
    )
    generation = model.language_model.generation_config
    end = generation.eos_token_id
    ends = {"bos_token_id": text.bos_token_id, "eos_token_id": end[0] if isinstance(end, list) else end}
    (folder / "generation_config.json").write_text(json.dumps(ends, indent=2) + "\n")


def check(model, folder):
    """The largest relative difference of a graph's output from torch's, on noise and with tokens
    that torch chose."""
    import numpy as np
    import torch

    difference = environment.difference

    def run(name, **feed):
        return environment.run(folder / name, feed)

    torch.manual_seed(0)
    text = model.config.text_config
    side = model.config.vision_config.image_size
    pixels = torch.randn(2, 3, side, side)
    with torch.no_grad():
        states = model.vision_model(pixels).last_hidden_state
        queries = model.qformer(
            query_embeds=model.query_tokens.expand(2, -1, -1), encoder_hidden_states=states
        ).last_hidden_state
        projected = model.language_projection(queries)
        ids = model.generate(pixel_values=pixels, max_new_tokens=8, num_beams=1)
        embeds = torch.cat([projected, model.get_input_embeddings()(ids)], 1)
        mask = torch.ones(embeds.shape[:2], dtype=torch.long)
        logits = model.language_model(inputs_embeds=embeds, attention_mask=mask).logits
    worst = difference(run("vision_encoder.onnx", pixel_values=pixels.numpy())[0], states)
    found = run("qformer.onnx", encoder_hidden_states=states.numpy())[0]
    worst = max(worst, difference(found, queries))
    found = run("language_projection.onnx", query_output=queries.numpy())[0]
    worst = max(worst, difference(found, projected))
    found = run("embed_tokens.onnx", input_ids=ids.numpy())[0]
    worst = max(worst, difference(found, embeds[:, projected.shape[1] :]))
    heads, size = text.num_attention_heads, text.hidden_size // text.num_attention_heads
    past = [np.zeros((2, heads, 0, size), np.float32)] * (2 * text.num_hidden_layers)
    session = environment.session(folder / "text_decoder_with_past.onnx")
    begin = 0
    for end in range(projected.shape[1] + 1, embeds.shape[1] + 1):
        feed = {"inputs_embeds": embeds[:, begin:end].numpy(), "attention_mask": mask[:, :end].numpy()}
        for index, tensor in enumerate(past):
            kind = ["key", "value"][index % 2]
            feed[f"past_key_values.{index // 2}.{kind}"] = tensor
        found, *past = session.run(None, feed)
        worst = max(worst, difference(found, logits[:, begin:end]))
        begin = end
    return worst


if __name__ == "__main__":
    main()
