#!/bin/sh
# The unit, by systemd-analyze: that it is well formed, and how much it is exposed.
. "$(dirname "$0")/lib.sh"
cd "$root"
unit=deploy/systemd/chatbridge.service
exposure_max=2.0

# The binary the unit names is in a root of its own: the one image.sh has made, else a stand-in.
base=$cache/systemd
rm -rf "$base"
mkdir -p "$base/usr/bin" "$base/bin" "$base/etc/systemd/system" "$base/lib/systemd"
for program in usr/bin/chatbridge bin/kill; do
    printf '#!/bin/sh\n' >"$base/$program"
    chmod +x "$base/$program"
done
cp -r /lib/systemd/system "$base/lib/systemd"
cp "$unit" "$base/etc/systemd/system"
systemd-analyze --root="$base" --man=no verify chatbridge.service >"$base/verify" 2>&1 || true
! grep -F chatbridge "$base/verify" >&2 || stop "systemd-analyze verify complains of the unit"

systemd-analyze security --offline=true --no-pager "$unit" >"$base/security"
exposure=$(sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\) .*/\1/p' "$base/security")
echo "exposure $exposure (at most $exposure_max)"
if [ "$(printf '%s\n%s\n' "${exposure:-10}" "$exposure_max" | sort -n | tail -n 1)" != "$exposure_max" ]; then
    cat "$base/security" >&2
    exit 1
fi
