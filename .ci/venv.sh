#!/usr/bin/env bash
# The Python environment .venv: the ONNX Runtime library from PyPI, and what client tests need.
source "$(dirname "$0")/lib.sh"

# The binary calls version 24 of ONNX Runtime's interface, so any release from 1.24 on will do.
onnxruntime=onnxruntime==1.32.0

# A Python that the release has a wheel for, in case it has none for this one: of the wheel only
# the library is used, and that does not depend on Python.
wheel_python=3.12

requirements=tests/requirements.txt
stamp=.venv/vigil-stamp
python=.venv/bin/python

# What the environment was made from; another content makes it anew.
wanted=$(
    echo "$onnxruntime"
    python3 --version
    cat "$requirements"
)

library() { compgen -G '.venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so*'; }

pip() {
    "$python" -m pip --disable-pip-version-check --no-input "$@" --quiet --progress-bar off
}

# Takes the library out of the wheel for another Python.
library_alone() {
    local site
    wheels=$(mktemp -d)
    trap 'rm -rf "$wheels"' EXIT
    pip download --no-deps --only-binary :all: --python-version "$wheel_python" \
        --dest "$wheels" "$onnxruntime"
    site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    "$python" - "$wheels" "$site" <<'PYTHON'
import pathlib, sys, zipfile

(wheel,) = pathlib.Path(sys.argv[1]).glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name.startswith("onnxruntime/capi/libonnxruntime.so"):
            archive.extract(name, sys.argv[2])
PYTHON
}

if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && library >/dev/null; then
    say "Python environment: .venv is there"
    exit 0
fi

say "Python environment: making .venv ($onnxruntime and $requirements)"
rm -f "$stamp"
python3 -m venv --clear .venv
pip install --requirement "$requirements"
if ! pip install "$onnxruntime" 2>/dev/null; then
    note "there is no wheel for $(python3 --version); taking the library from the one for $wheel_python"
    library_alone
fi
library >/dev/null || fail "$onnxruntime came without its library"
echo "$wanted" >"$stamp"
