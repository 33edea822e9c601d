#!/bin/sh
# Makes the Debian package: prints its path. Needs cargo-deb (`cargo install cargo-deb`; deploy/check brings its own).
set -eu

cd "$(dirname "$0")/.."
# The binary that is there, where somebody else has built it already (CARGO_TARGET_DIR).
[ "${1:-}" = --no-build ] || deploy/build.sh >&2

# Manual pages and completions, by the program itself. Not below target/release, where cargo-deb would leave the pages
# uncompressed.
chatbridge=${CARGO_TARGET_DIR:-target}/release/chatbridge
made=target/package
rm -rf "$made"
mkdir -p "$made/man"
"$chatbridge" man --dir "$made/man"
for shell in bash zsh fish; do
    "$chatbridge" completions "$shell" >"$made/chatbridge.$shell"
done
exec cargo deb --quiet --locked --no-build
