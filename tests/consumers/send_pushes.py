"""GREEN-API's sender of the push technology, played with `requests`: whatever it knows of HTTP is not ours.

Reads one JSON line an event from its standard input, {"url": "...", "body": "..."}. The events of one URL are sent one at
a time and in their order, each again and again until it is answered with 200; different URLs go side by side. Prints one
JSON line an attempt, {"url": "...", "event": 0, "status": 200, "at_ms": 1760000000000}, with `error` in place of `status`
where there is no answer. Ends when everything was answered with 200.
"""

import argparse
import json
import sys
import threading
import time

import requests


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("token", help="webhookUrlToken")
    arguments.add_argument("--answer-seconds", type=float, default=180, help="how long an answer is waited for")
    arguments.add_argument("--pause-seconds", type=float, default=60, help="before the same event is sent again")
    arguments.add_argument("--per-second", type=float, default=50, help="events of one URL at most")
    given = arguments.parse_args()

    events = {}
    for line in sys.stdin:
        event = json.loads(line)
        events.setdefault(event["url"], []).append(event["body"])
    printing = threading.Lock()

    def tell(line):
        with printing:
            print(json.dumps({**line, "at_ms": int(time.time() * 1000)}), flush=True)

    def send(url, bodies):
        session = requests.Session()
        session.trust_env = False  # no proxy from the environment: the URL is where events go
        headers = {"Content-Type": "application/json; charset=utf-8", "Authorization": f"Bearer {given.token}"}
        for number, body in enumerate(bodies):
            next_at = time.monotonic() + 1 / given.per_second
            while True:
                try:
                    answer = session.post(
                        url, data=body.encode(), headers=headers, timeout=given.answer_seconds, allow_redirects=False
                    )
                    tell({"url": url, "event": number, "status": answer.status_code})
                    if answer.status_code == 200:
                        break
                except requests.RequestException as error:
                    tell({"url": url, "event": number, "error": type(error).__name__})
                time.sleep(given.pause_seconds)
            time.sleep(max(0, next_at - time.monotonic()))

    senders = [threading.Thread(target=send, args=of_one) for of_one in events.items()]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()


main()
