import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Git(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.end_headers()


HTTPServer((sys.argv[1], 8090), Git).serve_forever()
