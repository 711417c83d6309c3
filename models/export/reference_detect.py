"""Writes what detectors find in photos, for models/tests/detection.rs to compare with.

    python reference_detect.py SHARED ../tests/fixtures/detections [SSD]
    python reference_detect.py SHARED --model NAME --pictures FOLDER > FOUND.json

In the first form SHARED is the folder with models/ and data/, SSD the model.onnx that ssd_mobilenet.py made. Each
model has a file of its own; without SSD that one is left as it is. The second form is for the tests
themselves: what one model finds in the pictures of a folder, which have the very pixels that the
tests have, whatever decoder read them. Needs numpy, opencv-python-headless and onnxruntime. For YOLOv8 pictures go the way of Ultralytics' predictor,
for YOLOX that of its demo: OpenCV reads and scales, 114 fills the borders. The SSD takes them as
they are.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

# The SSD is compared on a few photos only: it is made on the machine that tests it.
SSD_PHOTOS = 12
CONFIDENCE = 0.25
IOU = 0.45
YOLOX_STRIDES = [8, 16, 32]


def letterbox(bgr, side_height, side_width):
    """The RGB tensor of a picture, and (scale, left, top) to come back from it."""
    height, width = bgr.shape[:2]
    scale = min(side_height / height, side_width / width)
    new_width, new_height = round(width * scale), round(height * scale)
    left = round((side_width - new_width) / 2 - 0.1)
    top = round((side_height - new_height) / 2 - 0.1)
    if (new_width, new_height) != (width, height):
        bgr = cv2.resize(bgr, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    canvas = np.full((side_height, side_width, 3), 114, np.uint8)
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


def finish(boxes, scores, bgr, origin):
    """The rows above the threshold, suppressed, in the picture's pixels."""
    (scale, left, top), (height, width) = origin, bgr.shape[:2]
    classes, scores = scores.argmax(1), scores.max(1)
    keep = scores >= CONFIDENCE
    boxes, classes, scores = boxes[keep], classes[keep], scores[keep]
    kept = suppress(boxes, classes, scores)
    boxes = np.clip((boxes[kept] - [left, top, left, top]) / scale, 0, [width, height] * 2)
    return rows_of(boxes, classes[kept], scores[kept])


def detect(sessions, bgr):
    """What a YOLOv8 model finds, with the one of its graphs that has the least padding."""
    height, width = bgr.shape[:2]

    def filled(session):
        side_height, side_width = session.get_inputs()[0].shape[2:]
        scale = min(side_height / height, side_width / width)
        return round(width * scale) * round(height * scale) / (side_height * side_width)

    session = max(sessions, key=filled)
    tensor, origin = letterbox(bgr, *session.get_inputs()[0].shape[2:])
    rows = session.run(None, {"images": tensor})[0][0].T
    centres, sizes = rows[:, :2], rows[:, 2:4]
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], 1)
    return finish(boxes, rows[:, 4:], bgr, origin)


def detect_yolox(sessions, bgr):
    """What a YOLOX graph finds."""
    session = sessions[0]
    side_height, side_width = session.get_inputs()[0].shape[2:]
    height, width = bgr.shape[:2]
    scale = min(side_height / height, side_width / width)
    new_width, new_height = int(width * scale), int(height * scale)
    canvas = np.full((side_height, side_width, 3), 114, np.uint8)
    canvas[:new_height, :new_width] = cv2.resize(bgr, (new_width, new_height))
    tensor = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None].astype(np.float32))
    rows = session.run(None, {"images": tensor})[0][0]
    grids, strides = [], []
    for stride in YOLOX_STRIDES:
        down, across = np.mgrid[: side_height // stride, : side_width // stride]
        grids.append(np.stack([across.ravel(), down.ravel()], 1))
        strides.append(np.full((down.size, 1), stride))
    grids, strides = np.concatenate(grids), np.concatenate(strides)
    centres, sizes = (rows[:, :2] + grids) * strides, np.exp(rows[:, 2:4]) * strides
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], 1)
    return finish(boxes, rows[:, 4:5] * rows[:, 5:], bgr, (scale, 0, 0))


def detect_ssd(sessions, bgr):
    """What an SSD graph finds; its classes count from 1."""
    session = sessions[0]
    names = ["detection_boxes:0", "detection_scores:0", "detection_classes:0"]
    picture = np.ascontiguousarray(bgr[:, :, ::-1])[None]
    boxes, scores, classes = (out[0] for out in session.run(names, {"image_tensor:0": picture}))
    keep = scores >= CONFIDENCE
    boxes, scores, classes = boxes[keep], scores[keep], classes[keep] - 1
    height, width = bgr.shape[:2]
    boxes = np.clip(boxes[:, [1, 0, 3, 2]], 0, 1) * [width, height, width, height]
    kept = suppress(boxes, classes, scores)
    return rows_of(boxes[kept], classes[kept], scores[kept])


# How a model is asked, by its name.
WAYS = {"yolov8n": detect, "yolov8n-int8": detect, "yolox-nano": detect_yolox}


def opened(paths):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    provider = ["CPUExecutionProvider"]
    return [onnxruntime.InferenceSession(str(path), options, provider) for path in paths]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("fixtures", type=Path, nargs="?")
    parser.add_argument("ssd", type=Path, nargs="?")
    parser.add_argument("--model", choices=WAYS)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    data = arguments.shared / "data"

    def square(name):
        return opened([arguments.shared / "models" / name / "model.onnx"])

    if arguments.model:
        pictures = sorted(arguments.pictures.iterdir())
        name = arguments.model
        print(as_json(WAYS[name], square(name), pictures, arguments.pictures))
        return
    photos = sorted((data / "photos").glob("*.jpg")) + sorted((data / "coco" / "images").glob("*"))
    graphs = opened(sorted((arguments.shared / "models" / "yolov8n").glob("*.onnx")))
    jobs = [(name, square(name), find, photos) for name, find in WAYS.items()]
    jobs.append(("yolov8n-rect", graphs, detect, photos))
    if arguments.ssd:
        jobs.append(("ssd-mobilenet-v2", opened([arguments.ssd]), detect_ssd, photos[:SSD_PHOTOS]))
    arguments.fixtures.mkdir(exist_ok=True)
    for name, sessions, find, photos in jobs:
        text = as_json(find, sessions, photos, data)
        (arguments.fixtures / f"{name}.json").write_text(text + "\n")


def as_json(find, sessions, pictures, folder):
    """What is found in each picture, by its path in the folder; a picture a line."""
    lines = []
    for picture in pictures:
        key = json.dumps(str(picture.relative_to(folder)))
        lines.append(f"  {key}: {json.dumps(find(sessions, cv2.imread(str(picture))))}")
    return "{\n" + ",\n".join(lines) + "\n}"


if __name__ == "__main__":
    main()
