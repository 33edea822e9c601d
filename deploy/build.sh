#!/bin/sh
# Builds the one binary that the image and the Debian package hold: target/release/chatbridge.
#
# OpenSSL stays Debian's, and is mended by its updates; zlib is built in, since small images do not have it. No path of
# the machine that builds gets into the binary; deploy/check/reproducible.sh compares two builds.
set -eu

cd "$(dirname "$0")/.."
root=$(pwd)
registry=${CARGO_HOME:-$HOME/.cargo}
target=${CARGO_TARGET_DIR:-$root/target}

RUSTFLAGS="--remap-path-prefix=$root=/src --remap-path-prefix=$registry=/cargo ${RUSTFLAGS:-}"
CFLAGS="-ffile-prefix-map=$target=/target -ffile-prefix-map=$registry=/cargo ${CFLAGS:-}"
export RUSTFLAGS CFLAGS
exec cargo build --release --locked --package chatbridge --features rdkafka/libz-static "$@"
