"""Writes what detectors find in photos, for models/tests/models.rs to compare with.

    python reference_detect.py SHARED SSD > ../tests/fixtures/detections.json

SHARED is the folder with models/ and data/, SSD the model.onnx that ssd_mobilenet.py made. Needs
numpy, opencv-python-headless and onnxruntime. For YOLOv8 pictures go the way of Ultralytics'
predictor: OpenCV reads and scales, 114 fills the borders. The SSD takes them as they are.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

MODELS = ["yolov8n", "yolov8n-int8"]
COCO_PHOTOS = 10
CONFIDENCE = 0.25
IOU = 0.45
SIDE = 640


def letterbox(bgr):
    """The RGB tensor of a picture, and (scale, left, top) to come back from it."""
    height, width = bgr.shape[:2]
    scale = min(SIDE / height, SIDE / width)
    new_width, new_height = round(width * scale), round(height * scale)
    left = round((SIDE - new_width) / 2 - 0.1)
    top = round((SIDE - new_height) / 2 - 0.1)
    if (new_width, new_height) != (width, height):
        bgr = cv2.resize(bgr, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    canvas = np.full((SIDE, SIDE, 3), 114, np.uint8)
    canvas[top : top + new_height, left : left + new_width] = bgr
    tensor = canvas[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255
    return np.ascontiguousarray(tensor), (scale, left, top)


def iou(box, boxes):
    """IoU of one corner box with many."""
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    shared = np.clip(width, 0, None) * np.clip(height, 0, None)
    area = lambda b: (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return shared / (area(box) + area(boxes) - shared)


def suppress(boxes, classes, scores):
    """The indices that remain, class by class, the most confident first."""
    found = []
    for class_id in np.unique(classes):
        of_class = np.flatnonzero(classes == class_id)
        of_class = of_class[np.argsort(-scores[of_class])]
        while len(of_class):
            best, rest = of_class[0], of_class[1:]
            found.append(best)
            of_class = rest[iou(boxes[best], boxes[rest]) <= IOU]
    return sorted(found, key=lambda i: -scores[i])


def rows_of(boxes, classes, scores):
    """Rows of [class_id, confidence, x1, y1, x2, y2] in the picture's pixels."""
    return [
        [int(class_id), round(float(score), 5)] + [round(float(value), 3) for value in box]
        for box, class_id, score in zip(boxes, classes, scores)
    ]


def detect(session, bgr):
    """What a YOLOv8 graph finds."""
    tensor, (scale, left, top) = letterbox(bgr)
    rows = session.run(None, {"images": tensor})[0][0].T
    classes, scores = rows[:, 4:].argmax(1), rows[:, 4:].max(1)
    keep = scores >= CONFIDENCE
    rows, classes, scores = rows[keep], classes[keep], scores[keep]
    centres, sizes = rows[:, :2], rows[:, 2:4]
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], 1)
    kept = suppress(boxes, classes, scores)
    height, width = bgr.shape[:2]
    boxes = np.clip((boxes[kept] - [left, top, left, top]) / scale, 0, [width, height] * 2)
    return rows_of(boxes, classes[kept], scores[kept])


def detect_ssd(session, bgr):
    """What an SSD graph finds; its classes count from 1."""
    names = ["detection_boxes:0", "detection_scores:0", "detection_classes:0"]
    picture = np.ascontiguousarray(bgr[:, :, ::-1])[None]
    boxes, scores, classes = (out[0] for out in session.run(names, {"image_tensor:0": picture}))
    keep = scores >= CONFIDENCE
    boxes, scores, classes = boxes[keep], scores[keep], classes[keep] - 1
    height, width = bgr.shape[:2]
    boxes = np.clip(boxes[:, [1, 0, 3, 2]], 0, 1) * [width, height, width, height]
    kept = suppress(boxes, classes, scores)
    return rows_of(boxes[kept], classes[kept], scores[kept])


def main():
    shared = Path(sys.argv[1])
    data = shared / "data"
    photos = sorted((data / "photos").glob("*.jpg"))
    photos += sorted((data / "coco" / "images").glob("*.jpg"))[:COCO_PHOTOS]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    models = [(name, shared / "models" / name / "model.onnx", detect) for name in MODELS]
    models.append(("ssd-mobilenet-v2", Path(sys.argv[2]), detect_ssd))
    answers = {}
    for name, path, find in models:
        session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        answers[name] = {
            str(photo.relative_to(data)): find(session, cv2.imread(str(photo))) for photo in photos
        }
    rows = []
    for model, pictures in answers.items():
        lines = [f"  {json.dumps(name)}: {json.dumps(boxes)}" for name, boxes in pictures.items()]
        rows.append(f"{json.dumps(model)}: {{\n" + ",\n".join(lines) + "\n}")
    print("{\n" + ",\n".join(rows) + "\n}")


if __name__ == "__main__":
    main()
