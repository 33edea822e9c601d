"""Prints every record of a topic as Confluent's own deserialiser reads it with a schema registry, one JSON line each.

The deserialiser finds the schema by the id in the value's frame and checks the value against it.

    {"schema_id": 1, "schema": {...}, "key": "...", "value": {...}}
"""

import argparse
import json
import sys

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.json_schema import JSONDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from read_topic import records


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bootstrap")
    arguments.add_argument("topic")
    arguments.add_argument("registry", help="the root of the schema registry's API")
    given = arguments.parse_args()
    # Half a surrogate pair, which upstream may send, becomes a question mark: not every JSON reader takes it.
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")

    registry = SchemaRegistryClient({"url": given.registry})
    read = JSONDeserializer(None, schema_registry_client=registry)
    for record in records(given.bootstrap, given.topic, idle_seconds=30):
        value = record.value()
        schema_id = int.from_bytes(value[1:5], "big")
        line = {
            "schema_id": schema_id,
            "schema": json.loads(registry.get_schema(schema_id).schema_str),
            "key": record.key().decode(),
            "value": read(value, SerializationContext(given.topic, MessageField.VALUE)),
        }
        print(json.dumps(line, ensure_ascii=False))


main()
