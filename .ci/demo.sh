#!/usr/bin/env bash
# The demo: starts a server, registers a real video, asks questions over the wire with psql, and
# writes an annotated frame. `make demo` runs setup first; `make demo VIDEO=FILE` takes another
# video.
source "$(dirname "$0")/lib.sh"

# The source's name, and how long the video may take before the demo gives up.
name=demo
patience='20 minutes'
picture=$state/demo.png

# The demo runs with what setup fetched, whatever else this user has.
export VIGIL_MODELS=$state/models VIGIL_CONFIG=$state/vigil.toml

# As a user would write it: the server takes it from the folder that it was started in.
video=${VIDEO:-.vigil/videos/vtest.avi}
if [ -z "${VIDEO:-}" ] && [ ! -f "$video" ]; then video=.vigil/videos/bikes.mp4; fi
[ -f "$video" ] || fail "there is no video $video" "Run \"make setup\"."
[ -x "$vigil" ] || fail "there is no $vigil" "Run \"make build\"."

work=$(mktemp -d)
log=$work/server.log
server=
waiter=

# Whatever way the demo ends, no process and no file of it is left; when it fails, the server's
# own words are shown.
finish() {
    local status=$?
    trap - EXIT
    if [ -n "$waiter" ]; then kill "$waiter" 2>/dev/null || true; fi
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    if [ $status != 0 ] && [ -s "$log" ]; then
        echo >&2
        echo "The demo failed. The server's log ends with:" >&2
        tail -n 40 "$log" >&2
    fi
    rm -rf "$work"
    exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() {
    "$root/.venv/bin/python" -c 'import socket
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    print(free.getsockname()[1])'
}

# One statement in psql, without the user's own settings.
client() {
    PGCONNECT_TIMEOUT=10 psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set VERBOSITY=verbose \
        --pset pager=off --pset footer=off "$@" "$address"
}

# The bare values of one row, with | between them.
value() { client --no-align --tuples-only --command "$1"; }

# ask NUMBER QUESTION STATEMENT [psql's options]: the statement as a user would type it, and the
# answer. A plan has the whole vector of a sentence in it, which nobody reads: it is shortened.
ask() {
    local number=$1 question=$2 statement=$3
    shift 3
    printf '\n%s. %s\n\n' "$number" "$question"
    printf '%s\n' "$statement" | sed 's/^/   vigil=> /; 2,$s/vigil=>/vigil->/'
    echo
    client "$@" --command "$statement" |
        sed -E 's/\[(-?[0-9.]+(e-?[0-9]+)?, ){8,}[^]]*\]/[… the vector …]/g; s/ +$//'
}

start_server() {
    local port
    port=$(free_port)
    address=postgresql://vigil@127.0.0.1:$port/vigil
    "$vigil" serve --listen "127.0.0.1:$port" --data "$work/data" >"$log" 2>&1 &
    server=$!
    local try
    for try in $(seq 150); do
        if value 'SELECT 1' >/dev/null 2>&1; then return; fi
        kill -0 "$server" 2>/dev/null || fail "the server ended before it listened"
        sleep 0.2
    done
    fail "the server did not answer after $((try / 5)) seconds"
}

# bar DONE TOTAL RATE: one line; on a terminal it replaces the one before.
bar() {
    awk -v done="$1" -v total="$2" -v rate="$3" -v tty="$([ -t 1 ] && echo 1)" 'BEGIN {
        width = 32
        if (total < done) total = done
        share = total > 0 ? done / total : 0
        for (i = 0; i < width; i++) line = line (i < share * width ? "#" : ".")
        eta = "unknown"
        if (rate > 0) eta = sprintf("%d s", (total - done) / rate + 0.5)
        if (done == total) eta = "0 s"
        text = sprintf("    [%s] %d/%d frames, %.1f frames/s, ETA %s", line, done, total, rate, eta)
        printf((tty ? "\r\033[K%s" : "%s\n"), text)
    }'
}

