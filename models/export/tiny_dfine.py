"""A tiny D-FINE with random weights as ONNX in two forms, and what transformers finds with it.

    python tiny_dfine.py ../tests/fixtures/tiny-dfine

Writes

- model.onnx: `pixel_values` -> `logits`, `pred_boxes`, as transformers' networks are exported
- own.onnx: `images`, `orig_target_sizes` -> `labels`, `boxes`, `scores`, the tensors that the own
  exports of D-FINE and RT-DETR have, with the choice of the best pairs in the graph
- detections.json: for each of some pictures of known pixels the 40 best boxes, from torch's outputs
  with transformers' processor, which both forms have to give; of pictures whose boxes noise moves,
  none

and compares both graphs with torch. Needs torch (2.4.1 was tried), transformers from 4.52 (5.1.0
was), onnx, onnxruntime, numpy before 2 and pillow.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config, RTDetrImageProcessor

import environment
from tiny_detr import CLASSES, QUERIES, SIDE, SIZES, Outputs, draw, rows, widen, write


# What a rectifier takes, its convolution gives.
GAIN = 1.4
SEED = 5
NOISY_COPIES = 4


def tiny():
    """The model: D-FINE's parts, each as narrow as they may be."""
    torch.manual_seed(SEED)
    backbone = HGNetV2Config(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 16, 16],
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 16, 16],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[8, 16, 16, 16],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        use_learnable_affine_block=True,
        out_indices=[2, 3, 4],
    )
    config = DFineConfig(
        backbone_config=backbone,
        encoder_hidden_dim=16,
        encoder_in_channels=[16, 16, 16],
        encoder_ffn_dim=32,
        encoder_attention_heads=2,
        encoder_layers=1,
        d_model=16,
        num_queries=QUERIES,
        decoder_in_channels=[16, 16, 16],
        decoder_ffn_dim=32,
        decoder_layers=2,
        decoder_attention_heads=2,
        decoder_n_points=2,
        depth_mult=0.34,
        hidden_expansion=0.5,
        max_num_bins=8,
        lqe_hidden_dim=8,
        num_denoising=0,
        num_labels=CLASSES,
        anchor_image_size=[SIDE, SIDE],
        eval_size=[SIDE, SIDE],
        # The exporter of torch 2.4 does not know the fused attention.
        attn_implementation="eager",
    )
    model = DFineForObjectDetection(config).eval()
    widen(model, GAIN)
    # Fresh normalisations take a hundredth: after all layers nothing of the picture would be left.
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    return model


class Own(torch.nn.Module):
    """The outputs of D-FINE's own export: of all pairs of query and class the best, as many as
    there are queries, with boxes in the sizes (width, height) that are given."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images, orig_target_sizes):
        found = self.model(images)
        x, y, width, height = found.pred_boxes.unbind(-1)
        left, top = x - width / 2, y - height / 2
        boxes = torch.stack([left, top, left + width, top + height], -1)
        boxes = boxes * orig_target_sizes.repeat(1, 2).unsqueeze(1)
        scores, at = torch.topk(found.logits.sigmoid().flatten(1), QUERIES)
        query = (at // CLASSES).unsqueeze(-1).repeat(1, 1, 4)
        return at % CLASSES, boxes.gather(1, query), scores


def export(model, folder):
    picture = torch.rand(1, 3, SIDE, SIDE)
    environment.export(
        Outputs(model), [picture], ["pixel_values"], ["logits", "pred_boxes"],
        {name: {0: "batch"} for name in ["pixel_values", "logits", "pred_boxes"]},
        folder / "model.onnx", opset=16,
    )
    environment.export(
        Own(model), [picture, torch.tensor([[SIDE, SIDE]])], ["images", "orig_target_sizes"],
        ["labels", "boxes", "scores"],
        {"images": {0: "N"}, "orig_target_sizes": {0: "N"}},
        folder / "own.onnx", opset=16,
    )


def scaled(picture):
    """The picture as the processors scaled it that came with D-FINE, with Pillow in bytes. Those of
    transformers 5 scale with torch and differ by a step here and there, which a network with random
    weights makes another choice of queries of."""
    pixels = np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return torch.from_numpy(pixels.astype(np.float32).transpose(2, 0, 1)[None] / 255)


def is_steady(graph, pixels):
    """Whether the boxes stay where they are, within a hundredth of the picture, when one value in
    twenty is a step higher or lower, which is how far two scalings in bytes may differ. Where the
    choice of queries flips, all boxes move; such a picture says nothing about what is tested."""
    random = np.random.default_rng(SEED)
    boxes = np.sort(graph.run(["pred_boxes"], {"pixel_values": pixels})[0].ravel())
    for _ in range(NOISY_COPIES):
        steps = (random.random(pixels.shape) < 0.05) * random.choice([-1, 1], pixels.shape) / 255
        noisy = np.clip(pixels + steps, 0, 1).astype(np.float32)
        found = np.sort(graph.run(["pred_boxes"], {"pixel_values": noisy})[0].ravel())
        if np.abs(found - boxes).max() > 0.01:
            return False
    return True


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    model = tiny()
    processor = RTDetrImageProcessor(size={"height": SIDE, "width": SIDE})
    export(model, folder)
    graph, own = [environment.session(folder / name) for name in ["model.onnx", "own.onnx"]]
    found_in, worst = {}, 0.0
    for width, height in SIZES:
        picture = draw(width, height)
        pixels = scaled(picture)
        if not is_steady(graph, pixels.numpy()):
            print(f"{width}x{height} is left out: noise moves its boxes")
            continue
        with torch.no_grad():
            found = model(pixels)
        best = processor.post_process_object_detection(
            found, threshold=0.0, target_sizes=torch.tensor([[height, width]])
        )[0]
        found_in[f"{width}x{height}"] = rows(best["labels"], best["scores"], best["boxes"])
        logits, boxes = graph.run(None, {"pixel_values": pixels.numpy()})
        worst = max(worst, environment.difference(logits, found.logits))
        worst = max(worst, environment.difference(boxes, found.pred_boxes))
        sizes = np.array([[width, height]], np.int64)
        chosen = own.run(None, {"images": pixels.numpy(), "orig_target_sizes": sizes})
        assert (chosen[0][0] == best["labels"].numpy()).all(), (width, height)
        worst = max(worst, environment.difference(chosen[1][0], best["boxes"]))
        worst = max(worst, environment.difference(chosen[2][0], best["scores"]))
    environment.judge(worst, "float32")
    write(found_in, folder / "detections.json")


if __name__ == "__main__":
    main()
