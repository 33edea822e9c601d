"""schemas.py NATIVE CRDS OUT: JSON Schemas as kubeconform wants them: strict, each whole in one file, by its names.

NATIVE has those of Kubernetes, strict already, in terms of one file of definitions; CRDS the custom resources.
"""

import json
import pathlib
import re
import sys

import yaml


def strict(schema):
    """Structural schemas leave fields open that the API server prunes; here an unknown field is a mistake."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    schema = {key: strict(value) for key, value in schema.items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and not is_open:
        schema["additionalProperties"] = False
    return schema


native, crds, out = map(pathlib.Path, sys.argv[1:])
out.mkdir(exist_ok=True)

KINDS = """configmap-v1 deployment-apps-v1 ingress-networking-v1 namespace-v1 networkpolicy-networking-v1 persistentvolumeclaim-v1
    poddisruptionbudget-policy-v1 secret-v1 service-v1 serviceaccount-v1""".split()
definitions = json.loads((native / "_definitions.json").read_text())["$defs"]
for kind in KINDS:
    text = (native / f"{kind}.json").read_text().replace("/api/_definitions.json#", "#")
    schema, needed = json.loads(text), {}
    while missing := {name for name in re.findall(r'"#/\$defs/([^"]+)"', text) if name not in needed}:
        for name in missing:
            needed[name] = definitions[name]
        text = json.dumps(needed).replace("/api/_definitions.json#", "#")
    (out / f"{kind}.json").write_text(json.dumps({**schema, "$defs": needed}).replace("/api/_definitions.json#", "#"))
for file in crds.glob("*.yaml"):
    for crd in yaml.safe_load_all(file.read_text()):
        spec = crd["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"].update(
                apiVersion={"const": f"{spec['group']}/{version['name']}"},
                kind={"const": spec["names"]["kind"]},
                metadata={"type": "object", "required": ["name"]},
            )
            schema["required"] = sorted({"apiVersion", "kind", "metadata", *schema.get("required", [])})
            name = f"{spec['names']['kind'].lower()}-{spec['group'].split('.')[0]}-{version['name']}.json"
            (out / name).write_text(json.dumps(schema))
