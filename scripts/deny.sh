#!/usr/bin/env bash
# Holds the dependencies to deny.toml. Skipped, and said so, where cargo-deny is not installed.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo-deny >/dev/null; then
    echo "lint: cargo-deny is not installed, so licences and sources were not checked" \
        "(cargo install --locked cargo-deny)" >&2
    exit 0
fi

cargo deny --log-level error check bans licenses sources

# The advisories need RustSec's database, which a closed network does not let through. That is a
# different thing from an advisory that applies to us, so the two are told apart here.
if timeout 60 cargo deny fetch db >/dev/null 2>&1; then
    cargo deny --log-level error check --disable-fetch advisories
else
    echo "lint: the advisory database cannot be fetched, so advisories were not checked" >&2
fi
