#!/bin/sh
# Prints deploy/prometheus/alerts.yml as the Prometheus operator wants it: base/prometheusrule.yaml.
set -eu
cd "$(dirname "$0")"
cat <<'EOF'
# Made by deploy/kubernetes/prometheus-rule.sh of deploy/prometheus/alerts.yml: change that one.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: chatbridge
spec:
EOF
sed -n '/^groups:/,$ s/^\(.\)/  \1/p' ../prometheus/alerts.yml
