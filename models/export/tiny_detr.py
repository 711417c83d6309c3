"""A tiny RT-DETR with random weights as ONNX, and what transformers finds with it.

    python tiny_detr.py ../tests/fixtures/tiny-detr

Writes `model.onnx` (float32, open batch) and `detections.json`: for each of some pictures of known pixels the 40 best boxes,
from the picture to the graph with transformers' RTDetrImageProcessor and from its outputs to boxes
with the processor's post_process_object_detection. Needs torch (1.13 was tried), transformers 4.46,
onnx, onnxruntime, numpy before 2 and pillow.
"""

import json
import sys
import types
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image
from transformers import (
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrImageProcessor,
    RTDetrResNetConfig,
)
from transformers.models.rt_detr.modeling_rt_detr import RTDetrObjectDetectionOutput

if not hasattr(torch, "compiler"):
    # torch 1.13 compiles nothing, and transformers asks whether it does.
    torch.compiler = types.SimpleNamespace(is_compiling=lambda: False)

SIDE = 128
CLASSES = 5
QUERIES = 40
# Width and height. The pixels follow from a formula, as JPEG decoders differ by a step or two, which
# moves the boxes of a network with random weights.
SIZES = [(128, 128), (200, 150), (97, 301), (640, 360), (333, 77), (1280, 720)]


def tiny():
    """The model: RT-DETR's parts, each as narrow as they may be."""
    torch.manual_seed(3)
    backbone = RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = RTDetrConfig(
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
        num_denoising=0,
        num_labels=CLASSES,
        anchor_image_size=[SIDE, SIDE],
    )
    model = RTDetrForObjectDetection(config).eval()
    widen(model)
    return model


def widen(model, gain=1.0):
    """Gives a model larger random weights, those of convolutions by a `gain` more. Freshly made
    layers say nearly the same everywhere, and the best queries are then a matter of rounding; wider
    weights tell them apart."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn_like(parameter) / parameter[0].numel() ** 0.5)
                if parameter.dim() == 4:
                    parameter.mul_(gain)
            elif name.endswith("class_embed.0.bias") or name.endswith("class_embed.1.bias"):
                parameter.fill_(-1.0)


class Outputs(torch.nn.Module):
    """The two outputs that a detector needs."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        found = self.model(pixel_values)
        return found.logits, found.pred_boxes


def export(model, path):
    picture = torch.rand(1, 3, SIDE, SIDE)
    torch.onnx.export(
        Outputs(model),
        (picture,),
        str(path),
        input_names=["pixel_values"],
        output_names=["logits", "pred_boxes"],
        opset_version=16,
        dynamic_axes={name: {0: "batch"} for name in ["pixel_values", "logits", "pred_boxes"]},
    )


def draw(width, height):
    """A picture of waves; tests/detection.rs draws the same."""
    y, x, channel = np.ogrid[:height, :width, :3]
    values = (x * x * 3 + x * y * 5 + y * y * 7) // 64 + x * (channel + 1) + channel * 61
    return Image.fromarray((values % 256).astype(np.uint8), "RGB")


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    model = tiny()
    processor = RTDetrImageProcessor(size={"height": SIDE, "width": SIDE})
    path = folder / "model.onnx"
    export(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found_in = {}
    for width, height in SIZES:
        picture = draw(width, height)
        inputs = processor(picture, return_tensors="pt")
        logits, boxes = session.run(None, {"pixel_values": inputs["pixel_values"].numpy()})
        found = RTDetrObjectDetectionOutput(
            logits=torch.tensor(logits.tolist()), pred_boxes=torch.tensor(boxes.tolist())
        )
        size = torch.tensor([[picture.height, picture.width]])
        best = processor.post_process_object_detection(found, threshold=0.0, target_sizes=size)[0]
        found_in[f"{width}x{height}"] = rows(best["labels"], best["scores"], best["boxes"])
    write(found_in, folder / "detections.json")


def rows(labels, scores, boxes):
    """Class, confidence, x1, y1, x2, y2 of each box that has an area, as the tests read them."""
    return [
        [int(label), round(float(score), 6)] + [round(float(value), 3) for value in box]
        for label, score, box in zip(labels, scores, boxes)
        if box[2] > box[0] and box[3] > box[1]
    ]


def write(found_in, path):
    """Writes the rows of each picture, one picture a line."""
    lines = [f"  {json.dumps(name)}: {json.dumps(found)}" for name, found in found_in.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
