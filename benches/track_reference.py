"""The trackers of PyPI's `trackers` on MOTChallenge files, and TrackEval's scores of any results.

    track_reference.py run   --tracker bytetrack --mot DIR --out DIR [--sequence S ...] [--score sigmoid]
    track_reference.py score --results DIR --mot DIR [--sequence S ...] [--json FILE]
    track_reference.py time  --tracker bytetrack --frames FILE
    track_reference.py fixture --mot DIR --json src/eval/tests/trackeval.json

`time` also knows `supervision`, its ByteTrack, and `deepsort`, which is PyPI's deep-sort-realtime with
appearances that are given. `run` writes one MOTChallenge file a sequence, of the tracker's defaults. `score` prints HOTA, MOTA
and IDF1 of each sequence and of all together as TrackEval 1.3 computes them: `MotChallenge2DBox`,
benchmark MOT15, without preprocessing. `fixture` scores the ground truth itself, spoilt by a rule
that src/eval/tests.rs has too: boxes left out and moved, identities switched, false alarms.
"""

import argparse
import contextlib
import io
import json
import pathlib
import tempfile

import numpy as np


def rows_of(path, score):
    rows = np.loadtxt(path, delimiter=",", ndmin=2, usecols=range(7))
    if score == "sigmoid":
        rows[:, 6] = 1 / (1 + np.exp(-rows[:, 6]))
    return rows


def frames_of(path, score):
    """Detections (xyxy, confidence) of each frame from 1 to the last."""
    rows = rows_of(path, score)
    for frame in range(1, int(rows[:, 0].max()) + 1):
        of_frame = rows[rows[:, 0] == frame]
        boxes = of_frame[:, 2:6].copy()
        boxes[:, 2:] += boxes[:, :2]
        yield frame, boxes.astype(np.float32), of_frame[:, 6].astype(np.float32)


def make(tracker):
    import trackers

    return {
        "sort": trackers.SORTTracker,
        "bytetrack": trackers.ByteTrackTracker,
        "ocsort": trackers.OCSORTTracker,
    }[tracker]()


def detections(boxes, confidence):
    import supervision as sv

    classes = np.zeros(len(boxes), dtype=int)
    return sv.Detections(xyxy=boxes, confidence=confidence, class_id=classes)


def sequences(mot, wanted):
    return sorted(p.name for p in mot.iterdir() if (p / "det.txt").is_file() and (not wanted or p.name in wanted))


def run(arguments):
    arguments.out.mkdir(parents=True, exist_ok=True)
    for sequence in sequences(arguments.mot, arguments.sequence):
        tracker = make(arguments.tracker)
        with open(arguments.out / f"{sequence}.txt", "w") as out:
            for frame, boxes, confidence in frames_of(arguments.mot / sequence / "det.txt", arguments.score):
                found = tracker.update(detections(boxes, confidence))
                if found.tracker_id is None:
                    continue
                for (x1, y1, x2, y2), track, sure in zip(found.xyxy, found.tracker_id, found.confidence):
                    if track >= 0:
                        out.write(
                            f"{frame},{track + 1},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{sure:.4f},-1,-1,-1\n"
                        )


def looks(count):
    """An appearance of 512 numbers for each box of a frame, the same in every frame."""
    numbers = np.arange(count * 512, dtype=np.float64).reshape(count, 512)
    vectors = np.sin(numbers * 12.9898) * 43758.5453 % 1 - 0.5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def timed(tracker):
    """What turns the boxes and confidences of a frame into its input, and what takes that input."""
    if tracker == "supervision":
        import supervision as sv

        return detections, sv.ByteTrack().update_with_detections
    if tracker == "deepsort":
        from deep_sort_realtime.deepsort_tracker import DeepSort

        made = DeepSort(embedder=None, nn_budget=100)

        def prepared(boxes, confidence):
            ltwh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()
            return [(box, sure, "0") for box, sure in zip(ltwh, confidence.tolist())], looks(len(boxes))

        return prepared, lambda frame: made.update_tracks(frame[0], embeds=frame[1])
    return detections, make(tracker).update


def seconds(tracker, path):
    """Seconds of the tracker's updates on lines of `sequence, frame, x1, y1, x2, y2, confidence`."""
    import time

    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    total = 0.0
    for sequence in np.unique(rows[:, 0]):
        of = rows[rows[:, 0] == sequence]
        frames = [of[of[:, 1] == frame] for frame in range(int(of[:, 1].max()) + 1)]
        prepared, update = timed(tracker)
        work = [prepared(f[:, 2:6].astype(np.float32), f[:, 6].astype(np.float32)) for f in frames]
        start = time.perf_counter()
        for frame in work:
            update(frame)
        total += time.perf_counter() - start
    return total


def frames_in(path):
    return int(np.loadtxt(path, delimiter=",", ndmin=2, usecols=[0]).max())


