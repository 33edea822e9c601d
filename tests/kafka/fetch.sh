#!/bin/sh
# Prints the folder with Kafka's jars, after fetching them from Maven Central if they are not there yet.
# The one place that knows how Kafka gets here: the tests and kafka.sh both call it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
pom="$here/maven/pom.xml"
version=$(sed -n 's:.*<kafka\.version>\(.*\)</kafka\.version>.*:\1:p' "$pom")
cache="$here/../.cache/kafka"
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
final="$cache/$version"

# The pom lies beside the jars it named: a changed pom means other jars, even under the same version.
if cmp -s "$pom" "$final/pom.xml"; then
    echo "$final/libs"
    exit 0
fi

# Fetched beside its place and renamed when whole, so that a broken download never looks finished.
part="$cache/.$version.$$"
trap 'rm -rf "$part"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$part"
echo "fetching Apache Kafka $version from Maven Central" >&2
# -U: a jar that could not be had last time is asked for again.
mvn --batch-mode --quiet -U -Dmaven.wagon.http.retryHandler.count=3 --file "$pom" \
    dependency:copy-dependencies -DoutputDirectory="$part/libs" >"$part/mvn.log" 2>&1 || {
    cat "$part/mvn.log" >&2
    echo "fetching Apache Kafka $version failed (see above)" >&2
    exit 1
}
rm "$part/mvn.log"
cp "$pom" "$part/pom.xml"

# Another process may have been quicker. Its jars are as good as ours.
if cmp -s "$pom" "$final/pom.xml"; then
    echo "$final/libs"
    exit 0
fi
rm -rf "$final"
mv "$part" "$final"
rm -rf "${final:?}/${part##*/}" # only there if another process came between the two lines above
echo "$final/libs"
