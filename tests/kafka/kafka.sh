#!/bin/sh
# Runs the tests' Kafka in the foreground, for use by hand: localhost:9092, topics made on first use, nothing kept.
# PORT=19092 tests/kafka/kafka.sh takes other ports (that one and the next).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
port=${PORT:-9092}
java=java
[ -z "${JAVA_HOME:-}" ] || java="$JAVA_HOME/bin/java"

libs=$("$here/fetch.sh")
dir=$(mktemp -d "${TMPDIR:-/tmp}/chatbridge-kafka-XXXXXX")
server=
stop() {
    trap - EXIT INT TERM HUP
    if [ -n "$server" ]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" || true
    fi
    rm -rf "$dir"
}
trap stop EXIT
trap 'stop; exit 0' INT TERM HUP

cp "$here/broker.properties" "$dir/server.properties"
cat >>"$dir/server.properties" <<EOF
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
log.dirs=$dir/data
auto.create.topics.enable=true
EOF

# Warnings and errors only; the one line of good news is ours.
run() {
    exec "$java" -Xms128m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData \
        -Djava.io.tmpdir="$dir" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
        -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info -cp "$libs/*" "$@"
}
(run kafka.tools.StorageTool format --cluster-id chatbridge-test-000001 --config "$dir/server.properties") >"$dir/format.log" 2>&1 || {
    cat "$dir/format.log" >&2
    exit 1
}
(run kafka.Kafka "$dir/server.properties") &
server=$!
echo "Apache Kafka starts on localhost:$port and says when it is ready. Ctrl-C stops it and forgets its data."
wait "$server"