def score(results, mot, wanted):
    """`{sequence: {metric: value}}`, with "combined" for all of them."""
    import trackeval

    names = [s for s in sequences(mot, wanted) if (mot / s / "gt.txt").is_file()]
    lengths = {s: max(frames_in(mot / s / "gt.txt"), frames_in(mot / s / "det.txt")) for s in names}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        data = pathlib.Path(folder) / "it" / "data"
        data.mkdir(parents=True)
        for name in names:
            (data / f"{name}.txt").write_text((results / f"{name}.txt").read_text())
        dataset = trackeval.datasets.MotChallenge2DBox({
            "GT_FOLDER": str(mot),
            "TRACKERS_FOLDER": folder,
            "OUTPUT_FOLDER": folder,
            "TRACKERS_TO_EVAL": ["it"],
            "BENCHMARK": "MOT15",
            "DO_PREPROC": False,
            "SEQ_INFO": lengths,
            "SKIP_SPLIT_FOL": True,
            "GT_LOC_FORMAT": "{gt_folder}/{seq}/gt.txt",
            "PRINT_CONFIG": False,
        })
        evaluator = trackeval.Evaluator({
            "PRINT_RESULTS": False, "PRINT_CONFIG": False, "TIME_PROGRESS": False, "USE_PARALLEL": False,
            "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False, "PLOT_CURVES": False, "DISPLAY_LESS_PROGRESS": False,
            "BREAK_ON_ERROR": True, "RETURN_ON_ERROR": False, "LOG_ON_ERROR": None, "OUTPUT_EMPTY_CLASSES": False,
        })
        metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR({"PRINT_CONFIG": False}),
                   trackeval.metrics.Identity({"PRINT_CONFIG": False})]
        found = evaluator.evaluate([dataset], metrics)[0]["MotChallenge2DBox"]["it"]
    scores = {}
    for name, of_class in found.items():
        values = of_class["pedestrian"]
        scores["combined" if name == "COMBINED_SEQ" else name] = {
            "hota": float(np.mean(values["HOTA"]["HOTA"])),
            "deta": float(np.mean(values["HOTA"]["DetA"])),
            "assa": float(np.mean(values["HOTA"]["AssA"])),
            "mota": float(values["CLEAR"]["MOTA"]),
            "idf1": float(values["Identity"]["IDF1"]),
            "idsw": int(values["CLEAR"]["IDSW"]),
            "fp": int(values["CLEAR"]["CLR_FP"]),
            "fn": int(values["CLEAR"]["CLR_FN"]),
        }
    return scores


def spoilt(path):
    """The lines of a file of results made of ground truth."""
    for row in rows_of(path, None):
        frame, ident = int(row[0]), int(row[1])
        left, top, width, height = row[2:6]
        if (frame * 31 + ident * 17) % 10 == 0:
            continue
        track = ident + 1000 * ((frame // 15 + ident) % 3)
        left += ((frame * 7 + ident * 13) % 11 - 5) * width / 20
        yield f"{frame},{track},{left:.2f},{top:.2f},{width:.2f},{height:.2f},1,-1,-1,-1\n"
        if (frame * ident) % 13 == 0:
            yield f"{frame},{ident + 9000},{left + 3 * width:.2f},{top:.2f},{width:.2f},{height:.2f},1,-1,-1,-1\n"


def fixture(mot):
    with tempfile.TemporaryDirectory() as folder:
        results = pathlib.Path(folder)
        for name in sequences(mot, None):
            if (mot / name / "gt.txt").is_file():
                (results / f"{name}.txt").write_text("".join(spoilt(mot / name / "gt.txt")))
        return score(results, mot, None)


def print_scores(scores):
    print(f"{'sequence':<20}{'hota':>9}{'deta':>9}{'assa':>9}{'mota':>9}{'idf1':>9}{'idsw':>6}{'fp':>6}{'fn':>6}")
    for name, s in scores.items():
        shares = "".join(f"{s[k]:9.4f}" for k in ("hota", "deta", "assa", "mota", "idf1"))
        print(f"{name:<20}{shares}{s['idsw']:6}{s['fp']:6}{s['fn']:6}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    time = commands.add_parser("time")
    of_time = ["sort", "bytetrack", "ocsort", "supervision", "deepsort"]
    time.add_argument("--tracker", choices=of_time, required=True)
    time.add_argument("--frames", type=pathlib.Path, required=True)
    for name in ("run", "score", "fixture"):
        command = commands.add_parser(name)
        command.add_argument("--mot", type=pathlib.Path, required=True)
        command.add_argument("--sequence", action="append")
        if name == "run":
            command.add_argument("--tracker", choices=["sort", "bytetrack", "ocsort"], required=True)
            command.add_argument("--out", type=pathlib.Path, required=True)
            command.add_argument("--score", choices=["sigmoid"])
        else:
            command.add_argument("--json", type=pathlib.Path)
        if name == "score":
            command.add_argument("--results", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    if arguments.command == "time":
        print(seconds(arguments.tracker, arguments.frames))
        return
    if arguments.command == "run":
        run(arguments)
        return
    if arguments.command == "fixture":
        scores = fixture(arguments.mot)
    else:
        scores = score(arguments.results, arguments.mot, arguments.sequence)
    print_scores(scores)
    if arguments.json:
        arguments.json.write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main()
