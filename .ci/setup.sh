#!/usr/bin/env bash
# From a fresh clone to a working one: system packages, .venv, videos, the binary, models. Run
# again, it looks at each, finds it there, and does nothing.
here=$(dirname "$0")
source "$here/lib.sh"

"$here/packages.sh"
"$here/venv.sh"
"$here/node.sh"
"$here/videos.sh"
"$here/build.sh"
"$here/models.sh"
