import os
from http.server import BaseHTTPRequestHandler, HTTPServer


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500)
        self.end_headers()
        self.wfile.write(b"price list prices.csv is empty")

    def log_message(self, *arguments):
        pass


HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Shop).serve_forever()
