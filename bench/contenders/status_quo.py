"""The status quo: GREEN-API's own SDK and confluent-kafka, a flush for each event, a thread for each instance.

Arguments: bootstrap servers, topic, and a file with a line "url id token" for each instance.
"""

import json
import sys
import threading
import time

from confluent_kafka import Producer
from whatsapp_api_client_python.API import GreenAPI


def loop(producer, topic, url, instance, token):
    api = GreenAPI(instance, token, host=url, media=url)
    while True:
        received = api.receiving.receiveNotification()
        if received.code != 200:
            time.sleep(5)  # as the SDK's own loop does
            continue
        if not received.data:
            continue
        refused = []
        producer.produce(
            topic,
            key=instance,
            value=json.dumps(received.data["body"]),
            on_delivery=lambda error, _: refused.append(error) if error else None,
        )
        producer.flush()
        if not refused:
            api.receiving.deleteNotification(received.data["receiptId"])


def main():
    brokers, topic, targets = sys.argv[1:]
    producer = Producer({"bootstrap.servers": brokers, "acks": "all", "enable.idempotence": True})
    with open(targets, encoding="utf-8") as lines:
        for line in lines:
            threading.Thread(target=loop, args=(producer, topic, *line.split()), daemon=True).start()
    threading.Event().wait()


main()
