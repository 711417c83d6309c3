#!/usr/bin/env bash
# Every test: with cargo-nextest where it is installed, which does not run the documentation's.
source "$(dirname "$0")/lib.sh"

if [ ! -d "$shared" ]; then
    note "there is no test data at $shared: the tests that need it say that they skip"
fi
"$(dirname "$0")/sqlx.sh"
# The reference of the sentence embedders' parity; setup does not need it.
if [ ! -f "$state/models/all-minilm-l6-v2/model.onnx" ]; then
    say "float32 weights of all-minilm-l6-v2, for the parity test"
    VIGIL_MODELS=$state/models "$root/target/debug/vigil" models pull all-minilm-l6-v2 >/dev/null 2>&1 ||
        note "they could not be had: that test says that it skips"
fi
if have cargo-nextest; then
    runner=(cargo nextest run --workspace)
else
    runner=(cargo test --workspace --lib --bins --tests --examples)
fi
status=0
say "documentation examples"
cargo test --doc --workspace || status=$?
say "${runner[*]}"
"${runner[@]}" || status=$?
exit $status
