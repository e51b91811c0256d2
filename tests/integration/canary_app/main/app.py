"""The app: a web server whose health is that of the branch."""

import html
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import how
import tell


class App(BaseHTTPRequestHandler):
    def do_GET(self):
        print(tell.everything(), flush=True)
        code, kind, body = getattr(self, how.HEALTH)()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body.encode())

    def works(self):
        return 200, "text/plain", "fine"

    def json(self):
        shown = {"is": tell.NO_SECRET, **{name: os.environ[name] for name in tell.NAMES}, "all": tell.everything()}
        return 500, "application/json", json.dumps(shown)

    def page(self):
        rows = "".join(f"<tr><th>{name}<td>{html.escape(os.environ[name])}\n" for name in tell.NAMES)
        return 503, "text/html", f"<!doctype html><title>{tell.NO_SECRET}</title><table>{rows}</table>"

    def hangs(self):
        time.sleep(60)
        return 200, "text/plain", "too late"


print(tell.NO_SECRET, flush=True)
print(tell.everything(), flush=True)
if how.START == "raises":
    raise KeyError(tell.NO_SECRET, *tell.values())
ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), App).serve_forever()
