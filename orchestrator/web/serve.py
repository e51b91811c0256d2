"""Serve the application with waitress, until SIGTERM or SIGINT."""

import errno
import signal
import threading
import time
from typing import Any

from flask import Flask
from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.server import create_server  # type: ignore[import-untyped]

from orchestrator.domain.errors import Unavailable

from .api.context import streams

DRAIN_S = 5.0  # how long running requests get to finish, well below supervisor's 10 s before it kills


def serve(app: Flask, host: str, port: int, threads: int) -> None:
    """Answer on `host:port` with `threads` threads; returns when the process is asked to end.

    Progress streams hold a thread each while they are open; `sse.Streams` keeps them below `threads`. Call it on the
    main thread (signals arrive there). Raises Unavailable when the address cannot be had.
    """
    sockets: dict[int, Any] = {}
    server = _listen(app, host, port, threads, sockets)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    try:
        while not ending.is_set():
            wasyncore.loop(timeout=1, use_poll=True, map=sockets, count=1)
        _drain(app, sockets)
    finally:
        server.task_dispatcher.shutdown(timeout=1)
        server.close()


def _listen(app: Flask, host: str, port: int, threads: int, sockets: dict[int, Any]) -> Any:
    try:
        return create_server(
            app, map=sockets, host=host, port=port, threads=threads, ident=None, clear_untrusted_proxy_headers=True,
            channel_request_lookahead=1,  # or a client that hung up is noticed only by writing to it
        )  # fmt: skip
    except OSError as error:
        raise Unavailable(*_why(error, host, port)) from error


def _drain(app: Flask, sockets: dict[int, Any]) -> None:
    """End the streams, and let the other requests that have begun finish."""
    streams(app).close()
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline and any(_busy(each) for each in sockets.values()):
        wasyncore.loop(timeout=0.1, use_poll=True, map=sockets, count=1)


def _busy(each: Any) -> bool:
    return isinstance(each, HTTPChannel) and bool(each.requests or each.total_outbufs_len)


def _why(error: OSError, host: str, port: int) -> tuple[str, str]:
    if error.errno == errno.EADDRINUSE:
        return "port-in-use", f"Port {port} on {host} is in use; end what uses it, or choose another with BRINE_PORT."
    return "address-unusable", f"Brinepool cannot listen on {host}:{port}: {error.strerror or error}."
