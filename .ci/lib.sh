# shellcheck shell=bash disable=SC2034 # The variables are for the scripts that source this.
# What the scripts of this folder share: where things are, and how they speak. Sourced, not run.

set -euo pipefail

# The clone; every script works from there.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# The profile that setup and build use: `fast` for use, demo and benches; `dev` for tests, which
# build in it anyway.
profile=${VIGIL_PROFILE:-fast}
case $profile in
    dev) profile_folder=debug ;;
    *) profile_folder=$profile ;;
esac

# Cargo's target folder, wherever the environment put it, and the one in the clone.
target_folder=${CARGO_TARGET_DIR:-$root/target}
vigil=$root/target/$profile_folder/vigil

# The files that are made once and not committed: models, videos, configuration.
state=$root/.vigil

# Test data and a model mirror, where there are any.
shared=${VIGIL_SHARED:-$root/../shared}

# A step, as a line that stands out.
say() { printf '==> %s\n' "$*"; }

# A detail of a step.
note() { printf '    %s\n' "$*"; }

# Ends the script: what is wrong, and what to do about it.
fail() {
    printf 'error: %s\n' "$1" >&2
    if [ $# -gt 1 ]; then printf 'hint: %s\n' "$2" >&2; fi
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Moves a finished file into its place; a reader of the place sees the old file or the new one.
# An unchanged file is left alone, with its time.
place() {
    if cmp -s "$1" "$2"; then
        rm -f "$1"
    else
        mv -f "$1" "$2"
    fi
}
