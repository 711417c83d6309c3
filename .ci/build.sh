#!/usr/bin/env bash
# Builds the binary and leaves it at target/fast/vigil (target/debug/vigil with
# VIGIL_PROFILE=dev), with the ONNX Runtime library beside it.
source "$(dirname "$0")/lib.sh"

say "building vigil (profile $profile; some minutes the first time)"
cargo build --profile "$profile" --bin vigil

# With CARGO_TARGET_DIR elsewhere, the usual place leads there.
built=$(cd "$target_folder/$profile_folder" && pwd)
if [ "$built" != "$root/target/$profile_folder" ]; then
    mkdir -p "target/$profile_folder"
    ln -sfn "$built/vigil" "$vigil"
fi

# A copy, as the target folder may outlive this clone and its .venv.
library=$(compgen -G '.venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so*' | head -n 1) || true
if [ -z "$library" ]; then
    fail "there is no ONNX Runtime library in .venv" "Run \"make setup\"."
fi
cp "$library" "$built/.libonnxruntime.so.new"
place "$built/.libonnxruntime.so.new" "$built/libonnxruntime.so"
note "target/$profile_folder/vigil is ready"
