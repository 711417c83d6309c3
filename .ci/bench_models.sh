#!/usr/bin/env bash
# The figures of the models: what Python needs for its side of them, the captioner that one of them
# is about, and the bench. What cannot be had costs its figure and not the others. Words are figures
# to measure, such as `embed`; without any, all are.
source "$(dirname "$0")/lib.sh"

captioner=$state/bench/blip-6-layers

say "Python's side: tokenizers in .venv, which has numpy"
.venv/bin/python -m pip --disable-pip-version-check --no-input --quiet install \
    tokenizers==0.22.1 || note "pip could not install them: embed_over_python is left out"

# A Python that has torch already, such as Debian's with python3-torch, spares a download of several GB.
with_torch() {
    local python
    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import torch' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    echo .venv/bin/python
}

if [ -f "$captioner/text_decoder_with_past.onnx" ]; then
    say "captioner of 6 layers: .vigil/bench/blip-6-layers is there"
else
    say "captioner of 6 layers: .vigil/bench/blip-6-layers"
    rm -rf "$captioner.new"
    mkdir -p "$state/bench"
    # Its sentences never end before the longest length, so that both ways say as many tokens.
    if "$(with_torch)" models/export/tiny_blip.py --layers 6 --hidden 256 --end=-20 \
        --output "$captioner.new"; then
        mv "$captioner.new" "$captioner"
    else
        note "it could not be made: caption_cache_over_none is left out"
    fi
fi

cargo bench --profile fast --bench models -- "$@"
