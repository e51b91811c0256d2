import os
from http.server import BaseHTTPRequestHandler, HTTPServer

print("listening on port 3000")
HTTPServer((os.environ["HOST"], 3000), BaseHTTPRequestHandler).serve_forever()
