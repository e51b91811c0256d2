import os
from http.server import BaseHTTPRequestHandler, HTTPServer

HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), BaseHTTPRequestHandler).serve_forever()
