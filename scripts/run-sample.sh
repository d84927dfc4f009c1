#!/usr/bin/env bash
# Starts a server on a data folder and, the first time, loads examples/adventureworks into it.
#
#   DATA    the folder (./data)      LISTEN  the address (127.0.0.1:7878)
#   JAEGO   the binary (target/release/jaego)
#
# Running it again on the same folder starts the server and loads nothing. The admin token, which the
# server shows only once, is kept in DATA/admin.token, readable by its owner only.
set -euo pipefail
umask 077
cd "$(dirname "$0")/.."

data=${DATA:-./data}
listen=${LISTEN:-127.0.0.1:7878}
jaego=${JAEGO:-target/release/jaego}
sample=examples/adventureworks
ready_wait_s=60

export JAEGO_URL=http://$listen
token_file=$data/admin.token
loaded=$data/sample-loaded

say() { printf '%s\n' "$*" >&2; }
die() { say "run: $*"; exit 1; }

scripts/needs.sh sample
if [[ -d $data && ! -s $token_file && -n $(ls -A "$data") ]]; then
    die "$data has something in it but no admin.token, so it was not made here. Name another folder: make run DATA=./other"
fi
if curl -sf -o /dev/null --max-time 2 "$JAEGO_URL/healthz"; then
    die "a server already answers at $JAEGO_URL. Stop it, or choose another address: make run LISTEN=127.0.0.1:7879"
fi
mkdir -p "$data"

# The server's output goes through us, so that the token lands in its file and nowhere else.
exec {output}< <(exec "$jaego" serve --data "$data" --listen "$listen")
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
while IFS= read -r line; do
    case $line in
    'admin token: '*) printf '%s\n' "${line#admin token: }" >"$token_file" ;;
    *) printf '%s\n' "$line" ;;
    esac
done <&"$output" &

deadline=$((SECONDS + ready_wait_s))
until [[ -s $token_file ]] && curl -sf -o /dev/null --max-time 2 "$JAEGO_URL/readyz"; do
    kill -0 "$server" 2>/dev/null || die "the server ended before it was ready"
    ((SECONDS < deadline)) || die "the server was not ready after $ready_wait_s s"
    sleep 0.1
done
JAEGO_TOKEN=$(<"$token_file")
export JAEGO_TOKEN

# One mark for each file that is in, so that a load which was interrupted goes on where it stopped.
mkdir -p "$loaded"
load() { # load NOUN FILE
    [[ -e $loaded/$1 ]] && return
    "$jaego" import "$1" "$sample/$2"
    : >"$loaded/$1"
}
load sites sites.csv
load locations locations.csv
load skus skus.csv
load stock stock.csv
load transfers transfers.jsonl

say "
Jaego answers at $JAEGO_URL

  export JAEGO_URL=$JAEGO_URL
  export JAEGO_TOKEN=$JAEGO_TOKEN

The token is in $token_file. Press Ctrl-C to stop; \`make clean-data\` deletes the folder."
wait "$server"
