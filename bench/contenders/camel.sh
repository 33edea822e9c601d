#!/bin/sh
# Prints the class path of the bench's Apache Camel, after fetching its jars from Maven Central and compiling the loop.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's:.*<camel\.version>\(.*\)</camel\.version>.*:\1:p' "$here/pom.xml")
mkdir -p "$here/../../tests/.cache/camel"
cache=$(cd "$here/../../tests/.cache/camel" && pwd)
final="$cache/$version"

if ! cmp -s "$here/pom.xml" "$final/pom.xml" || ! cmp -s "$here/CamelLoop.java" "$final/CamelLoop.java"; then
    # Made beside its place and renamed when whole, so that a broken download never looks finished.
    part="$cache/.$version.$$"
    trap 'rm -rf "$part"' EXIT
    trap 'exit 130' INT TERM HUP
    mkdir "$part"
    echo "fetching Apache Camel $version from Maven Central" >&2
    {
        mvn --batch-mode --quiet -U -Dmaven.wagon.http.retryHandler.count=3 --file "$here/pom.xml" \
            dependency:copy-dependencies -DoutputDirectory="$part/libs" &&
            javac -proc:none -cp "$part/libs/*" -d "$part/classes" "$here/CamelLoop.java"
    } >"$part/log" 2>&1 || {
        cat "$part/log" >&2
        exit 1
    }
    cp "$here/pom.xml" "$here/CamelLoop.java" "$part"
    rm -rf "$final"
    mv "$part" "$final"
fi
echo "$final/classes:$final/libs/*"
