"""Serve the application with waitress, until SIGTERM or SIGINT."""

import errno
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.server import create_server  # type: ignore[import-untyped]

from orchestrator.domain.errors import Unavailable

from .api.context import streams

# How long what has begun gets to finish: requests, and steps of operations. The stack's supervisor kills after 5 s.
DRAIN_S = 3.0


def serve(
    app: Flask, host: str, port: int, threads: int, ending: threading.Event, idle: Callable[[], bool] = lambda: True
) -> None:
    """Answer on `host:port` with `threads` threads until SIGTERM or SIGINT, which sets `ending`.

    From then on it goes on answering, for a few seconds at most, until requests have finished and `idle` says that the
    work behind them has; so whoever asks for something new hears why not (see `World.stopping`).
    Call it on the main thread (signals arrive there). Raises Unavailable when the address cannot be had.
    """
    server = Server(app, host, port, threads)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    server.run(ending, idle)


class Server:
    """The application on an address. It listens from the beginning and answers while it runs.

    Progress streams hold a thread each while they are open; `sse.Streams` keeps them below `threads`.
    """

    def __init__(self, app: Flask, host: str, port: int, threads: int) -> None:
        self._app = app
        self._sockets: dict[int, Any] = {}
        try:
            self._server = create_server(
                app, map=self._sockets, host=host, port=port, threads=threads, ident=None,
                clear_untrusted_proxy_headers=True,
                channel_request_lookahead=1,  # or a client that hung up is noticed only by writing to it
            )  # fmt: skip
        except OSError as error:
            raise Unavailable(*_why(error, host, port)) from error

    @property
    def port(self) -> int:
        """The port it listens on; of interest when it was asked for port 0."""
        return int(self._server.effective_port)

    def run(self, ending: threading.Event, idle: Callable[[], bool] = lambda: True) -> None:
        """Answer until `ending` is set (noticed within a second), then until what has begun has finished."""
        try:
            while not ending.is_set():
                self._turn(1.0)
            self._drain(idle)
        finally:
            self._server.task_dispatcher.shutdown(timeout=1)
            wasyncore.close_all(self._sockets)

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._sockets, count=1)

    def _drain(self, idle: Callable[[], bool]) -> None:
        """End the streams, and let the other requests and the work finish; new requests are still answered."""
        streams(self._app).close()
        deadline = time.monotonic() + DRAIN_S
        while time.monotonic() < deadline and (not idle() or any(_busy(each) for each in self._sockets.values())):
            self._turn(0.1)


def _busy(each: Any) -> bool:
    return isinstance(each, HTTPChannel) and bool(each.requests or each.total_outbufs_len)


def _why(error: OSError, host: str, port: int) -> tuple[str, str]:
    if error.errno == errno.EADDRINUSE:
        return "port-in-use", f"Port {port} on {host} is in use; end what uses it, or choose another with BRINE_PORT."
    return "address-unusable", f"Brinepool cannot listen on {host}:{port}: {error.strerror or error}."
