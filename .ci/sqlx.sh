#!/usr/bin/env bash
# The test's client of sqlx, in .vigil/sqlx: Cargo builds it where nothing else is, see its Cargo.toml.
source "$(dirname "$0")/lib.sh"

folder=$root/sql/tests/it/clients/sqlx
say "sqlx: .vigil/sqlx"
# Most of the time goes into compiling, so nothing is optimised.
CARGO_TARGET_DIR=$state/sqlx cargo build --quiet --locked --manifest-path "$folder/Cargo.toml"
