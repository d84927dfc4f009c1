#!/usr/bin/env bash
# Checks that the lock library builds with each of its features alone, without a warning. In the workspace all of them are
# on at once, so a missing one would be noticed by its first user.
set -euo pipefail
cd "$(dirname "$0")/.."

for features in "" conformance deadpool macros memory postgres redis tls redis,tls postgres,tls; do
    # A toolchain may be a part of it: cargo +stable.
    ${CARGO:-cargo} clippy --quiet --locked -p jaego-lock --lib --no-default-features --features "$features" -- -D warnings || {
        echo "lint: jaego-lock does not build cleanly with the features '$features' alone" >&2
        exit 1
    }
done
