"""Receives and deletes notifications with GREEN-API's own SDK, as an application written against it would.

Prints one JSON line for each: {"received": {"receiptId": ..., "body": {...}}, "deleted": {"result": true, ...}}.
Ends with 1 at the first answer that the SDK's users would not expect, an empty queue included.
"""

import argparse
import json
import sys

from whatsapp_api_client_python.API import GreenAPI


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("url", help="the API's address, as http://127.0.0.1:8080")
    arguments.add_argument("id", help="idInstance")
    arguments.add_argument("token", help="apiTokenInstance")
    arguments.add_argument("count", type=int, help="how many notifications must be there")
    given = arguments.parse_args()

    api = GreenAPI(given.id, given.token, host=given.url.rstrip("/"), media=given.url.rstrip("/"), host_timeout=70)
    for number in range(1, given.count + 1):
        received = api.receiving.receiveNotification()
        if (
            received.code != 200
            or not isinstance(received.data, dict)
            or not isinstance(received.data.get("receiptId"), int)
            or not isinstance(received.data.get("body"), dict)
        ):
            sys.exit(f"receiveNotification {number}: {received.code} {received.data} {received.error}")
        deleted = api.receiving.deleteNotification(received.data["receiptId"])
        if deleted.code != 200 or deleted.data.get("result") is not True:
            sys.exit(f"deleteNotification {number}: {deleted.code} {deleted.data} {deleted.error}")
        print(json.dumps({"received": received.data, "deleted": deleted.data}))


main()
