"""The status quo: GREEN-API's own SDKs and confluent-kafka, a flush for each event, a thread for each instance.

Arguments: bootstrap servers, topic, and a file with a line "url id token" for each instance; then "webhook" and a port,
to be called in place of polling: by GREEN-API's own webhook server, one call after the other, as that is made. (Its
successor, whatsapp-api-webhook-server-python-v2, hands on only the fields that it knows, and answers with 200 what it
does not understand.)
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
        if publish(producer, topic, instance, received.data["body"]):
            api.receiving.deleteNotification(received.data["receiptId"])


def publish(producer, topic, instance, body):
    """Whether Kafka has acknowledged it."""
    refused = []
    producer.produce(
        topic,
        key=instance,
        value=json.dumps(body),
        on_delivery=lambda error, _: refused.append(error) if error else None,
    )
    producer.flush()
    return not refused


def webhook(producer, topic, port):
    from whatsapp_api_webhook_server_python.webhooksHandler import startServer

    def on_event(_handler, _kind, body):
        if not publish(producer, topic, str(body["instanceData"]["idInstance"]), body):
            raise RuntimeError("Kafka refused it")  # answered with 500

    startServer("127.0.0.1", port, on_event)


def main():
    brokers, topic, targets, *mode = sys.argv[1:]
    producer = Producer({"bootstrap.servers": brokers, "acks": "all", "enable.idempotence": True})
    if mode:
        webhook(producer, topic, int(mode[1]))
        return
    with open(targets, encoding="utf-8") as lines:
        for line in lines:
            threading.Thread(target=loop, args=(producer, topic, *line.split()), daemon=True).start()
    threading.Event().wait()


main()
