"""Prints what happens in the chats of a topic, one readable line each: text, media, statuses, calls.

Every field but kind and source may be absent, so a line is printed where all it needs is there. The key always is: the
chat, or the instance where an event has no chat. Other kinds are passed over, those of later versions among them.

Usage: print_chats.py bootstrap topic records (it ends after reading that many; an application would go on).
"""

import json
import sys

from confluent_kafka import Consumer

bootstrap, topic, records = sys.argv[1:]
sys.stdout.reconfigure(encoding="utf-8")
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "python", "auto.offset.reset": "earliest"})
consumer.subscribe([topic])
for _ in range(int(records)):
    record = consumer.poll(timeout=30)
    chat = record.key().decode()
    match json.loads(record.value()):
        case {"kind": "message", "message": {"content": {"type": "text", "text": text}}}:
            print(f"{chat} text: {text}")
        case {"kind": "message", "message": {"content": {"type": media, "download_url": url}}}:
            print(f"{chat} {media}: {url}")
        case {"kind": "message_status", "status": {"message_id": message, "state": state}}:
            print(f"{chat} message {message}: {state}")
        case {"kind": "call", "call": {"direction": direction, "state": state}}:
            print(f"{chat} {direction} call: {state}")
consumer.close()
