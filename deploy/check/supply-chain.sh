#!/bin/sh
# What chatbridge is made of: licences, sources and known defects by cargo-deny, the bill of materials, and that nothing
# is ever built from other versions than Cargo.lock's.
. "$(dirname "$0")/lib.sh"
cd "$root"
cargo_tool cargo-deny 0.20.2

cargo deny --locked --log-level error check licenses bans sources
# The database of advisories comes from GitHub, which not every network reaches.
if cargo deny --locked --log-level error check advisories >"$cache/advisories.log" 2>&1; then
    echo "advisories: none"
elif grep -q 'failed to fetch advisory database' "$cache/advisories.log"; then
    say "advisories were NOT looked at: github.com/RustSec/advisory-db cannot be reached from here"
else
    cat "$cache/advisories.log" >&2
    exit 1
fi

"$here/sbom.sh"

unlocked=$(grep -nE '^[^#]*\bcargo (build|run|test|doc|install|deb|tree)\b' Makefile Dockerfile deploy/*.sh deploy/check/*.sh |
    grep -v -e --locked -e 'grep -nE' -e '`cargo' || true)
[ -z "$unlocked" ] || stop "without --locked: $unlocked"
