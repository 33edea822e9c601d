"""manifests.py RENDERED CHATBRIDGE: what no schema knows of the rendered overlay."""

import pathlib
import subprocess
import sys
import tempfile
import tomllib

import yaml

objects = {(o["kind"], o["metadata"]["name"].rsplit("-", 1)[0] if o["kind"] in ("ConfigMap", "Secret") else o["metadata"]["name"]): o
           for o in yaml.safe_load_all(open(sys.argv[1]))}
wrong = []


def expect(holds, complaint):
    if not holds:
        wrong.append(complaint)


deployment = objects["Deployment", "chatbridge"]["spec"]
pod = deployment["template"]["spec"]
[container] = pod["containers"]
config_text = objects["ConfigMap", "chatbridge"]["data"]["config.toml"]
config = tomllib.loads(config_text)
secret = objects["Secret", "chatbridge"]

expect(deployment["replicas"] == 1 and deployment["strategy"]["type"] == "Recreate", "two readers of an instance at once")
grace = config.get("shutdown_timeout_seconds", 25)
expect(pod["terminationGracePeriodSeconds"] > grace, "killed before shutdown_timeout_seconds is over")

# Pod Security Standards, "restricted", which the namespace enforces.
security, own = pod["securityContext"], container["securityContext"]
expect(security["runAsNonRoot"] and security["runAsUser"] > 0, "runs as root")
expect(security["seccompProfile"]["type"] == "RuntimeDefault", "no seccomp profile")
expect(own["allowPrivilegeEscalation"] is False and own["capabilities"]["drop"] == ["ALL"], "privileges")
expect(own["readOnlyRootFilesystem"] is True, "its root can be written")
expect(all(set(volume) <= {"name", "configMap", "secret", "persistentVolumeClaim"} for volume in pod["volumes"]), "volumes")

for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
    expect(container[probe]["httpGet"] == {"path": path, "port": "admin"}, probe)
ports = {port["name"]: port["containerPort"] for port in container["ports"]}
expect(config["admin"]["listen"] == f"0.0.0.0:{ports['admin']}", "admin.listen is not what the probes ask")
expect(("webhook" in ports) == ("webhook" in config), "a port for the webhook, and none without it")

labels = deployment["template"]["metadata"]["labels"].items()
for name, selector in (
    ("Service", objects["Service", "chatbridge"]["spec"]["selector"]),
    ("NetworkPolicy", objects["NetworkPolicy", "chatbridge"]["spec"]["podSelector"]["matchLabels"]),
    ("PodDisruptionBudget", objects["PodDisruptionBudget", "chatbridge"]["spec"]["selector"]["matchLabels"]),
):
    expect(selector and selector.items() <= labels, f"{name} does not select the pod")
if webhook := config.get("webhook"):
    service = objects["Service", "chatbridge-webhook"]["spec"]
    ingress = objects["Ingress", "chatbridge-webhook"]
    policy = objects["NetworkPolicy", "chatbridge-webhook"]["spec"]
    [rule] = ingress["spec"]["rules"]
    [path] = rule["http"]["paths"]
    told = {name.rsplit("/", 1)[1]: value for name, value in ingress["metadata"]["annotations"].items()}
    expect(webhook["listen"] == f"0.0.0.0:{ports['webhook']}", "webhook.listen is not the container's port")
    expect(service["selector"].items() <= labels and policy["podSelector"]["matchLabels"].items() <= labels, "the webhook's do not select the pod")
    expect(service["ports"][0]["targetPort"] == "webhook" and policy["ingress"][0]["ports"] == [{"port": "webhook"}], "the webhook's way in")
    expect(path["path"] == "/green-api" and path["backend"]["service"] == {"name": "chatbridge-webhook", "port": {"name": service["ports"][0]["name"]}}, "the Ingress leads elsewhere")
    expect(webhook["public_url"] == f"https://{rule['host']}" and ingress["spec"]["tls"][0]["hosts"] == [rule["host"]], "public_url is not the Ingress's host")
    expect(int(told["proxy-body-size"].rstrip("m")) * 2**20 >= webhook.get("body_bytes_max", 8388608), "the Ingress refuses long bodies")
    expect(int(told["proxy-read-timeout"]) > webhook.get("answer_timeout_seconds", 60), "the Ingress gives up before chatbridge does")
    expect(any(instance.get("receive") == "webhook" for instance in config["green_api"]["instances"]), "nobody pushes")

monitor = objects["ServiceMonitor", "chatbridge"]["spec"]
expect(monitor["selector"]["matchLabels"].items() <= objects["Service", "chatbridge"]["metadata"]["labels"].items(), "ServiceMonitor")
expect(monitor["endpoints"][0]["honorLabels"] is True, "ServiceMonitor: honorLabels")
expect(objects["PrometheusRule", "chatbridge"]["spec"] == yaml.safe_load(open("deploy/prometheus/alerts.yml")), "PrometheusRule is not alerts.yml")

# Every secret the configuration names is mounted where it says.
mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
named = [instance["token_file"] for instance in config["green_api"]["instances"]]
named += [webhook["token_file"]] if webhook else []
chatapp = config.get("chatapp")
expect(("state" in mounts) == bool(chatapp), "a volume for ChatApp, and none without it")
if chatapp:
    named.append(chatapp["password_file"])
    claim = objects["PersistentVolumeClaim", "chatbridge-state"]
    expect(mounts["state"] == chatapp["state_dir"], "chatapp.state_dir is not on the volume")
    expect(pod["volumes"].pop()["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"], "another volume")
    expect(pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"], "the volume is not ours to write to")
    egress = objects["NetworkPolicy", "chatbridge-chatapp"]["spec"]
    expect(egress["podSelector"]["matchLabels"].items() <= labels and egress["egress"][0]["ports"][0]["port"] == 6001, "the way to ChatApp")
named += config["kafka"].get("property_files", {}).values()
mounted = {f"{mounts['credentials']}/{key}" for key in secret["data"]}
expect(set(named) == mounted, f"named {sorted(named)}, mounted {sorted(mounted)}")
references = [volume.get("configMap", {}).get("name") or volume["secret"]["secretName"] for volume in pod["volumes"]]
expect(references == [objects[kind, "chatbridge"]["metadata"]["name"] for kind in ("ConfigMap", "Secret")], "volumes name neither")

# chatbridge's own opinion, with the mount elsewhere.
with tempfile.TemporaryDirectory() as folder:
    for key in secret["data"]:
        (pathlib.Path(folder) / key).write_text("token")
    file = pathlib.Path(folder) / "config.toml"
    file.write_text(config_text.replace(mounts["credentials"], folder))
    checked = subprocess.run([sys.argv[2], "check", "--config", file], capture_output=True, text=True)
    expect(checked.returncode == 0, checked.stderr)
if wrong:
    sys.exit("\n".join(wrong))
print(f"{len(objects)} objects, and chatbridge accepts the configuration")