# Draws the bar until the source has ended; fails when the source does.
watch_source() {
    client --command "WAIT FOR SOURCE $name TIMEOUT '$patience'" >"$work/wait.log" 2>&1 &
    waiter=$!
    local polls=0 row frames total rate
    while :; do
        local waiting=yes
        kill -0 "$waiter" 2>/dev/null || waiting=
        row=$(value "SELECT s.frames_processed, coalesce(c.total_frames, 0), s.frames_per_second
            FROM vigil_catalog.source_statistics AS s
            JOIN vigil_catalog.sources AS c ON c.name = s.source WHERE c.name = '$name'")
        IFS='|' read -r frames total rate <<<"$row"
        # A log keeps every line, so it gets fewer of them.
        if [ -t 1 ] || [ -z "$waiting" ] || [ $((polls % 5)) = 0 ]; then
            bar "$frames" "$total" "$rate"
        fi
        if [ -z "$waiting" ]; then break; fi
        polls=$((polls + 1))
        sleep 1
    done
    if [ -t 1 ]; then echo; fi
    local process=$waiter
    waiter=
    wait "$process" || {
        cat "$work/wait.log" >&2
        fail "the video could not be processed"
    }
}

say "starting a server"
start_server
note "vigil serve, log in $log while it runs"

say "registering $(basename "$video")"
create="CREATE SOURCE $name FROM '$video'"
note "$create;"
client --command "$create"
watch_source

IFS='|' read -r detector tracker captioner embedder < <(value \
    "SELECT detector, tracker, captioner, embedder FROM vigil_catalog.sources WHERE name = '$name'")
say "models that ran: detector $detector, tracker $tracker, captioner $captioner, embedder $embedder"
if [ "$captioner" = none ]; then
    note "no captioner could be had here, so the captions list the detected objects alone"
fi

ask 1 "Which sources are there?" "SHOW SOURCES;"
ask 2 "How many people were there in each 10 seconds?" \
    "SELECT date_bin(INTERVAL '10 seconds', ts) AS since, count(DISTINCT track_id) AS people
FROM detections WHERE source = '$name' AND class_name = 'person'
GROUP BY 1 ORDER BY 1;"
ask 3 "Which five tracks were the longest?" \
    "SELECT track_id, class_name, first_ts, last_ts, last_ts - first_ts AS length
FROM tracks WHERE source = '$name' ORDER BY length DESC, track_id LIMIT 5;"
captions=$(value "SELECT count(*) FROM captions WHERE source = '$name'")
ask 4 "What is on the key frames? There are $captions; these are the first 20." \
    "SELECT frame_number, ts, caption FROM captions
WHERE source = '$name' ORDER BY frame_number LIMIT 20;"
if [ "$embedder" = none ]; then
    echo
    note "no embedder could be had here, so nothing can be searched by meaning"
else
    nearest="SELECT frame_number, caption FROM captions
ORDER BY embedding <=> embed('two people walking together') LIMIT 5;"
    ask 5 "Which captions come nearest to a sentence?" "$nearest"
    ask 6 "How is that found?" "EXPLAIN $nearest" --no-align
fi

echo
say "an annotated frame"
frame=$(value "SELECT frame_number FROM frames WHERE source = '$name' AND keyframe
    ORDER BY total_objects DESC, frame_number LIMIT 1")
"$vigil" snapshot "$name" "$frame" -o "$picture" --url "$address"
[ -s "$picture" ] || fail "no picture was written"
note "frame $frame with boxes, classes, tracks and confidences: .vigil/demo.png"

say "stopping the server"
kill "$server"
stopped=0
wait "$server" || stopped=$?
server=
[ $stopped = 0 ] || fail "the server ended with status $stopped"

cat <<EOF

To go on from here, start a server in one terminal and connect from another:

    target/$profile_folder/vigil serve
    psql -h 127.0.0.1 -p 7432 -U vigil vigil

EOF
