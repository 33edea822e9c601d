"""Prints every record of a topic, one JSON line each, read by a client that shares no code with the bridge.

Every partition is read from its beginning to the end it has when this starts. A record becomes

    {"partition": 0, "offset": 0, "key": "...", "timestamp": 1617691757000, "headers": {...}, "value": {...}}

with `value_base64` in place of `value` where the value is not JSON that Python can read. A tombstone has the value null.
With --hex every value is `value_hex`, byte for byte.
"""

import argparse
import base64
import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition


def text(data):
    return None if data is None else data.decode("utf-8", "backslashreplace")


def line(record, in_hex):
    out = {
        "partition": record.partition(),
        "offset": record.offset(),
        "key": text(record.key()),
        "timestamp": record.timestamp()[1],
        "headers": {name: text(value) for name, value in record.headers() or []},
    }
    value = record.value()
    if in_hex:
        out["value_hex"] = (value or b"").hex()
        return json.dumps(out)
    try:
        out["value"] = None if value is None else json.loads(value)
    except (ValueError, RecursionError):  # not JSON, or nested deeper than Python reads
        out["value_base64"] = base64.b64encode(value).decode()
    return json.dumps(out)


def records(bootstrap, topic, idle_seconds):
    """Yields what the topic holds now, each partition in its order; ends the process with a word where that fails."""
    # group.id is compulsory and unused: assign() joins no group, and nothing is committed.
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "read_topic",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            # Not twenty lines a second about a broker that is away: what matters is raised, or runs out of time.
            "log_level": 2,
        }
    )
    try:
        found = consumer.list_topics(topic, timeout=idle_seconds).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        ends = {}
        for partition in found.partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=idle_seconds)
            if high > low:
                ends[partition] = high
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
        idle = 0
        while ends:
            batch = consumer.consume(num_messages=10_000, timeout=0.2)
            idle = 0 if batch else idle + 0.2
            if idle >= idle_seconds:
                sys.exit(f"nothing came for {idle_seconds} s; not read to the end: partitions {sorted(ends)}")
            for record in batch:
                partition = record.partition()
                error = record.error()
                if error is None:
                    end = ends.get(partition)
                    if end is None or record.offset() >= end:
                        ends.pop(partition, None)  # written after the start: not asked for
                        continue
                    yield record
                    if record.offset() + 1 == end:
                        del ends[partition]
                # The end of the partition also counts: the last offsets may hold no records (a transaction's marker).
                elif error.code() == KafkaError._PARTITION_EOF:
                    ends.pop(partition, None)
                else:
                    raise KafkaException(error)
    except KafkaException as error:
        sys.exit(f"{topic}: {error}")
    finally:
        consumer.close()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bootstrap")
    arguments.add_argument("topic")
    arguments.add_argument(
        "--idle-seconds", type=float, default=30, help="fail when no record comes for so long before the end (default 30)"
    )
    arguments.add_argument("--hex", action="store_true", help="print the bytes of each value, in hexadecimal")
    given = arguments.parse_args()
    for record in records(given.bootstrap, given.topic, given.idle_seconds):
        print(line(record, given.hex))


if __name__ == "__main__":
    main()
