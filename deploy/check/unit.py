"""unit.py ROOT UNIT USER: starts an installed unit as systemd would, without one: its ExecStartPre, its ExecStart, the
credentials, the notification socket, the watchdog; then stops it. Kafka is away throughout."""

import os
import pathlib
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

root, name = pathlib.Path(sys.argv[1]), sys.argv[2]
[unit] = [path for path in root.rglob(name) if path.is_file()]
settings = {}
for line in unit.read_text().split("\n"):
    if "=" in line and not line.startswith("#"):
        key, value = line.split("=", 1)
        settings.setdefault(key, []).append(value)
[notify_type], [pre], [start] = settings["Type"], settings["ExecStartPre"], settings["ExecStart"]
assert notify_type == "notify"

NOBODY = int(sys.argv[3])  # 0 where this user namespace has no other


def into_root():
    os.chroot(root)
    os.chdir("/")
    if NOBODY:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


# LoadCredential=ID:FOLDER: each file of it as ID_NAME.
[credentials] = settings["LoadCredential"]
identifier, folder = credentials.split(":")
(root / folder.lstrip("/") / "token-1101000001").write_text("simulated")
handed = root / "run/credentials" / name
shutil.rmtree(handed, ignore_errors=True)
handed.mkdir(parents=True)
for file in (root / folder.lstrip("/")).iterdir():
    copy = handed / f"{identifier}_{file.name}"
    shutil.copy(file, copy)
    os.chown(copy, NOBODY, NOBODY)
    copy.chmod(0o400)

socket_path = root / "run/notify"
socket_path.unlink(missing_ok=True)
notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notifications.bind(str(socket_path))
socket_path.chmod(0o666)

environment = dict(word.split("=", 1) for line in settings["Environment"] for word in shlex.split(line))
# A broker that is never there: nothing is received from anywhere.
environment |= {"CHATBRIDGE__KAFKA__BROKERS": "127.0.0.1:1", "CHATBRIDGE__ADMIN__LISTEN": "127.0.0.1:0"}

checked = subprocess.run(shlex.split(pre), env=environment, preexec_fn=into_root, capture_output=True, text=True)
assert checked.returncode == 0, checked.stderr

environment |= {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "400000"}
log = open(root / "tmp/log", "w+")
process = subprocess.Popen(shlex.split(start), env=environment, preexec_fn=into_root, stderr=log)
heard = []


def hear(wanted, seconds):
    """Waits until `wanted` says that what was heard is enough."""
    deadline = time.monotonic() + seconds
    while not wanted():
        ready, _, _ = select.select([notifications], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            log.seek(0)
            sys.exit(f"heard only {heard}; it says:\n{log.read()}")
        heard.extend(notifications.recv(4096).decode().split("\n"))


try:
    hear(lambda: "READY=1" in heard, 30)
    assert any(word.startswith("STATUS=waiting for Kafka") for word in heard), heard
    hear(lambda: heard.count("WATCHDOG=1") >= 3, 10)
    # Frozen, as a stuck runtime is: the watchdog hears nothing more.
    process.send_signal(signal.SIGSTOP)
    while select.select([notifications], [], [], 0)[0]:
        notifications.recv(4096)
    assert not select.select([notifications], [], [], 1.5)[0], "fed while frozen"
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    hear(lambda: "STOPPING=1" in heard, 10)
    assert process.wait(10) == 0, process.returncode
finally:
    process.kill()
    notifications.close()
    socket_path.unlink()
    shutil.rmtree(handed)
print(f"started as {'nobody' if NOBODY else 'the only user'}, READY while Kafka is away, fed the watchdog, stopped with 0")
