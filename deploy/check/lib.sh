# shellcheck shell=sh
# shellcheck disable=SC2034 # the variables are for those who source this
# What the checks share: where things are, and how each tool gets here. Sourced by the others.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/deploy/check
cache=$root/tests/.cache/deploy
export PATH="$cache/tools/bin:${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
mkdir -p "$cache/tools/bin"

say() { echo "deploy-check: $*" >&2; }
stop() {
    say "$*"
    exit 1
}

# Where image.sh builds; the package and the dashboard's check use what it built.
image_target=$cache/image/build/target

# Sets $binary: the one CHATBRIDGE_BINARY names, else the image's, which is built first where it is missing.
with_binary() {
    binary=${CHATBRIDGE_BINARY:-$image_target/release/chatbridge}
    [ -x "$binary" ] || "$here/image.sh"
}

# cargo_tool NAME VERSION: built without optimising, which is the quicker way to one run of it.
cargo_tool() {
    [ -x "$cache/tools/bin/$1" ] && [ -e "$cache/tools/$1-$2" ] && return
    say "building $1 $2 (crates.io)"
    CARGO_TARGET_DIR=$cache/build cargo install --quiet --debug --locked --root "$cache/tools" "$1@$2"
    touch "$cache/tools/$1-$2"
}

# go_tool NAME MODULE VERSION: versions that Debian 12's Go can build.
go_tool() {
    [ -x "$cache/tools/bin/$1" ] && [ -e "$cache/tools/$1-$3" ] && return
    say "building $1 $3 (Go module proxy)"
    GOBIN=$cache/tools/bin GOFLAGS=-modcacherw go install "$2@$3"
    touch "$cache/tools/$1-$3"
}

# Sets $python, with requirements.txt installed.
with_python() {
    venv=$cache/python
    python=$venv/bin/python
    cmp -s "$here/requirements.txt" "$venv/requirements.txt" && return
    say "installing $(grep -c '^[a-z]' "$here/requirements.txt") Python packages (PyPI)"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv"
}

# Sets $prometheus to the folder with prometheus and promtool: those on the PATH, else Debian's, unpacked and not
# installed, for the package would start a server on port 9090.
with_prometheus() {
    if command -v promtool >/dev/null && command -v prometheus >/dev/null; then
        prometheus=$(dirname "$(command -v prometheus)")
        return
    fi
    prometheus=$cache/debian/usr/bin
    debian_files "$cache/debian" prometheus
}

# debian_files FOLDER PACKAGE…: the packages' files, unpacked and not installed.
debian_files() {
    folder=$1
    shift
    mkdir -p "$folder" "$cache/apt"
    for package; do
        [ -e "$cache/apt/$package.${folder##*/}" ] && continue
        say "fetching $package (apt)"
        rm -f "$cache"/apt/*.deb
        (cd "$cache/apt" && apt-get -qq download "$package" 2>log) || {
            cat "$cache/apt/log" >&2
            stop "$package cannot be had: run apt-get update, or see why above"
        }
        dpkg-deb -x "$cache"/apt/*.deb "$folder"
        touch "$cache/apt/$package.${folder##*/}"
    done
}
