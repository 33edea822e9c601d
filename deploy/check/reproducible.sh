#!/bin/sh
# Whether the same sources give the same bytes: the binary that image.sh has built, and one built elsewhere, compared.
# Takes as long as a release build from nothing.
. "$(dirname "$0")/lib.sh"
cd "$root"
[ -x "$image_target/release/chatbridge" ] || "$here/image.sh"
# Another path, of another length, and nothing that was built before.
again=$cache/built-again/in/another/folder
rm -rf "$cache/built-again"
mkdir -p "$again"
(cd "$cache/image/build" && tar --exclude=./target -cf - .) | tar -xf - -C "$again"
env -u CARGO_TARGET_DIR "$again/deploy/build.sh"
sha256sum "$image_target/release/chatbridge" "$again/target/release/chatbridge"
cmp "$image_target/release/chatbridge" "$again/target/release/chatbridge" || stop "two builds differ"
! strings -n 8 "$again/target/release/chatbridge" | grep -F "$root" >&2 || stop "the binary knows where it was built"
echo "two builds in two folders are the same $(stat -c %s "$again/target/release/chatbridge") bytes"
