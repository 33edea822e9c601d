#!/bin/sh
# The Debian package: made by cargo-deb around the binary that image.sh built, installed by dpkg into a root of Debian's
# own packages, started there as its unit says (unit.py), and purged again.
. "$(dirname "$0")/lib.sh"
cd "$root"
with_python
cargo_tool cargo-deb 3.8.0
[ -x "$image_target/release/chatbridge" ] || "$here/image.sh"
deb=$(CARGO_TARGET_DIR=$image_target deploy/package.sh --no-build)
dpkg-deb --contents "$deb" >"$cache/contents"
for file in man/man1/chatbridge.1.gz man/man1/chatbridge-dlq-replay.1.gz bash-completion/completions/chatbridge \
    zsh/vendor-completions/_chatbridge fish/vendor_completions.d/chatbridge.fish; do
    grep -q " 0/0 *[1-9][0-9]* .* \./usr/share/$file\$" "$cache/contents" || stop "the package lacks usr/share/$file"
done

base=$cache/installed
[ -e "$base/.made" ] || {
    rm -rf "$base"
    debian_files "$base" libc6 libgcc-s1 libssl3 dash coreutils libacl1 libattr1 libselinux1 libpcre2-8-0 libgmp10 \
        perl-base libcrypt1 init-system-helpers
    mkdir -p "$base/var/lib/dpkg/info" "$base/var/lib/dpkg/updates" "$base/etc/ssl/certs" "$base/run" "$base/tmp"
    : >"$base/var/lib/dpkg/status"
    cp /etc/ssl/certs/ca-certificates.crt "$base/etc/ssl/certs"
    touch "$base/.made"
}
in_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else unshare --map-root-user "$@"; fi
}
# Depends is looked at here, not by dpkg: this root has files, but no database of packages.
depends=$(dpkg-deb --field "$deb" Depends)
for package in $(echo "$depends" | tr -d ' ' | sed 's/([^)]*)//g; s/,/ /g'); do
    [ "$package" = ca-certificates ] || [ -e "$cache/apt/$package.installed" ] || stop "depends on $package, which is not in the root"
done
dpkg_in() { in_root dpkg --root="$base" --force-depends --log=/dev/null "$@" >"$cache/dpkg.log" 2>&1; }
dpkg_in --purge chatbridge || true
dpkg_in --install "$deb" || {
    cat "$cache/dpkg.log" >&2
    stop "dpkg does not install it"
}
[ "$(stat -c %a "$base/etc/chatbridge/credentials")" = 700 ] || stop "the credentials' folder is open"
grep -qx /etc/chatbridge/config.toml "$base/var/lib/dpkg/info/chatbridge.conffiles" || stop "the configuration is no conffile"

user=$([ "$(id -u)" = 0 ] && echo 65534 || echo 0)
in_root "$python" "$here/unit.py" "$base" chatbridge.service "$user"

dpkg_in --purge chatbridge || stop "dpkg does not purge it: $(cat "$cache/dpkg.log")"
left=$(find "$base" -path "$base/var" -prune -o -name '*chatbridge*' -print)
[ -z "$left" ] || stop "a purge leaves $left"
echo "$(basename "$deb"), $(du -h "$deb" | cut -f1); depends on $depends"
