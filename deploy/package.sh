#!/bin/sh
# Makes the Debian package: prints its path. Needs cargo-deb (`cargo install cargo-deb`; deploy/check brings its own).
# A man page, once the program can write one, goes here and into the assets of [package.metadata.deb].
set -eu

cd "$(dirname "$0")/.."
# The binary that is there, where somebody else has built it already (CARGO_TARGET_DIR).
[ "${1:-}" = --no-build ] || deploy/build.sh >&2
exec cargo deb --quiet --locked --no-build
