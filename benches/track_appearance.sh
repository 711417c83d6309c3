#!/usr/bin/env bash
# What looks add to motion: the people of vtest.avi, followed by three trackers on the same
# detections, OSNet telling what boxes look like.
#
#     benches/track_appearance.sh [FOLDER [STEP]]
#
# Prints for each tracker, as `figure NAME VALUE UNIT`:
#   people_T       distinct ids of people that are left when the video has ended
#   covered_T      share of the boxes of people, from confidence_threshold on, that have an id
#   looked_at_T    boxes whose appearance was asked for, over those from track_high_thresh on, which
#                  are the ones that appearance could decide; looked_at_all_T over all boxes
# With FOLDER every STEPth frame (80th) is saved there, as each tracker has it: T-FRAME.png.
# Needs a built vigil, and the models yolov8n and osnet-x0.25.
set -euo pipefail
cd "$(dirname "$0")/.."

pictures=${1:-} step=${2:-80}
vigil=${VIGIL_BIN:-target/fast/vigil}
video=.vigil/videos/vtest.avi
[ -f "$video" ] || video=${VIGIL_SHARED:-../shared}/data/video/vtest.avi
[ -f "$video" ] || { echo "skipped: there is no vtest.avi"; exit 0; }
[ -d .vigil/models ] && export VIGIL_MODELS=${VIGIL_MODELS:-$PWD/.vigil/models}
detector=${DETECTOR:-yolov8n}

# What is there already costs nothing.
"$vigil" models pull "$detector" osnet-x0.25 >/dev/null || exit 1

work=$(mktemp -d)
server=
finish() {
    local status=$?
    trap - EXIT
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    if [ $status != 0 ] && [ -s "$work/log" ]; then tail -n 20 "$work/log" >&2; fi
    rm -rf "$work"
    exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

port=$(python3 -c 'import socket
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    print(free.getsockname()[1])')
url=postgres://127.0.0.1:$port/vigil
"$vigil" serve --listen "127.0.0.1:$port" --data "$work/data" >"$work/log" 2>&1 &
server=$!

sql() { "$vigil" sql --url "$url" --format csv "$1"; }
# The one value of a query.
value() { sql "$1" | tail -n 1; }

for _ in $(seq 150); do
    value 'SELECT 1' >/dev/null 2>&1 && break
    kill -0 "$server" 2>/dev/null || exit 1
    sleep 0.2
done

looked_at() {
    value "SELECT coalesce(sum(items), 0) FROM vigil_catalog.model_metrics WHERE task = 'reid'"
}
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4f", (b > 0 ? a / b : 0) }'; }

columns='frame_number, class_name, confidence, x1, y1, x2, y2'
for tracker in bytetrack deepsort strongsort; do
    before=$(looked_at)
    sql "CREATE SOURCE $tracker FROM '$video' WITH (tracker = '$tracker', detector = '$detector',
        captioner = 'none', embedder = 'none');
        WAIT FOR SOURCE $tracker TIMEOUT '20 minutes'" >/dev/null
    looked=$(($(looked_at) - before))
    of="source = '$tracker' AND NOT interpolated"
    other=$(value "SELECT count(*) FROM (
        SELECT $columns FROM detections WHERE source = 'bytetrack' AND NOT interpolated
        EXCEPT SELECT $columns FROM detections WHERE $of)")
    if [ "$other" != 0 ]; then
        echo "error: $other detections of bytetrack are none of $tracker" >&2
        exit 1
    fi
    errors=$(value "SELECT count(*) FROM vigil_catalog.source_errors WHERE source = '$tracker'")
    if [ "$errors" != 0 ]; then
        echo "error: source $tracker has $errors errors" >&2
        exit 1
    fi
    people=$(value "SELECT count(*) FROM tracks WHERE source = '$tracker' AND class_name = 'person'")
    lost=$(value "SELECT count(*) FROM detections d LEFT JOIN tracks t USING (source, track_id)
        WHERE d.source = '$tracker' AND d.track_id IS NOT NULL AND t.track_id IS NULL")
    if [ "$lost" != 0 ]; then
        echo "error: $lost detections of $tracker have the id of a track that is not there" >&2
        exit 1
    fi
    sure="$of AND class_name = 'person' AND confidence >= 0.5"
    covered=$(ratio "$(value "SELECT count(track_id) FROM detections WHERE $sure")" \
        "$(value "SELECT count(*) FROM detections WHERE $sure")")
    all=$(value "SELECT count(*) FROM detections WHERE $of")
    high=$(value "SELECT count(*) FROM detections WHERE $of AND confidence >= 0.6")
    echo "$tracker: $all boxes, $high from 0.6 on, $looked looked at"
    echo "figure people_$tracker $people ids"
    echo "figure covered_$tracker $covered ratio"
    if [ "$tracker" != bytetrack ]; then
        echo "figure looked_at_$tracker $(ratio "$looked" "$high") ratio"
        echo "figure looked_at_all_$tracker $(ratio "$looked" "$all") ratio"
    fi
    if [ -n "$pictures" ]; then
        mkdir -p "$pictures"
        last=$(value "SELECT max(frame_number) FROM frames WHERE source = '$tracker'")
        for frame in $(seq 0 "$step" "$last"); do
            "$vigil" snapshot "$tracker" "$frame" --url "$url" \
                -o "$pictures/$tracker-$(printf %04d "$frame").png" >/dev/null
        done
        sql "SELECT frame_number, track_id, class_name, confidence, x1, y1, x2, y2, interpolated
            FROM detections WHERE source = '$tracker' AND track_id IS NOT NULL
            ORDER BY frame_number, track_id" >"$pictures/$tracker.csv"
    fi
done
