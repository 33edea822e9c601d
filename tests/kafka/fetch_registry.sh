#!/bin/sh
# Prints the folder with the tests' schema registry, after fetching it from Maven Central if it is not there yet (142 MB).
#
# Apicurio Registry in memory, through its Confluent-compatible API: the registries of Confluent and Karapace are not in
# the package registries that everybody reaches. 2.6 is the last line that runs on Java 17.
set -eu

version=2.6.13.Final
here=$(cd "$(dirname "$0")" && pwd)
cache="$here/../.cache/apicurio"
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
final="$cache/$version"
if [ -d "$final" ]; then
    echo "$final"
    exit 0
fi

# Unpacked beside its place and renamed when whole, so that a broken download never looks finished.
part="$cache/.$version.$$"
trap 'rm -rf "$part"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$part"
echo "fetching Apicurio Registry $version from Maven Central" >&2
# From a folder without a pom.xml: nothing here is a project.
cd "$part"
mvn --batch-mode --quiet -U -Dmaven.wagon.http.retryHandler.count=3 \
    org.apache.maven.plugins:maven-dependency-plugin:3.11.0:unpack \
    -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" \
    -DoutputDirectory="$part/registry" -DmarkersDirectory="$part/markers" >"$part/mvn.log" 2>&1 || {
    cat "$part/mvn.log" >&2
    echo "fetching Apicurio Registry $version failed (see above)" >&2
    exit 1
}

# Another process may have been quicker. Its files are as good as ours.
if [ ! -d "$final" ]; then
    mv "$part/registry" "$final"
    rm -rf "${final:?}/registry" # only there if another process came between the two lines above
fi
echo "$final"
