"""Writes the appearance vectors of people in photos, for models/tests/reid.rs to compare with.

    python reference_reid.py SHARED > ../tests/fixtures/appearances.json

SHARED is the folder with models/ and data/. Needs numpy, opencv-python-headless and onnxruntime.
The people are those of the COCO labels that are large enough to be recognised; OpenCV reads, cuts
to whole pixels and scales to 128 x 256, as BoxMOT's extractors do.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
PHOTOS = 6
MIN_WIDTH, MIN_HEIGHT = 40, 90


def people(label_file, width, height):
    """The corner boxes of the persons, pixels."""
    for line in label_file.read_text().splitlines():
        kind, cx, cy, w, h = (float(word) for word in line.split())
        w, h = w * width, h * height
        if kind == 0 and w >= MIN_WIDTH and h >= MIN_HEIGHT:
            x, y = cx * width - w / 2, cy * height - h / 2
            yield [round(value, 2) for value in (x, y, x + w, y + h)]


def vector(session, bgr, box):
    height, width = bgr.shape[:2]
    x1, y1, x2, y2 = np.array(box).astype(int)
    crop = bgr[max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]
    rgb = cv2.resize(crop, (128, 256), interpolation=cv2.INTER_LINEAR)[:, :, ::-1]
    tensor = ((rgb.astype(np.float32) / 255 - MEAN) / DEVIATION).transpose(2, 0, 1)[None]
    feature = session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(tensor)})[0][0]
    return feature / np.linalg.norm(feature)


def main():
    shared = Path(sys.argv[1])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = shared / "models" / "osnet-x0.25" / "model.onnx"
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    rows = []
    for photo in sorted((shared / "data/coco/images").glob("*.jpg")):
        label_file = shared / "data/coco/labels" / (photo.stem + ".txt")
        bgr = cv2.imread(str(photo))
        boxes = list(people(label_file, bgr.shape[1], bgr.shape[0])) if label_file.exists() else []
        if len(boxes) < 2:
            continue
        vectors = [[round(float(v), 5) for v in vector(session, bgr, box)] for box in boxes]
        name = str(photo.relative_to(shared / "data"))
        rows.append("  " + json.dumps({"image": name, "boxes": boxes, "vectors": vectors}))
        if len(rows) == PHOTOS:
            break
    print("[\n" + ",\n".join(rows) + "\n]")


if __name__ == "__main__":
    main()
