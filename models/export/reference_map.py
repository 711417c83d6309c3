"""Draws boxes and measures them with pycocotools, for src/eval/detect/tests.rs to compare with.

    python reference_map.py > ../../src/eval/detect/pycocotools.json

Each case has pictures with true boxes and detections: true ones moved a little, some missed, some
found twice or as another class, and boxes out of nothing; with equal confidences among them, and
in the last case with more of a class in a picture than pycocotools looks at. Needs numpy and
pycocotools.
"""

import contextlib
import io
import json

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def draw(random, pictures, truths, strays, digits):
    """Pictures as (truths, found)."""
    drawn = []
    for _ in range(pictures):
        true, found = [], []
        for _ in range(random.integers(0, truths + 1)):
            class_id = int(random.integers(0, 6))
            x, y = random.uniform(0, 400, 2)
            width, height = random.uniform(8, 200, 2)
            box = [x, y, x + width, y + height]
            true.append([class_id] + [round(float(value), 2) for value in box])
            for _ in range(random.choice([0, 1, 1, 1, 2])):
                moved = box + random.normal(0, 0.08, 4) * [width, height, width, height]
                guess = class_id if random.random() < 0.9 else (class_id + 1) % 7
                confidence = round(float(random.beta(4, 2)), digits)
                found.append([guess, confidence] + [round(float(value), 2) for value in moved])
        for _ in range(strays):
            x, y = random.uniform(0, 400, 2)
            width, height = random.uniform(8, 200, 2)
            confidence = round(float(random.beta(1, 6)), digits)
            box = [round(float(value), 2) for value in [x, y, x + width, y + height]]
            found.append([int(random.integers(0, 7)), confidence] + box)
        random.shuffle(found)
        drawn.append((true, found))
    return drawn


def measure(pictures):
    """mAP at IoU 0.5 and over 0.5 to 0.95."""
    annotations, results = [], []
    for image_id, (true, found) in enumerate(pictures, 1):
        for class_id, x1, y1, x2, y2 in true:
            box = [x1, y1, x2 - x1, y2 - y1]
            annotations.append(
                dict(id=len(annotations) + 1, image_id=image_id, category_id=class_id, bbox=box,
                     area=box[2] * box[3], iscrowd=0)
            )
        for class_id, confidence, x1, y1, x2, y2 in found:
            box = [x1, y1, x2 - x1, y2 - y1]
            results.append(dict(image_id=image_id, category_id=class_id, score=confidence, bbox=box))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dict(
            info={},
            images=[dict(id=i + 1) for i in range(len(pictures))],
            annotations=annotations,
            categories=[dict(id=i, name=str(i)) for i in range(7)],
        )
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[1], evaluation.stats[0]


def main():
    random = np.random.default_rng(7)
    cases = []
    for arguments in [(20, 8, 4, 5), (12, 5, 3, 1), (3, 6, 900, 5)]:
        pictures = draw(random, *arguments)
        map50, map50_95 = measure(pictures)
        cases.append(dict(map50=map50, map50_95=map50_95, pictures=pictures))
    print("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]")


if __name__ == "__main__":
    main()
