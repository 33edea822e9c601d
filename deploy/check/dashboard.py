"""dashboard.py CHATBRIDGE PROMETHEUS: runs the dashboard's queries where there is something to see, and wants an answer
to each."""

import json
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import yaml

chatbridge, prometheus = sys.argv[1:]
GOOD, BAD, PUSHED = 1101000001, 1101000002, 1101000003
DEADLINE_SECONDS = 120


def free_port(neighbour=False):
    """A port that is free on the loopback address, its neighbour with it where asked."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                other.bind(("127.0.0.1", port + 1 if neighbour else 0))
                return port
            except (OSError, OverflowError):
                continue


def ask(url, body=None, method=None):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(urllib.request.Request(url, data=body, method=method), timeout=10) as answer:
        return answer.read()


def wait_for(what, seconds=60):
    """Until `what` returns something true; what it last returned or raised otherwise."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            outcome = what()
            if outcome:
                return outcome
        except OSError as error:
            outcome = error
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what.__doc__}: {outcome}")
        time.sleep(0.5)


dashboard = json.loads(pathlib.Path("deploy/grafana/chatbridge.json").read_text())
queries = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
queries += [(f"annotation {note['name']}", note["expr"]) for note in dashboard["annotations"]["list"]]
# A start may be out of sight by now; that the query is understood is all that can be asked.
may_be_empty = {f"annotation {note['name']}" for note in dashboard["annotations"]["list"]}
for variable in dashboard["templating"]["list"]:
    if variable["type"] == "query":
        selector = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        queries.append((f"variable {variable['name']}", f"count by ({selector[2]}) ({selector[1]})"))
SETTINGS = {"$job": "chatbridge", "$instance": ".*", "$__rate_interval": "1m"}

