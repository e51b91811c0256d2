"""A wire to a server that can be cut: for what becomes unreachable for one client only."""

import select
import socket
import socketserver
import threading
from contextlib import suppress


class Relay:
    """Listens on a free loopback port and passes everything on to another, except while it is `cut`.

    `deaf`: what is asked arrives, and no answer comes back.
    """

    def __init__(self, port: int) -> None:
        self.deaf = False
        self._target = ("127.0.0.1", port)
        self._address = ("127.0.0.1", 0)
        self._open: set[socket.socket] = set()
        self.mend()

    @property
    def url(self) -> str:
        """Where it listens, also while it is cut."""
        return f"http://127.0.0.1:{self._address[1]}"

    def cut(self) -> None:
        """Close every connection, and take no more. Safe to repeat."""
        server, self._server = self._server, None
        if server:
            server.shutdown()
            server.server_close()
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Pass on again."""
        relay = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                relay._pass_on(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server: Server | None = Server(self._address, Handler)
        self._address = self._server.server_address[:2]  # type: ignore[assignment]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        with suppress(OSError), socket.create_connection(self._target) as far:
            self._open |= {near, far}
            other = {near: far, far: near}
            try:
                while self._server:  # cut while this one began, perhaps
                    for one in select.select([near, far], [], [])[0]:
                        data = one.recv(65536)
                        if not data:
                            return
                        if one is near or not self.deaf:
                            other[one].sendall(data)
            finally:
                self._open -= {near, far}
