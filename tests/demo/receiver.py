"""Accepts webhooks and writes them to a file, one per line, for the demo to read: receiver.py PORT FILE"""

import http.server
import sys


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with open(sys.argv[2], "ab") as kept:
            kept.write(body + b"\n")
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
