#!/usr/bin/env bash
# node-postgres for the tests with clients, in .vigil/node.
source "$(dirname "$0")/lib.sh"

wanted=pg@8.23.1
folder=$state/node
stamp=$folder/stamp

if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    say "node-postgres: .vigil/node is there"
    exit 0
fi
say "node-postgres: filling .vigil/node ($wanted)"
rm -rf "$folder"
mkdir -p "$folder"
npm install --prefix "$folder" --silent --no-audit --no-fund "$wanted"
echo "$wanted" >"$stamp"
