"""proxy.py CHATBRIDGE NGINX CADDY: the examples of docs/webhook.md at work, but for their names, ports and certificates."""

import http.client
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time

chatbridge, nginx, caddy = sys.argv[1:]
INSTANCE = 1101000001
# Longer than nginx waits by itself, shorter than the examples say.
ANSWER_TIMEOUT_SECONDS = 65
ALLOWED, STRANGER = "127.0.0.2", "127.0.0.3"
BODY_BYTES_MAX = 8 * 2**20


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def example(language):
    text = pathlib.Path("docs/webhook.md").read_text()
    [found] = re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    return found


def replaced(text, *changes):
    for old, new in changes:
        assert old in text, f"the example has no {old}"
        text = text.replace(old, new)
    return text


# Kafka takes the port after its own as well.
while True:
    kafka, webhook, admin, https, plain = free_ports(5)
    if kafka + 1 not in (webhook, admin, https, plain):
        break
folder = tempfile.TemporaryDirectory(prefix="chatbridge-proxy-")
base = pathlib.Path(folder.name)
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
     "-subj", "/CN=chatbridge.example.com", "-addext", "subjectAltName=DNS:chatbridge.example.com",
     "-keyout", base / "key.pem", "-out", base / "cert.pem"], check=True, capture_output=True)
(base / "config.toml").write_text(f"""
[kafka]
brokers = "127.0.0.1:{kafka}"
[admin]
listen = "127.0.0.1:{admin}"
[green_api]
api_url = "http://127.0.0.1:9"
watch_interval_seconds = 0
[[green_api.instances]]
id = {INSTANCE}
token = "unused"
receive = "webhook"
[webhook]
listen = "127.0.0.1:{webhook}"
token = "s3cret"
answer_timeout_seconds = {ANSWER_TIMEOUT_SECONDS}
allow_from = ["{ALLOWED}"]
trusted_proxies = ["127.0.0.1"]
""")
live = "/etc/letsencrypt/live/chatbridge.example.com"
(base / "nginx.conf").write_text(
    # Its workers would be nobody, who may not write here.
    ("user root;" if os.getuid() == 0 else "")
    + f"daemon off; pid {base}/nginx.pid; error_log stderr; events {{}}\nhttp {{ access_log off;\n"
    + "".join(f"{kind}_temp_path {base}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    + replaced(example("nginx"), ("127.0.0.1:8080", f"127.0.0.1:{webhook}"), ("listen 443", f"listen 127.0.0.1:{https}"),
               (f"{live}/fullchain.pem", f"{base}/cert.pem"), (f"{live}/privkey.pem", f"{base}/key.pem"))
    + "}\n")
(base / "Caddyfile").write_text(
    "{\n\tadmin off\n}\n"
    + replaced(example("caddy"), ("chatbridge.example.com {", f"http://127.0.0.1:{plain} {{\n\tbind 127.0.0.1"),
               ("127.0.0.1:8080", f"127.0.0.1:{webhook}")))

processes = {}


def start(name, *command, **more):
    log = open(base / f"{name}.log", "w")
    processes[name] = subprocess.Popen(command, stdout=log, stderr=log, **more)


class Named(http.client.HTTPSConnection):
    """TLS to the name of the example, wherever it listens."""

    def connect(self):
        http.client.HTTPConnection.connect(self)
        trusted = ssl.create_default_context(cafile=str(base / "cert.pem"))
        self.sock = trusted.wrap_socket(self.sock, server_hostname="chatbridge.example.com")


def call(proxy, body, token="Bearer s3cret", source=ALLOWED, **headers):
    """Status and Retry-After."""
    make, port = {"nginx": (Named, https), "caddy": (http.client.HTTPConnection, plain)}[proxy]
    connection = make("127.0.0.1", port, timeout=ANSWER_TIMEOUT_SECONDS + 30, source_address=(source, 0))
    if token:
        headers["Authorization"] = token
    try:
        try:
            connection.request("POST", f"/green-api/{INSTANCE}", body, headers)
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered before all of it was sent
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("Retry-After")
    finally:
        connection.close()


def event(number, length=0):
    body = {"typeWebhook": "incomingMessageReceived", "instanceData": {"idInstance": INSTANCE}, "idMessage": f"M{number}",
            "senderData": {"chatId": "79990000001@c.us"},
            "messageData": {"typeMessage": "textMessage", "textMessageData": {"textMessage": ""}}}
    missing = length - len(json.dumps(body))
    body["messageData"]["textMessageData"]["textMessage"] = "x" * max(0, missing)
    return json.dumps(body).encode()


def wait_until(what, wanted, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        try:
            got = what()
            if got == wanted:
                return
        except OSError as error:
            got = error
        assert time.monotonic() < deadline, f"{got} and not {wanted}"
        time.sleep(0.3)


try:
    start("kafka", "tests/kafka/kafka.sh", env={**os.environ, "PORT": str(kafka)})
    start("chatbridge", chatbridge, "run", "--config", base / "config.toml")
    start("nginx", nginx, "-p", base, "-c", base / "nginx.conf")
    start("caddy", caddy, "run", "--adapter", "caddyfile", "--config", base / "Caddyfile",
          env={**os.environ, "HOME": str(base), "XDG_DATA_HOME": str(base), "XDG_CONFIG_HOME": str(base)})
    for number, proxy in enumerate(("nginx", "caddy")):
        wait_until(lambda: call(proxy, event(number))[0], 200, 120)
        for what, got, wanted in (
            ("without a token", call(proxy, event(number), token=None), (401,)),
            ("a stranger", call(proxy, event(number), source=STRANGER), (403,)),
            ("who claims to be another", call(proxy, event(number), source=STRANGER, **{"X-Forwarded-For": ALLOWED}), (403,)),
            # The broker refuses it, so it is kept as a dead letter.
            ("as long as may be", call(proxy, event(10 + number, BODY_BYTES_MAX)), (200,)),
            # Caddy reads while it forwards, and has a 502 where chatbridge's own refusal cuts it short.
            ("too long", call(proxy, event(20 + number, BODY_BYTES_MAX + 1)), (413,) if proxy == "nginx" else (413, 502)),
        ):
            assert got[0] in wanted, f"{proxy}, {what}: {got}"

    processes["kafka"].terminate()
    processes["kafka"].wait(60)
    begun = time.monotonic()
    for proxy in ("nginx", "caddy"):
        assert call(proxy, event(30)) == (503, "10"), "chatbridge's own answer gets through"
    took = time.monotonic() - begun
    assert took >= 2 * ANSWER_TIMEOUT_SECONDS, f"after {took} s"
except BaseException:
    for name in processes:
        print(f"--- {name}", (base / f"{name}.log").read_text()[-1500:], sep="\n", file=sys.stderr)
    raise
finally:
    for process in processes.values():
        process.terminate()
    for process in processes.values():
        process.wait(60)
    folder.cleanup()
print("nginx and Caddy: each answer as documented, addresses by X-Forwarded-For, and a 503 that chatbridge took its time for")
