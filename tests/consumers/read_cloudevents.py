"""Prints every record of a topic as the CloudEvent that CloudEvents' own SDK finds in it, one JSON line each.

Nothing tells the SDK which mode the topic is in: it finds out, as in an application that reads both.

    {"mode": "binary", "attributes": {"id": "...", "type": "...", ...}, "data": {...}}
"""

import argparse
import json
import sys

from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from read_topic import records


def line(record):
    headers = dict(record.headers() or [])
    event = from_kafka_event(KafkaMessage(headers=headers, key=record.key(), value=record.value()))
    structured = headers["content-type"].startswith(b"application/cloudevents")
    attributes = {name: str(value) for name, value in event.get_attributes().items()}
    # An event without a time gets the present one from the SDK: that is not ours to compare.
    if "time" not in event.get_data():
        del attributes["time"]
    return json.dumps(
        {"mode": "structured" if structured else "binary", "attributes": attributes, "data": event.get_data()},
        ensure_ascii=False,
    )


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bootstrap")
    arguments.add_argument("topic")
    given = arguments.parse_args()
    # Half a surrogate pair, which upstream may send, becomes a question mark: not every JSON reader takes it.
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    for record in records(given.bootstrap, given.topic, idle_seconds=30):
        print(line(record))


main()
