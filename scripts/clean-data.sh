#!/usr/bin/env bash
# Deletes the folder that `make run` made. Anything else is left alone, whatever DATA says.
set -euo pipefail

data=${DATA:-./data}
[[ -e $data ]] || exit 0
if [[ ! -f $data/made-by-run ]]; then
    echo "clean-data: $data was not made by \`make run\`, so it stays" >&2
    exit 1
fi
rm -rf -- "$data"
echo "clean-data: deleted $data" >&2
