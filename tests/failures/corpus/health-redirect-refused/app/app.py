import os
from http.server import BaseHTTPRequestHandler, HTTPServer


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "https://127.23.0.9:8443/login")
        self.end_headers()

    def log_message(self, *arguments):
        pass


HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Shop).serve_forever()
