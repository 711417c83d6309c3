#!/usr/bin/env bash
# Formatting and lints; a warning is an error.
source "$(dirname "$0")/lib.sh"

say "cargo fmt"
cargo fmt --all --check
say "cargo clippy"
cargo clippy --workspace --all-targets --quiet -- -D warnings
