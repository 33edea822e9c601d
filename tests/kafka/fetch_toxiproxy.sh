#!/bin/sh
# Prints the path of toxiproxy's server, after building it if it is not there yet. Exit code 69: there is no Go (1.19).
#
# Its releases are on GitHub; the Go module proxy, and Go to build it, are what everybody reaches. 2.8 is the last line
# that Debian 12's Go 1.19 builds. Its hash is checked against sum.golang.org.
set -eu

version=v2.8.0
here=$(cd "$(dirname "$0")" && pwd)
cache="$here/../.cache/toxiproxy"
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
final="$cache/$version"
if [ -x "$final/server" ]; then
    echo "$final/server"
    exit 0
fi

minor=$(go version 2>/dev/null | sed -n 's/.* go1\.\([0-9]*\).*/\1/p')
[ "${minor:-0}" -ge 19 ] || exit 69

# Built beside its place and renamed when whole, so that half a program never looks finished.
part="$cache/.$version.$$"
trap 'rm -rf "$part"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$part"
echo "building toxiproxy $version from the Go module proxy" >&2
# From a folder without a go.mod: nothing here is a module.
cd "$part"
GOBIN="$part" GOFLAGS='' CGO_ENABLED=0 go install -trimpath "github.com/Shopify/toxiproxy/v2/cmd/server@$version" \
    >"$part/go.log" 2>&1 || {
    cat "$part/go.log" >&2
    echo "building toxiproxy $version failed (see above)" >&2
    exit 1
}
rm "$part/go.log"

# Another process may have been quicker. Its program is as good as ours.
if [ ! -x "$final/server" ]; then
    rm -rf "$final"
    mv "$part" "$final"
    rm -rf "${final:?}/${part##*/}" # only there if another process came between the two lines above
fi
echo "$final/server"
