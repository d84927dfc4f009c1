#!/usr/bin/env bash
# Measures how fast commands are taken from a stream of Redis: messages that wait when the service starts, each a hold of
# one unit or a charge of a wallet, until each of them has its reply. Redis and the service keep everything durably.
#
#   scripts/intake-speed.sh [JAEGO] [MESSAGES]     default: target/release/jaego 100000
#
# Everything runs on 127.0.0.1 in a temporary folder, and ends with the script.
set -euo pipefail

jaego=${1:-target/release/jaego}
messages=${2:-100000}
folder=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
redis_port=$(port)
http_port=$(port)
redis() { redis-cli -h 127.0.0.1 -p "$redis_port" "$@"; }
await() { # await SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || { echo "waited in vain for: $*" >&2; exit 1; }
        sleep 0.02
    done
}

redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$folder" --save '' \
    --appendonly yes --appendfsync always >"$folder/redis.log" 2>&1 &
pids+=($!)
await 10 redis ping

send() { redis XADD orders '*' command "$1" >/dev/null; }
send '{"op":"set_site","site":"ICN"}'
send '{"op":"set_location","site":"ICN","location":"A-01","kind":"storage"}'
send '{"op":"set_sku","sku":"mug"}'
send '{"op":"adjust","id":"opening","lines":[{"site":"ICN","location":"A-01","sku":"mug","change":1000000000,"account":"opening"}]}'
settings=4
half=$((messages / 2))
redis-benchmark -h 127.0.0.1 -p "$redis_port" -q -n "$half" -r 1000000000 -P 100 -c 4 XADD orders '*' command \
    '{"op":"hold","id":"H__rand_int__","lines":[{"site":"ICN","sku":"mug","quantity":1}]}' >/dev/null
redis-benchmark -h 127.0.0.1 -p "$redis_port" -q -n "$half" -r 1000 -P 100 -c 4 XADD orders '*' command \
    '{"op":"charge","owner":"W__rand_int__","currency":"KRW","amount":5}' >/dev/null
waiting=$(redis XLEN orders)

now_ms() { date +%s%3N; }
"$jaego" serve --data "$folder/data" --listen "127.0.0.1:$http_port" --log warn \
    --intake "redis://127.0.0.1:$redis_port" --stream orders --intake-token admin --replies-max 10000000 \
    >"$folder/jaego.log" 2>&1 &
pids+=($!)
# From the first answer on, so that the start of the service does not count.
await 60 redis XINFO STREAM orders:replies || { cat "$folder/jaego.log" >&2; exit 1; }
begun=$(now_ms)
before=$(redis XLEN orders:replies)
await 100 sh -c "[ \$(redis-cli -h 127.0.0.1 -p $redis_port XLEN orders) = 0 ]"
took=$(($(now_ms) - begun))
replies=$(redis XLEN orders:replies)
((replies == waiting)) || { echo "$waiting messages and $replies replies" >&2; exit 1; }
echo "$((waiting - before)) messages in $took ms: $(((waiting - before) * 1000 / took))/s ($settings of them settings)"
