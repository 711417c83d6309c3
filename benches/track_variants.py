"""Do the trackers' defaults hold on sequences that they were not chosen on?

    track_variants.py --vigil target/fast/vigil --mot ../shared/data/mot [--tracker bytetrack ...]

There are few sequences with ground truth, and the defaults were chosen on them. So each is changed
into another one, whose ground truth is known as well, and our trackers and PyPI's `trackers` are run
on all of these with their defaults, scored by TrackEval:

* `reversed`: from the last frame to the first;
* `halved`: every second frame, so that everything moves twice as far;
* `thinned`: one detection in eight is missing;
* `shaken`: boxes move and grow by up to 5 % of their size;
* `doubtful`: all log-odds of confidence are 1.5 lower, as of another detector.

Printed are HOTA, MOTA and IDF1, and `figure VARIANT_SET_TRACKER_hota_over_python VALUE ratio`.

And the options are chosen anew for each sequence on all others (`held out`): where that scores as the
defaults do, the defaults are not chosen for single sequences. Options that a sequence likes best
itself (`own`) say how much there would be to gain.
"""

import argparse
import itertools
import pathlib
import subprocess
import tempfile
import types

import numpy as np

import track_reference as reference

SETS = {
    "tud": (["TUD-Campus", "TUD-Stadtmitte"], "confidence"),
    "kitti": ([f"KITTI-{number:04}" for number in range(10)], "sigmoid"),
}
THEIRS = {"bytetrack": "bytetrack", "ocsort": "ocsort", "strongsort": "ocsort"}
CHOICES = {
    "track_evidence": ["0", "0.25", "0.5", "0.75"],
    "track_interpolation": ["true", "false"],
    "min_track_length": ["3", "5", "8"],
    "track_buffer": ["15", "30", "60"],
}


def hashed(*numbers):
    """Numbers from 0 to 1 that look random and are the same everywhere."""
    mixed = sum(np.asarray(n, dtype=np.float64) * k for n, k in zip(numbers, (12.9898, 78.233, 37.719)))
    return np.sin(mixed) * 43758.5453 % 1


def numbered(rows):
    """A number for each row in its frame."""
    order = np.zeros(len(rows))
    for frame in np.unique(rows[:, 0]):
        of = rows[:, 0] == frame
        order[of] = np.arange(of.sum())
    return order


def reversed_(rows, last, _):
    rows[:, 0] = last + 1 - rows[:, 0]
    return rows


def halved(rows, _last, _):
    rows = rows[rows[:, 0] % 2 == 1]
    rows[:, 0] = (rows[:, 0] + 1) / 2
    return rows


def thinned(rows, _last, is_truth):
    return rows if is_truth else rows[hashed(rows[:, 0], numbered(rows)) >= 1 / 8]


def shaken(rows, _last, is_truth):
    if not is_truth:
        number = numbered(rows)
        sizes = rows[:, [4, 5]].copy()
        for column in range(4):
            by = (hashed(rows[:, 0], number, column + 1.0) - 0.5) * 0.1
            rows[:, 2 + column] += by * sizes[:, column % 2]
    return rows


def doubtful(rows, _last, is_truth, is_logit):
    if not is_truth:
        if is_logit:
            rows[:, 6] -= 1.5
        else:
            sure = np.clip(rows[:, 6], 1e-6, 1 - 1e-6)
            rows[:, 6] = 1 / (1 + np.exp(-(np.log(sure / (1 - sure)) - 1.5)))
    return rows


def write_variant(change, mot, to, names, is_logit):
    for name in names:
        last = max(reference.frames_in(mot / name / file) for file in ("det.txt", "gt.txt"))
        (to / name).mkdir(parents=True)
        for file in ("det.txt", "gt.txt"):
            rows = np.loadtxt(mot / name / file, delimiter=",", ndmin=2, usecols=range(7))
            extra = (is_logit,) if change is doubtful else ()
            rows = change(rows, last, file == "gt.txt", *extra)
            rows = rows[np.argsort(rows[:, 0], kind="stable")]
            with open(to / name / file, "w") as out:
                for row in rows:
                    numbers = ",".join(f"{number:.6g}" for number in row[2:7])
                    out.write(f"{int(row[0])},{int(row[1])},{numbers},-1,-1,-1\n")


