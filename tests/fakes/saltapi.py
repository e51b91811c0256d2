"""A fake salt-api: a real HTTP server on loopback that speaks `/login`, `/` and `/events` as rest_cherrypy does.

```
with FakeSaltApi() as fake:
    salt = fake.connect()                                 # a SaltApi that talks to it
    fake.salt.misbehave(NeverComesUp("cart-web-1"))       # see tests/fakes/misbehaviour.py
    fake.salt.branches["shop", "api"] = ("main", "feature/cart")
```
"""

import fnmatch
import json
import secrets
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from orchestrator.saltapi.adapter import SaltApi
from orchestrator.saltapi.suspense import Patience
from tests.fakes import misbehaviour as bad
from tests.fakes.salt import NONSENSE, Durations, FakeSalt

USER, PASSWORD = "brinepool", "the fake's secret"
# Tests do not wait for seconds of silence.
IMPATIENT = Patience(first=0.15, longest=0.4, blind=0.1, outage=3.0, answer=0.3, again=0.1)
_RIGHTS = {
    "runner": ("brinepool.*", "jobs.lookup_jid"),
    "runner_async": ("brinepool.*", "jobs.lookup_jid"),
    "local_async": ("brinepool.*", "saltutil.find_job", "saltutil.kill_job", "test.ping"),
}


