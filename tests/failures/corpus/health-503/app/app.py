import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        body = {"status": "down", "checks": {"database": "ok", "search": "connection refused by search:9200"}}
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *arguments):
        pass


HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Shop).serve_forever()