kafka, (green_api, admin, prom, webhook, chatapp, socket_port) = free_port(neighbour=True), (free_port() for _ in range(6))
folder = tempfile.TemporaryDirectory(prefix="chatbridge-dashboard-")
base = pathlib.Path(folder.name)
(base / "config.toml").write_text(f"""
[kafka]
brokers = "127.0.0.1:{kafka}"
[admin]
listen = "127.0.0.1:{admin}"
[green_api]
api_url = "http://127.0.0.1:{green_api}"
receive_timeout_seconds = 5
watch_interval_seconds = 2
[[green_api.instances]]
id = {GOOD}
token = "simulated"
[[green_api.instances]]
id = {BAD}
token = "simulated"
[[green_api.instances]]
id = {PUSHED}
token = "simulated"
receive = "webhook"
[webhook]
listen = "127.0.0.1:{webhook}"
token = "simulated"
[chatapp]
api_url = "http://127.0.0.1:{chatapp}"
socket_url = "ws://127.0.0.1:{socket_port}"
email = "simulated@example.invalid"
password = "simulated"
app_id = "app_685_1"
state_dir = "{base}/state"
gap_overlap_seconds = 1
[events]
drop = ["outgoingMessageStatus"]
[calls]
caller_lookup = true
""")
scrape = yaml.safe_load(pathlib.Path("deploy/compose/prometheus.yml").read_text())
scrape["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
scrape["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{admin}"]
(base / "prometheus.yml").write_text(yaml.safe_dump(scrape))
(base / "alerts.yml").write_text(pathlib.Path("deploy/prometheus/alerts.yml").read_text())

processes = []


def start(name, *command, **more):
    log = open(base / f"{name}.log", "w")
    processes.append((name, subprocess.Popen(command, stdout=log, stderr=log, **more)))


def unanswered():
    """every query is answered"""
    missing = []
    for title, expr in queries:
        for name, value in SETTINGS.items():
            expr = expr.replace(name, value)
        url = f"http://127.0.0.1:{prom}/api/v1/query?" + urllib.parse.urlencode({"query": expr})
        values = [row["value"][1] for row in json.loads(ask(url))["data"]["result"]]
        if title not in may_be_empty and not any(value != "NaN" for value in values):
            missing.append(f"{title}: {expr}")
    return missing


try:
    start("kafka", "tests/kafka/kafka.sh", env={**os.environ, "PORT": str(kafka)})
    start("simulator", chatbridge, "simulate", "--listen", f"127.0.0.1:{green_api}", "--rate", "30", "--webhook-pause-ms", "500",
          "--instance", f"{GOOD}:simulated", "--instance", f"{BAD}:simulated",
          "--instance", f"{PUSHED}:simulated")
    start("chatapp", chatbridge, "simulate", "--chatapp", "--listen", f"127.0.0.1:{chatapp}",
          "--chatapp-socket", f"127.0.0.1:{socket_port}", "--rate", "20")
    simulator = f"http://127.0.0.1:{green_api}/simulator"

    def simulator_is_there():
        """the simulator answers"""
        return ask(f"{simulator}/depth")

    wait_for(simulator_is_there)
    # Somebody else's token; deletes whose connection breaks; what is no JSON; what Kafka does not take.
    ask(f"{simulator}/faults", json.dumps({"instance": BAD, "kind": {"type": "status", "code": 401}, "after": 20}).encode())
    ask(f"{simulator}/faults", json.dumps({"instance": GOOD, "method": "delete", "kind": {"type": "reset"}, "after": 30, "times": 2}).encode())
    ask(f"{simulator}/enqueue/{GOOD}", b"not json")
    text = "".join(random.Random(1).choices("0123456789abcdefghijklmnopqrstuvwxyz", k=3_000_000))
    ask(f"{simulator}/enqueue/{GOOD}", json.dumps({
        "typeWebhook": "incomingMessageReceived", "instanceData": {"idInstance": GOOD}, "idMessage": "LARGE",
        "senderData": {"chatId": "79990000001@c.us"},
        "messageData": {"typeMessage": "textMessage", "textMessageData": {"textMessage": text}},
    }).encode())
    settings = {"webhook_url": f"http://127.0.0.1:{webhook}/green-api/{PUSHED}", "webhook_token": "simulated"}
    ask(f"{simulator}/instances/{PUSHED}", json.dumps(settings).encode(), "PATCH")
    start("chatbridge", chatbridge, "run", "--config", base / "config.toml")
    start("prometheus", prometheus, f"--config.file={base}/prometheus.yml", f"--storage.tsdb.path={base}/data",
          f"--web.listen-address=127.0.0.1:{prom}")

    def is_ready():
        """chatbridge is ready"""
        return ask(f"http://127.0.0.1:{admin}/readyz")

    def is_complete():
        """every query has an answer"""
        return not unanswered()

    def chatapp_is_live():
        """ChatApp's channels are subscribed"""
        return b"chatbridge_chatapp_channel_subscribed{channel=\"users/685\"} 1" in ask(f"http://127.0.0.1:{admin}/metrics")

    wait_for(is_ready, DEADLINE_SECONDS)
    wait_for(chatapp_is_live)
    # Gone for a moment: a gap, and messages to be fetched.
    ask(f"http://127.0.0.1:{chatapp}/simulator/acts", json.dumps({"act": "restart", "downtime_ms": 500, "killed": True}).encode())
    try:
        wait_for(is_complete, DEADLINE_SECONDS)
    except TimeoutError:
        sys.exit("without an answer:\n  " + "\n  ".join(unanswered()))

    rules = json.loads(ask(f"http://127.0.0.1:{prom}/api/v1/rules"))["data"]["groups"][0]["rules"]
    broken = [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]
    assert not broken, broken

    def alerts():
        """the alerts that ought to have been raised are"""
        found = json.loads(ask(f"http://127.0.0.1:{prom}/api/v1/alerts"))["data"]["alerts"]
        raised = {(alert["labels"]["alertname"], alert["labels"].get("instance")) for alert in found}
        # `instance` is GREEN-API's: labels were honoured.
        return {("ChatbridgeInstanceMisconfigured", str(BAD)), ("ChatbridgeDeadLetters", str(GOOD))} <= raised

    wait_for(alerts, 30)
except BaseException:
    for name, _ in processes:
        print(f"--- {name}", (base / f"{name}.log").read_text()[-1500:], sep="\n", file=sys.stderr)
    raise
finally:
    for _, process in reversed(processes):
        process.terminate()
    for _, process in processes:
        process.wait(30)
    folder.cleanup()
print(f"{len(queries)} queries answered, {len(rules)} rules evaluated, the alerts raised that ought to be")