class FakeSaltApi:
    """The server. `salt` is the Salt behind it; `calls` counts requests by function, `logins` the logins,
    `connections` how often somebody connected."""

    def __init__(self, salt: FakeSalt | None = None, durations: Durations | None = None) -> None:
        self.salt = salt or FakeSalt(durations)
        self.calls: Counter[str] = Counter()
        self.logins = 0
        self.connections = 0
        self.tokens: dict[str, int] = {}  # how often each was used
        self._port = 0
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._clients: list[SaltApi] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        for client in self._clients:
            client.close()
        self.stop()
        self.salt.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def connect(self, password: str = PASSWORD, patience: Patience = IMPATIENT) -> SaltApi:
        """The real adapter, talking to this fake; closed with it."""
        client = SaltApi(self.url, USER, lambda: password, patience=patience)
        self._clients.append(client)
        return client

    def start(self) -> None:
        """Listen; after `stop`, on the same port again. One that listens goes on."""
        with self._lock:
            if self._server is not None:
                return
            self._server = server = self._listening()
            self._port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True, name="fake-saltapi").start()

    def stop(self) -> None:
        """Stop listening, cut every connection and forget every token."""
        with self._lock:
            if self._server is not None:
                self._server.cut()
                self.salt.end_streams()
                self.tokens.clear()
                self._server = None

    def _listening(self) -> "_Server":
        """While it was gone, somebody's outgoing connection may have been given its port for a moment."""
        until = time.monotonic() + 10
        while True:
            try:
                return _Server(("127.0.0.1", self._port), self)
            except OSError:
                if time.monotonic() > until:
                    raise
                threading.Event().wait(0.02)

    def restart(self, seconds: float = 0.05) -> None:
        """Be gone for a while."""
        self.stop()
        back = threading.Timer(seconds, self.start)
        back.daemon = True
        back.start()

    def revoke_tokens(self) -> None:
        """Let every token expire."""
        self.tokens.clear()

    def log_in(self, credentials: dict[str, Any]) -> list[Any] | None:
        """A new token, or None."""
        self.logins += 1
        right = credentials.get("username") == USER and credentials.get("password") == PASSWORD
        if not right or credentials.get("eauth") != "sharedsecret" or self.salt.does(bad.RefusesLogin):
            return None
        token = secrets.token_hex(20)
        self.tokens[token] = 0
        now = time.time()
        return [
            {"token": token, "start": now, "expire": now + 43200, "user": USER, "eauth": "sharedsecret", "perms": []}
        ]

    def accepts(self, token: str | None) -> bool:
        """Whether a token is good for one more request."""
        if token not in self.tokens:
            return False
        self.tokens[token] += 1
        expiry = self.salt.does(bad.ExpiresTokens)
        return expiry is None or self.tokens[token] <= expiry.after

    def execute(self, low: dict[str, Any]) -> Any:
        """Carry out one lowstate chunk. PermissionError when our account has no right to it."""
        client, function = str(low.get("client")), str(low.get("fun"))
        self.calls[f"{client} {function}"] += 1
        if not any(fnmatch.fnmatchcase(function, right) for right in _RIGHTS.get(client, ())):
            raise PermissionError(function)
        if client == "runner":
            return self.salt.runner(function, low.get("kwarg", {}))
        if client == "runner_async":
            return self.salt.runner_async(function, low.get("kwarg", {}))
        return self.salt.publish(low["tgt"], function, low.get("arg", ()), low.get("jid", ""))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], api: FakeSaltApi) -> None:
        self.api = api
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        self.api.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was cut is no error of the fake."""

    def cut(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            with _unless_closed():
                connection.shutdown(socket.SHUT_RDWR)


class _unless_closed:  # noqa: N801
    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> bool:
        return kind is not None and issubclass(kind, OSError)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        api = self.server.api
        if self._misbehaved():
            return
        data = json.loads(body)
        if self.path == "/login":
            auth = api.log_in(data)
            self._refuse() if auth is None else self._json({"return": auth})
        elif not api.accepts(self.headers.get("X-Auth-Token")):
            self._refuse()
        else:
            self._run(data)

    def do_GET(self) -> None:
        if self.path == "/events":
            if self.server.api.accepts(self.headers.get("X-Auth-Token")):
                self._stream()
            else:
                self._refuse()
        else:
            self._json({"return": "Welcome", "clients": sorted(_RIGHTS)})

    def _run(self, lowstate: list[dict[str, Any]]) -> None:
        api = self.server.api
        try:
            answers = [api.execute(low) for low in lowstate]
        except PermissionError:
            self._refuse()
            return
        except KeyError:  # an unknown runner function: salt-api says nothing more
            self._json({"status": 500, "return": "An unexpected error occurred"}, status=500)
            return
        done = {str(low.get("fun")) for low in lowstate}
        if restart := api.salt.does(bad.Restarts, when=lambda one: one.function in done):
            self.close_connection = True
            threading.Thread(target=api.restart, args=(restart.seconds,), daemon=True).start()
            return
        self._json({"return": answers})

    def _misbehaved(self) -> bool:
        salt = self.server.api.salt
        if slow := salt.does(bad.AnswersSlowly):
            time.sleep(slow.seconds)
        if nonsense := salt.does(bad.AnswersNonsense):
            self._answer(200, "text/html", nonsense.body)
        elif salt.does(bad.MasterDown):
            self._answer(503, "text/html;charset=utf-8", _page(503, "Salt Master is not available."))
        else:
            return False
        return True

    def _refuse(self) -> None:
        self._answer(401, "text/html;charset=utf-8", _page(401, "No permission -- see authorization schemes"))

    def _json(self, data: Any, status: int = 200) -> None:
        self._answer(status, "application/json", json.dumps(data))

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        """Like rest_cherrypy: `retry` once, then events as they come, and nothing else."""
        reader = self.server.api.salt.listen()
        self.close_connection = True
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream;charset=utf-8")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._chunk("retry: 400\n")
            while (event := reader.get()) is not None:
                tag, data = event
                if tag == NONSENSE:
                    self._chunk(data["text"])
                    continue
                self._chunk(f"tag: {tag}\n")
                self._chunk(f"data: {json.dumps({'tag': tag, 'data': data})}\n\n")
            self.wfile.write(b"0\r\n\r\n")
        finally:
            self.server.api.salt.leave(reader)

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):X}\r\n".encode() + data + b"\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the tests' output quiet."""


def _page(status: int, text: str) -> str:
    """CherryPy's error page."""
    return (
        f"<!DOCTYPE html><html><head><title>{status}</title></head><body><h2>{status}</h2><p>{text}</p></body></html>"
    )
