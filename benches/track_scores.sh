#!/usr/bin/env bash
# Our trackers and those of PyPI's `trackers` on the same detections, both scored by TrackEval.
# Needs a built vigil, and trackers, supervision and trackeval in the Python environment.
set -euo pipefail
cd "$(dirname "$0")/.."

mot=${VIGIL_SHARED:-../shared}/data/mot
vigil=${VIGIL_BIN:-target/fast/vigil}
python=${VIGIL_BENCH_PYTHON:-.venv/bin/python}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# compare SCORE SEQUENCE...
compare() {
    local score=$1 tracker wanted=() theirs=()
    shift
    for sequence in "$@"; do wanted+=(--sequence "$sequence"); done
    [ "$score" = sigmoid ] && theirs=(--score sigmoid)
    for tracker in bytetrack ocsort; do
        echo "== trackers 2.6.1, $tracker: $*"
        "$python" benches/track_reference.py run --tracker "$tracker" --mot "$mot" "${wanted[@]}" \
            "${theirs[@]}" --out "$out/theirs"
        "$python" benches/track_reference.py score --results "$out/theirs" --mot "$mot" "${wanted[@]}"
    done
    for tracker in iou bytetrack ocsort deepsort strongsort; do
        echo "== vigil, $tracker: $*"
        "$vigil" eval track --tracker "$tracker" --mot "$mot" "${wanted[@]}" --score "$score" \
            --out "$out/ours" >/dev/null
        "$python" benches/track_reference.py score --results "$out/ours" --mot "$mot" "${wanted[@]}"
    done
}

compare confidence TUD-Campus TUD-Stadtmitte
compare sigmoid KITTI-000{0..9}
