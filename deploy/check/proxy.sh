#!/bin/sh
# The reverse proxies of docs/webhook.md, as they stand there, before a real chatbridge and a real Kafka (proxy.py).
. "$(dirname "$0")/lib.sh"
cd "$root"
with_binary
tests/kafka/fetch.sh >/dev/null
# Unpacked and not installed, for the packages would start servers on port 80.
debian_files "$cache/proxies" nginx caddy
python3 "$here/proxy.py" "$binary" "$cache/proxies/usr/sbin/nginx" "$cache/proxies/usr/bin/caddy"
