#!/usr/bin/env bash
# Every test: with cargo-nextest where it is installed, which does not run the documentation's.
source "$(dirname "$0")/lib.sh"

if [ ! -d "$shared" ]; then
    note "there is no test data at $shared: the tests that need it say that they skip"
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
