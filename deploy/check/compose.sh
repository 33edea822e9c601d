#!/bin/sh
# docker-compose.yml, by Compose; what it mounts, by those who will read it.
. "$(dirname "$0")/lib.sh"
cd "$root"
with_python
with_prometheus

if docker compose version >/dev/null 2>&1; then
    docker compose config >"$cache/compose.yml"
else
    docker-compose config >"$cache/compose.yml"
fi

"$python" - "$cache/compose.yml" <<'EOF'
import json, pathlib, sys, yaml
services = yaml.safe_load(open(sys.argv[1]))["services"]
for name, service in services.items():
    for volume in service.get("volumes", []):
        source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
        assert pathlib.Path(source).exists(), f"{name} mounts {source}, which is not there"
    for port in service.get("ports", []):
        host = port.get("host_ip", "") if isinstance(port, dict) else port
        assert host.startswith("127.0.0.1"), f"{name} is open to other machines: {port}"
for file in pathlib.Path("deploy/compose/grafana").rglob("*.yml"):
    assert yaml.safe_load(file.read_text())["apiVersion"] == 1, file
datasource = yaml.safe_load(open("deploy/compose/grafana/datasources/prometheus.yml"))["datasources"][0]
assert datasource["type"] == "prometheus" and datasource["isDefault"]
EOF

with_binary
"$binary" check --config deploy/compose/chatbridge.toml

# promtool wants the rules beside the configuration, where the container has them.
mkdir -p "$cache/etc-prometheus"
cp deploy/compose/prometheus.yml deploy/prometheus/alerts.yml "$cache/etc-prometheus"
"$prometheus/promtool" check config "$cache/etc-prometheus/prometheus.yml" >/dev/null
echo "$(grep -c '^    image:' docker-compose.yml) services"