def ours(arguments, tracker, mot, names, score, out, options=()):
    command = [arguments.vigil, "eval", "track", "--tracker", tracker, "--mot", mot, "--out", out]
    command += ["--score", score]
    for name in names:
        command += ["--sequence", name]
    for option in options:
        command += ["--option", option]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    return {words[0]: float(words[1]) for words in lines if len(words) == 9 and words[0] != "sequence"}


def variants(arguments):
    changes = {"reversed": reversed_, "halved": halved, "thinned": thinned, "shaken": shaken,
               "doubtful": doubtful}
    for (variant, change), (of, (names, score)) in itertools.product(changes.items(), SETS.items()):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            write_variant(change, arguments.mot, folder / "mot", names, score == "sigmoid")
            theirs = {}
            for tracker in sorted({THEIRS[t] for t in arguments.tracker}):
                to = folder / f"theirs-{tracker}"
                reference.run(types.SimpleNamespace(
                    tracker=tracker, mot=folder / "mot", sequence=None, out=to,
                    score=score if score == "sigmoid" else None,
                ))
                theirs[tracker] = scored(to, folder / "mot")
                show(f"{variant} {of}, trackers' {tracker}", theirs[tracker])
            for tracker in arguments.tracker:
                to = folder / f"ours-{tracker}"
                ours(arguments, tracker, folder / "mot", names, score, to)
                found = scored(to, folder / "mot")
                show(f"{variant} {of}, {tracker}", found)
                ratio = found["hota"] / theirs[THEIRS[tracker]]["hota"]
                print(f"figure {variant}_{of}_{tracker}_hota_over_python {ratio:.4f} ratio", flush=True)


def scored(results, mot):
    return reference.score(results, mot, None)["combined"]


def show(what, scores):
    print(f"{what}: " + " / ".join(f"{scores[metric]:.4f}" for metric in ("hota", "mota", "idf1")))


def held_out(arguments):
    names = list(CHOICES)
    settings = [tuple(zip(names, values)) for values in itertools.product(*CHOICES.values())]
    for tracker in arguments.tracker:
        table = []
        default = {}
        with tempfile.TemporaryDirectory() as out:
            for of, score in SETS.values():
                default |= ours(arguments, tracker, arguments.mot, of, score, out)
            for setting in settings:
                options = [f"{name}={value}" for name, value in setting]
                row = {}
                for of, score in SETS.values():
                    row |= ours(arguments, tracker, arguments.mot, of, score, out, options)
                table.append(row)
        sequences = [name for of, _ in SETS.values() for name in of]
        scores = np.array([[row[name] for name in sequences] for row in table])
        chosen = []
        for at, name in enumerate(sequences):
            others = np.delete(scores, at, axis=1).mean(axis=1)
            best = int(others.argmax())
            chosen.append(scores[best, at])
            with_options = " ".join(f"{option}={value}" for option, value in settings[best])
            print(f"  {name}: default {default[name]:.4f}, held out {scores[best, at]:.4f}, "
                  f"own {scores[:, at].max():.4f}; held out with {with_options}")
        print(f"figure default_{tracker}_hota {np.mean([default[n] for n in sequences]):.4f} ratio")
        print(f"figure held_out_{tracker}_hota {np.mean(chosen):.4f} ratio")
        print(f"figure own_{tracker}_hota {scores.max(axis=0).mean():.4f} ratio", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vigil", type=pathlib.Path, required=True)
    parser.add_argument("--mot", type=pathlib.Path, required=True)
    parser.add_argument("--tracker", action="append", choices=list(THEIRS))
    arguments = parser.parse_args()
    arguments.tracker = arguments.tracker or list(THEIRS)
    variants(arguments)
    held_out(arguments)


if __name__ == "__main__":
    main()
