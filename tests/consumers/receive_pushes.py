"""A webhook as an application would write it: what GREEN-API's push technology sends, received with Python alone.

Prints {"port": ...}, then one JSON line for each request: {"path": ..., "headers": {...}, "body": "..."}. The first
requests are answered with the given statuses, later ones with 200. Ends when its standard input does.
"""

import argparse
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("statuses", nargs="*", type=int, help="how the first requests are answered")
    statuses = arguments.parse_args().statuses

    class Webhook(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            print(json.dumps({"path": self.path, "headers": headers, "body": body}), flush=True)
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    print(json.dumps({"port": server.server_port}), flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


main()
