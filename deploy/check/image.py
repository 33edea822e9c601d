"""image.py FOLDER: carries out the Dockerfile's steps without an engine.

FOLDER/build stands for the build stage's WORKDIR, FOLDER/root for the final stage's root. Like an engine it leaves out
the steps whose instruction and files are those of last time.
"""

import fnmatch
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

context = pathlib.Path.cwd()
folder = pathlib.Path(sys.argv[1])
build, root = folder / "build", folder / "root"
build.mkdir(parents=True, exist_ok=True)
root.mkdir(exist_ok=True)

ignore = [line for line in (context / ".dockerignore").read_text().split("\n") if line and not line.startswith("#")]


def is_sent(path):
    """Whether the builder gets to see this file: the last pattern that matches it, or a folder above it, decides."""
    sent = True
    parts = path.relative_to(context).parts
    for pattern in ignore:
        wanted = pattern.lstrip("!").split("/")
        head = parts[: len(wanted)]
        if len(head) == len(wanted) and all(map(fnmatch.fnmatchcase, head, wanted)):
            sent = pattern.startswith("!")
    return sent


def files(source):
    path = context / source
    found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    if not all(map(is_sent, found)) or not found:
        sys.exit(f"COPY {source}: not in the context, see .dockerignore")
    return found


def copy(sources, target):
    """As COPY does: files into a folder that ends in a slash, a folder's content into the folder named."""
    for source in sources:
        if (context / source).is_dir():
            shutil.rmtree(build / target, ignore_errors=True)
        for file in files(source):
            inner = file.relative_to(context / source) if (context / source).is_dir() else file.name
            to = build / target / inner
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, to)


def instructions():
    lines, whole = (context / "Dockerfile").read_text().split("\n"), ""
    for line in lines:
        if line.startswith("#") or not (whole or line.strip()):
            continue
        whole += line.removesuffix("\\")
        if not line.endswith("\\"):
            word, rest = whole.split(None, 1)
            yield word, rest.strip()
            whole = ""


stages = []
for word, rest in instructions():
    if word == "FROM":
        stages.append([])
    else:
        stages[-1].append((word, rest))
first, final = stages
[workdir] = [rest for word, rest in first if word == "WORKDIR"]

# Each step's key holds those before it, so that the first difference begins the work.
key, keys = hashlib.sha256(), []
for word, rest in first:
    key.update(f"{word} {rest}\n".encode())
    if word == "COPY":
        for file in (file for source in shlex.split(rest)[:-1] for file in files(source)):
            key.update(file.name.encode() + file.read_bytes())
    keys.append(key.hexdigest())
known_file = folder / "steps.json"
known = json.loads(known_file.read_text()) if known_file.exists() else []
begin = next((step for step, key in enumerate(keys) if known[step : step + 1] != [key]), len(keys))
if begin < len(keys):
    known_file.unlink(missing_ok=True)
    for path in build.iterdir():
        if path.name != "target":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME") if name in os.environ}
    for step, (word, rest) in enumerate(first):
        if word == "COPY":
            *sources, target = shlex.split(rest)
            copy(sources, target)
        elif word == "RUN" and step >= begin:
            print(f"RUN {rest[:100]}", file=sys.stderr)
            subprocess.run(["/bin/sh", "-c", rest], cwd=build, env=environment, check=True)
        elif word not in ("WORKDIR", "RUN"):
            sys.exit(f"image.py does not know {word} in the build stage")
    known_file.write_text(json.dumps(keys))

for word, rest in final:
    if word == "COPY":
        stage, source, target = shlex.split(rest)
        assert stage == "--from=build", rest
        to = root / target.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.unlink(missing_ok=True)
        shutil.copy2(build / pathlib.Path(source).relative_to(workdir), to)
    elif word == "USER":
        assert int(rest.split(":")[0]) > 0, "a user by number, and not root"
        (folder / "user").write_text(rest)
    elif word == "ENV":
        (folder / "environment").write_text("\n".join(shlex.split(rest)))
    elif word in ("ENTRYPOINT", "CMD"):
        command = json.loads(rest)
        assert word == "CMD" or (root / command[0].lstrip("/")).exists(), rest
