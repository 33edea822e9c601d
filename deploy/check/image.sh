#!/bin/sh
# The Dockerfile: by hadolint; and, where no engine is, its steps carried out in folders (image.py). What comes of them
# runs in a root of the final image's Debian packages and nothing else, as its user, who can write nowhere.
. "$(dirname "$0")/lib.sh"
cd "$root"
with_python
"$cache/python/bin/hadolint" Dockerfile

image=$cache/image
"$python" "$here/image.py" "$image"

# shellcheck source=/dev/null
. /etc/os-release
[ "${VERSION_CODENAME:-}" = bookworm ] || {
    say "not Debian 12, as the image is: the binary is built, but not tried in the image's root"
    exit 0
}
# What gcr.io/distroless/cc-debian12 consists of, as far as a binary can ask for it.
debian_files "$image/root" libc6 libgcc-s1 libssl3 libstdc++6
mkdir -p "$image/root/etc/ssl/certs"
cp /etc/ssl/certs/ca-certificates.crt "$image/root/etc/ssl/certs"
# The environment and the user that the Dockerfile names.
inside() {
    # shellcheck disable=SC2046 # one word each
    if [ "$(id -u)" = 0 ]; then
        env -i $(cat "$image/environment") /usr/sbin/chroot --userspec="$(cat "$image/user")" "$image/root" "$@"
    else
        env -i $(cat "$image/environment") /usr/bin/unshare --map-root-user /usr/sbin/chroot "$image/root" "$@"
    fi
}
inside "/lib64/$(basename "$image"/root/lib64/ld-linux-*)" --list /usr/bin/chatbridge >"$image/libraries" ||
    stop "the image lacks libraries: $(cat "$image/libraries")"
inside /usr/bin/chatbridge demo --instances 2 --events 40 >"$image/demo" 2>&1 || {
    cat "$image/demo" >&2
    stop "the demo fails in the image"
}
echo "$(du -h "$image/root/usr/bin/chatbridge" | cut -f1) binary, $(wc -l <"$image/libraries") libraries found, the demo runs in the image"
