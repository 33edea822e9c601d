#!/bin/sh
# The software bill of materials of the binary, in CycloneDX: target/sbom/chatbridge.cdx.json.
. "$(dirname "$0")/lib.sh"
cd "$root"
with_python
cargo_tool cargo-cyclonedx 0.5.9
# It writes beside the manifest of each package of the workspace, whatever one says.
cargo cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps --features rdkafka/libz-static \
    --override-filename chatbridge.cdx
mkdir -p target/sbom
mv chatbridge.cdx.json target/sbom
rm -f crates/*/chatbridge.cdx.json bench/chatbridge.cdx.json tests/fuzz/chatbridge.cdx.json
# Whole: what is linked is in it, with a version and a licence each.
cargo tree --locked --quiet --package chatbridge --edges normal,no-proc-macro --features rdkafka/libz-static --prefix none --format '{p}' >"$cache/linked"
"$python" - target/sbom/chatbridge.cdx.json "$cache/linked" <<'EOF'
import json, sys
bom = json.load(open(sys.argv[1]))
assert bom["bomFormat"] == "CycloneDX" and bom["metadata"]["component"]["name"] == "chatbridge"
listed = {(c["name"], c["version"]): c for c in bom["components"]}
linked = {(name, version.removeprefix("v")) for name, version, *_ in map(str.split, open(sys.argv[2]))} - {("chatbridge", bom["metadata"]["component"]["version"])}
assert linked <= listed.keys(), f"not in the bill: {sorted(linked - listed.keys())}"
bare = [name for name in listed if not listed[name].get("licenses")]
assert not bare, f"without a licence: {bare}"
print(f"target/sbom/chatbridge.cdx.json: {len(listed)} components, the {len(linked)} linked ones among them")
EOF
