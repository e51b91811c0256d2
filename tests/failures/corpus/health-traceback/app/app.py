import logging
import os
import sqlite3
from http.server import BaseHTTPRequestHandler, HTTPServer


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            sqlite3.connect(":memory:").execute("SELECT count(*) FROM orders")
        except sqlite3.Error:
            logging.exception("The health check failed")
            self.send_response(500)
            self.end_headers()
            self.wfile.write(b"<html><head><title>Internal Server Error</title></head></html>")

    def log_message(self, *arguments):
        pass


HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Shop).serve_forever()
