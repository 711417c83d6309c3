"""A tiny RF-DETR with random weights as ONNX, and what the package rfdetr finds with it.

    python tiny_rfdetr.py ../tests/fixtures/tiny-rfdetr

Writes

- model.onnx: `input` -> `dets`, `labels`, by the package's own export, with an open batch. There are
  91 classes, as in the published COCO weights; ids that COCO does not use never win
- detections.json: for each of some pictures of known pixels the 25 best boxes, with the package's
  PostProcess
- background.json: the same by the package's decoder for exported graphs, with the last class as
  the background, as in networks that were trained on other data

and compares the graph with torch. Needs torch (2.4.1 was tried), rfdetr 1.11 with transformers
5.1.0, onnx, onnxruntime, numpy before 2 and pillow.
"""

import sys
import tempfile
from pathlib import Path

import onnx
import torch
from rfdetr.assets.coco_classes import COCO_CLASSES
from rfdetr.config import RFDETRNanoConfig
from rfdetr.export._onnx.exporter import OnnxConfig, OnnxExporter
from rfdetr.export._runtime.decode import decode_detections
from rfdetr.export._runtime.preprocess import preprocess_to_nchw
from rfdetr.export.prepare import prepare_export_graph
from rfdetr.models import _defaults, lwdetr
from rfdetr.models.backbone import dinov2
from rfdetr.models.postprocess import PostProcess

import environment
from tiny_detr import SIDE, SIZES, draw, rows, widen, write

CLASSES = 91
# As many as there are places, so that none is left out, which would be a matter of rounding.
QUERIES = 64
# Of the 64 best pairs of query and class; which is the last is a matter of rounding, too.
BEST = 25
WIDTH = 16
PATCH = 16

# DINOv2, as narrow as it may be: four blocks.
BACKBONE = {
    "hidden_size": WIDTH,
    "image_size": SIDE,
    "num_attention_heads": 2,
    "num_hidden_layers": 4,
    "mlp_ratio": 2,
    "patch_size": PATCH,
}


def tiny():
    """The model and its configuration: RF-DETR's parts, each as narrow as they may be."""
    torch.manual_seed(11)
    read = dinov2.get_config
    dinov2.get_config = lambda size, registers: read(size, registers) | BACKBONE
    dinov2.size_to_width["small"] = WIDTH
    config = RFDETRNanoConfig(
        pretrain_weights=None, device="cpu", num_classes=CLASSES - 1, num_queries=QUERIES,
        num_select=QUERIES, group_detr=1, hidden_dim=16, sa_nheads=2, ca_nheads=2, dec_n_points=2,
        dec_layers=2, out_feature_indexes=[1, 2, 3, 4], resolution=SIDE, patch_size=PATCH,
        positional_encoding_size=SIDE // PATCH,
    )
    defaults = _defaults.ModelDefaults(
        dim_feedforward=32, vit_encoder_num_layers=4, force_no_pretrain=True
    )
    model = lwdetr.build_model_from_config(config, defaults=defaults).eval()
    widen(model)
    with torch.no_grad():
        # Our pictures are scaled in bytes, the package's in floats. With a vector of its own for the
        # best query, one for the second best and so on, half a step of a byte could exchange two
        # and change everything; and boxes of a few pixels would be hard to compare.
        model.refpoint_embed.weight.zero_()
        queries = model.query_feat.weight
        queries.copy_(queries[:1].clone().expand_as(queries))
        for head in [model.bbox_embed, *model.transformer.enc_out_bbox_embed]:
            head.layers[-1].weight.mul_(0.25)
            head.layers[-1].bias[2:] = 0.6
        unused = [index for index in range(CLASSES) if index not in COCO_CLASSES]
        heads = [model.class_embed, *model.transformer.enc_out_class_embed]
        for head in heads:
            head.bias.fill_(-1.0)
            head.bias[unused] = -30.0
            # So that it matters whether the last class is the background.
            head.bias[CLASSES - 1] = 1.0
    return model, config


def export(model, config, path):
    with tempfile.TemporaryDirectory() as folder:
        graph = prepare_export_graph(
            model, config, shape=(SIDE, SIDE), device="cpu", dynamic_batch=True
        )
        written = OnnxExporter(OnnxConfig(output_dir=Path(folder), verbose=False))(graph)
        environment.save(onnx, environment.plain(onnx.load(str(written))), path)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    model, config = tiny()
    choose = PostProcess(num_select=QUERIES)
    pictures = {size: draw(*size) for size in SIZES}
    pixels = {size: preprocess_to_nchw(picture, SIDE, SIDE) for size, picture in pictures.items()}
    with torch.no_grad():
        outputs = {size: model(torch.from_numpy(tensor)) for size, tensor in pixels.items()}
    export(model, config, folder / "model.onnx")
    session = environment.session(folder / "model.onnx")
    coco, background, worst = {}, {}, 0.0
    for (width, height), found in outputs.items():
        name = f"{width}x{height}"
        best = choose(found, torch.tensor([[height, width]]))[0]
        coco[name] = rows(best["labels"], best["scores"], best["boxes"])[:BEST]
        logits, boxes = found["pred_logits"], found["pred_boxes"]
        decoded = decode_detections(
            boxes[0].numpy(), logits[0].numpy(), (width, height), threshold=0.0,
            background_class_id=-1,
        )
        background[name] = rows(decoded.class_id, decoded.confidence, decoded.xyxy)[:BEST]
        dets, labels = session.run(["dets", "labels"], {"input": pixels[width, height]})
        worst = max(worst, environment.difference(dets, boxes))
        worst = max(worst, environment.difference(labels, logits))
    environment.judge(worst, "float32")
    write(coco, folder / "detections.json")
    write(background, folder / "background.json")


if __name__ == "__main__":
    main()
