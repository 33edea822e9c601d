#!/bin/sh
# Every query of the dashboard and every rule, by a real Prometheus that scrapes a real chatbridge between a simulated
# GREEN-API and a real Kafka (dashboard.py).
. "$(dirname "$0")/lib.sh"
cd "$root"
with_python
with_prometheus
with_binary
tests/kafka/fetch.sh >/dev/null
"$python" "$here/dashboard.py" "$binary" "$prometheus/prometheus"
