#!/usr/bin/env bash
# Checks that the two crates of the locks could be published: what would go to a registry is packed, unpacked in a workspace
# of its own, and checked there with all features. Uses what is in cargo's cache already, so nothing is fetched.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo=${CARGO:-cargo}
target=${CARGO_TARGET_DIR:-target}
alone=$target/package/alone

if grep -n '](\.\.' crates/lock/README.md crates/lock-macros/README.md 2>/dev/null; then
    echo "lint: a README of the locks has a link that leads out of the package" >&2
    exit 1
fi

# The lock file would name a package that is in no registry yet.
rm -rf "$target"/package/jaego-lock*.crate "$alone"
$cargo package --quiet --locked --offline --allow-dirty --no-verify --exclude-lockfile -p jaego-lock-macros -p jaego-lock \
    --target-dir "$target"

mkdir -p "$alone"
for crate in "$target"/package/jaego-lock*.crate; do
    tar -xzf "$crate" -C "$alone"
done
macros=$(basename "$alone"/jaego-lock-macros-*)
cat > "$alone/Cargo.toml" <<TOML
[workspace]
resolver = "3"
members = ["jaego-lock*"]
[patch.crates-io]
jaego-lock-macros = { path = "$macros" }
TOML
# With the same profile, most of what they need has been built for the checks before this one.
sed -n '/^\[profile\.dev/,/^$/p' Cargo.toml >> "$alone/Cargo.toml"
cp Cargo.lock "$alone"
$cargo check --quiet --offline --manifest-path "$alone/Cargo.toml" --workspace --lib --all-features --target-dir "$target" || {
    echo "lint: the locks do not build from what would be published" >&2
    exit 1
}
