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

token_file=$data/admin.token
loaded=$data/sample-loaded
# From before anything else is in the folder: a start that fails leaves one that can be tried again, and cleaned.
ours=$data/made-by-run

say() { printf '%s\n' "$*" >&2; }
die() { say "run: $*"; exit 1; }

if [[ -d $data && ! -e $ours && -n $(ls -A "$data") ]]; then
    die "$data has something in it that was not made here. Name another folder: make run DATA=./other"
fi
mkdir -p "$data"
: >"$ours"

# The server's output goes through us, so that the token lands in its file and nowhere else.
exec {output}< <(exec "$jaego" serve --data "$data" --listen "$listen")
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# Its last line says where it listens, and comes when it takes requests.
JAEGO_URL=
while [[ -z $JAEGO_URL ]] && IFS= read -r -t "$ready_wait_s" line <&"$output"; do
    case $line in
    'admin token: '*) printf '%s\n' "${line#admin token: }" >"$token_file" ;;
    'listening on '*) JAEGO_URL=${line#listening on } ;;
    esac
done
if [[ -z $JAEGO_URL ]]; then
    kill -0 "$server" 2>/dev/null && die "the server was not ready after $ready_wait_s s"
    die "the server ended before it was ready. Where its address is taken, choose another: make run LISTEN=127.0.0.1:7879"
fi
JAEGO_TOKEN=$(<"$token_file")
export JAEGO_URL JAEGO_TOKEN

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

Read and try the API: $JAEGO_URL/docs
The token is in $token_file. Press Ctrl-C to stop; \`make clean-data\` deletes the folder."
wait "$server"
