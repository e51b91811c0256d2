import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Git(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(403)
        self.end_headers()


HTTPServer((sys.argv[1], 8090), Git).serve_forever()
