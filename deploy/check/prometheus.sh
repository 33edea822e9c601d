#!/bin/sh
# The alerts, by promtool; that each has a test that fires, one that does not, and a paragraph in the runbook.
. "$(dirname "$0")/lib.sh"
cd "$root"
with_python
with_prometheus

"$prometheus/promtool" check rules deploy/prometheus/alerts.yml >/dev/null
"$prometheus/promtool" test rules deploy/prometheus/alerts.test.yml >/dev/null

"$python" - <<'EOF'
import re, sys, yaml
rules = [rule for group in yaml.safe_load(open("deploy/prometheus/alerts.yml"))["groups"] for rule in group["rules"]]
tests = [check for test in yaml.safe_load(open("deploy/prometheus/alerts.test.yml"))["tests"] for check in test["alert_rule_test"]]
runbook = open("docs/runbook.md").read()
paragraphs = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", runbook, re.M | re.S))
told = "".join(open(f"src/watch/telemetry/{place}").read() for place in ("metrics.rs", "metrics/families.rs", "chatapp/metrics.rs"))
metrics = set(re.findall(r'\br\s*\.(?:counters?|gauges?|histogram)\(\s*"(\w+)"', told))
wrong = []
for rule in rules:
    name = rule["alert"]
    checks = [check for check in tests if check["alertname"] == name]
    if not any(check["exp_alerts"] for check in checks): wrong.append(f"{name}: no test has it fire")
    if not any(not check["exp_alerts"] for check in checks): wrong.append(f"{name}: no test has it keep still")
    if not rule["annotations"]["runbook_url"].endswith(f"docs/runbook.md#{name.lower()}"): wrong.append(f"{name}: runbook_url")
    for part in ("**Means.**", "**Look.**", "**Do.**"):
        if part not in paragraphs.get(name, ""): wrong.append(f"{name}: the runbook lacks its {part}")
    for metric in re.findall(r"\bchatbridge_(\w+)", rule["expr"]):
        if metric not in metrics: wrong.append(f"{name}: chatbridge has no metric {metric}")
wrong += [f"runbook: no alert is named {name}" for name in paragraphs if name.startswith("Chatbridge") and name not in {rule["alert"] for rule in rules}]
if wrong: sys.exit("\n".join(wrong))
print(f"{len(rules)} alerts, {len(tests)} tests")
EOF
