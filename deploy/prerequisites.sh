#!/bin/sh
# Installs what is missing on this machine to build chatbridge, or to build and test it.
#
#   deploy/prerequisites.sh build | test | bench | deploy-check
#
# On Debian and Ubuntu by apt (as root, else through sudo), Rust by rustup. Elsewhere it names what to install and
# stops. Java, Maven, Python, Node, Go and Chromium serve only the tests against a real Kafka or in a real browser, which
# are skipped without them: where they cannot be installed it says so and goes on, unless CI=true. When nothing is missing
# it says nothing.
set -eu

goal=${1:-}
case $goal in
    build | test | bench | deploy-check) ;;
    *) echo "usage: $0 build|test|bench|deploy-check" >&2 && exit 64 ;;
esac
root=$(cd "$(dirname "$0")/.." && pwd)
rust_wanted=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' "$root/Cargo.toml")

# A rustup from earlier may not be on the PATH of this shell yet. The Makefile does the same.
PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
export PATH

say() { echo "prerequisites: $*" >&2; }
stop() {
    say "$*"
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# --- What is missing? Asked of the tools themselves, not of a package manager: they may have come another way. ---

have_headers() { printf '#include <stdlib.h>\n' | cc -E - >/dev/null 2>&1; }
have_certificates() { [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/ssl/cert.pem ] || [ -n "${SSL_CERT_FILE:-}" ]; }

have_jdk() {
    java=java
    [ -z "${JAVA_HOME:-}" ] || java=$JAVA_HOME/bin/java
    have "$java" || return 1
    # version "17.0.15", or "1.8.0_292" before Java 9
    major=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    [ "${major:-0}" -ge 17 ] || return 1
    # The compiler comes with a JDK and not with a runtime. Looking for it beside java is quicker than asking.
    home=$(dirname "$(readlink -f "$(command -v "$java")")")
    [ -x "$home/javac" ] || "$java" --describe-module jdk.compiler >/dev/null 2>&1
}

# Debian's python3 has venv, but not the ensurepip that it needs, until python3-venv is installed.
have_python() { python3 -I -S -c 'import importlib.util as i; i.find_spec("venv").name + i.find_spec("ensurepip").name' >/dev/null 2>&1; }

have_node() {
    have node || return 1
    major=$(node --version | sed -n 's/^v\([0-9]*\).*/\1/p')
    [ "${major:-0}" -ge 18 ]
}

have_go() {
    have go || return 1
    minor=$(go version | sed -n 's/.* go1\.\([0-9]*\).*/\1/p')
    [ "${minor:-0}" -ge 19 ]
}
have_browser() { have chromium || have chromium-browser || have google-chrome; }

# In the names of Debian's packages, but for "jdk".
missing_to_build() {
    have cc || echo gcc
    have c++ || echo g++ # librdkafka's configure asks for it, though its C++ half is not used
    have_headers || echo libc6-dev
    have make || echo make
    have pkg-config || echo pkg-config
    pkg-config --exists 'openssl >= 1.1.1' 2>/dev/null || echo libssl-dev
    pkg-config --exists zlib 2>/dev/null || echo zlib1g-dev
    have_certificates || echo ca-certificates
}
missing_to_test() {
    [ "$goal" != build ] || return 0
    have_jdk || echo jdk
    have mvn || echo maven
    have python3 || echo python3
    have_python || echo python3-venv
    have_node || echo nodejs
    have npm || echo npm
    have_go || echo golang-go # builds toxiproxy
    have_browser || echo chromium
    [ "$goal" != bench ] || have wrk || echo wrk
}

rust_fits() {
    have cargo || return 1
    version=$(cargo --version 2>/dev/null | cut -d' ' -f2)
    version=${version%%-*} # 1.90.0-nightly
    [ -n "$version" ] || return 1
    [ "$(printf '%s\n' "$rust_wanted" "$version" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)" = "$rust_wanted" ]
}
# What deploy/check cannot fetch for itself.
missing_to_deploy_check() {
    [ "$goal" = deploy-check ] || return 0
    have go || echo golang-go
    docker compose version >/dev/null 2>&1 || have docker-compose || echo docker-compose
    have dpkg-shlibdeps || echo dpkg-dev
    have shellcheck || echo shellcheck
    have systemd-analyze || echo systemd
    have curl || echo curl
}

have_rust_tools() {
    [ "$goal" = test ] || return 0
    # rustup puts the names on the PATH whether or not the components are there. Looking is quicker than asking.
    sysroot=$(rustc --print sysroot 2>/dev/null) || return 1
    { [ -x "$sysroot/bin/cargo-fmt" ] && [ -x "$sysroot/bin/cargo-clippy" ]; } ||
        { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1
}

# --- Installing ---

may_be_root() { [ "$(id -u)" = 0 ] || have sudo; }
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

updated=
apt_update() {
    [ -z "$updated" ] || return 0
    as_root apt-get -qq update
    updated=yes
}
apt_has() { apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'; }

# Of "jdk", the oldest that will do, as far as this system has it; newer ones serve as well.
apt_name() {
    case $1 in
        jdk) if apt_has openjdk-17-jdk-headless; then echo openjdk-17-jdk-headless; else echo default-jdk-headless; fi ;;
        *) echo "$1" ;;
    esac
}

# Installs the packages named, or says what to install and fails.
install() {
    have apt-get || {
        advise
        return 1
    }
    may_be_root || {
        say "not root, and no sudo. As root: apt-get install $(for name in "$@"; do apt_name "$name"; done | tr '\n' ' ')"
        return 1
    }
    apt_update || return 1
    names=$(for name in "$@"; do apt_name "$name"; done)
    for name in $names; do say "installing $name (apt)"; done
    # Standard output is unpacking and setting up, line by line; what goes wrong is said on the other one.
    # shellcheck disable=SC2086 # one word each
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $names >/dev/null
    hash -r # the shell remembers where it found what has now been replaced
}

install_rust() {
    if have rustup; then
        say "updating Rust (rustup)"
        rustup toolchain install stable --profile minimal --component rustfmt --component clippy
        rustup default >/dev/null 2>&1 || rustup default stable
        rust_fits || stop "the active Rust is older than $rust_wanted: run \`rustup default stable\`, or lift the override"
        return
    fi
    # Not over a cargo from apt: Debian's rustup package would remove that one.
    if ! have cargo && have apt-get && may_be_root && apt_update && apt_has rustup; then
        install rustup
        say "installing Rust stable (rustup)"
        rustup toolchain install stable --profile minimal --component rustfmt --component clippy
        rustup default stable
        return
    fi
    have curl || install curl
    say "installing Rust stable into ${CARGO_HOME:-$HOME/.cargo} (https://rustup.rs)"
    installer=$(mktemp)
    trap 'rm -f "$installer"' EXIT
    # To a file first: half an installer must not run. The shell's start-up files are left alone.
    curl --proto '=https' --tlsv1.2 --silent --show-error --fail --output "$installer" https://sh.rustup.rs ||
        stop "https://sh.rustup.rs cannot be reached. Install Rust $rust_wanted or newer by hand, then try again"
    RUSTUP_INIT_SKIP_PATH_CHECK=yes sh "$installer" -y --no-modify-path --profile minimal \
        --default-toolchain stable --component rustfmt --component clippy
    say "to have cargo in your own shell: . \"${CARGO_HOME:-$HOME/.cargo}/env\""
}

advise() {
    say "no apt-get here. Please install, then try again:"
    case $(uname -s) in
        Darwin) cat >&2 <<'EOF'
  xcode-select --install; brew install pkgconf openssl@3
  for the tests also: brew install openjdk maven python node go chromium (and export JAVA_HOME="$(brew --prefix openjdk)")
EOF
            ;;
        *) cat >&2 <<'EOF'
  Fedora:  dnf install gcc gcc-c++ make pkgconf-pkg-config openssl-devel zlib-ng-compat-devel ca-certificates
           for the tests also: java-21-openjdk-devel maven python3 nodejs npm golang chromium
  Alpine:  apk add build-base bash pkgconf openssl-dev zlib-dev ca-certificates
           for the tests also: openjdk17-jdk maven python3 nodejs npm go chromium
  others:  a C and C++ compiler, make, pkg-config, and the headers of OpenSSL and zlib
           for the tests also: a JDK (17 or newer), Maven, Python 3 with venv, Node (18 or newer) with npm,
           Go (1.19 or newer), Chromium
