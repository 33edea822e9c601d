#!/bin/sh
# Runs every fuzz target for FUZZ_SECONDS (600), one after the other, within 256 MiB of memory each.
#
# What reached new code is kept in target/fuzz-corpus and goes on from there; what breaks something is written to
# target/fuzz-artifacts, and the run stops with it. `target/<host>/release/<target> <file>` does it once more.
set -eu

cargo_fuzz=0.13.1
memory=256 # MiB
seconds=${FUZZ_SECONDS:-600}

cd "$(dirname "$0")/../.."
PATH=$PWD/target/tools/bin:$PATH
[ "$(cargo-fuzz --version 2>/dev/null)" = "cargo-fuzz $cargo_fuzz" ] ||
    cargo install --locked --quiet --root target/tools --version "$cargo_fuzz" cargo-fuzz

# It stands in for a nightly compiler.
export RUSTC_BOOTSTRAP=1
# Optimised over all crates, each target would take as long to build as it runs; and what breaks is to have a name.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_STRIP=none

# No sanitizer: there is no unsafe code here to watch.
cargo fuzz build --fuzz-dir tests/fuzz --sanitizer none
built=target/$(rustc -vV | sed -n 's/^host: //p')/release

# fuzz TARGET FOLDER…: the folders hold what it begins with.
fuzz() {
    target=$1
    shift
    corpus=target/fuzz-corpus/$target
    mkdir -p "$corpus" target/fuzz-artifacts
    dictionary=
    [ ! -e "tests/fuzz/$target.dict" ] || dictionary=-dict=tests/fuzz/$target.dict
    # Not by way of cargo, whose memory would count for the target's: the system hands its peak on.
    "$built/$target" "$corpus" "$@" ${dictionary:+"$dictionary"} -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb="$memory" -malloc_limit_mb="$memory" -print_final_stats=1 \
        -artifact_prefix="target/fuzz-artifacts/$target-"
}

fuzz green_api_body tests/fixtures
fuzz chatapp_frame tests/fuzz/frames tests/fixtures/chatapp
fuzz webhook_head tests/fuzz/heads