EOF
            ;;
    esac
    say "and Rust $rust_wanted or newer: https://rustup.rs"
}

# --- The work ---

missing=$(missing_to_build)
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # one word each
    install $missing || exit 1
    # Installing is not having: something older may stand before the new thing on the PATH.
    missing=$(missing_to_build | tr '\n' ' ')
    [ -z "$missing" ] || stop "installed, but still not usable from this PATH: $missing"
fi

if ! rust_fits || ! have_rust_tools; then
    install_rust
    hash -r
    rust_fits || stop "cargo $rust_wanted or newer is not the one on this PATH: $(command -v cargo || echo none)"
    have_rust_tools || stop "cargo fmt and cargo clippy are missing: rustup component add rustfmt clippy"
fi

missing=$(missing_to_test)
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # one word each
    if have apt-get; then install $missing || true; fi
    missing=$(missing_to_test | sed 's/^jdk$/jdk>=17/; s/^nodejs$/nodejs>=18/; s/^golang-go$/go>=1.19/' | tr '\n' ' ')
    if [ -n "$missing" ]; then
        say "missing, for the tests against a real Kafka or in a real browser: ${missing}(if installed, look at PATH and JAVA_HOME)"
        [ "${CI:-}" != true ] || exit 1
    fi
fi

missing=$(missing_to_deploy_check)
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # one word each
    install $missing || exit 1
    missing=$(missing_to_deploy_check | tr '\n' ' ')
    [ -z "$missing" ] || stop "installed, but still not usable from this PATH: $missing"
fi
