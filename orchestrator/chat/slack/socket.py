"""Socket Mode: Slack reaches us through a connection that we open. slack_sdk keeps it, with two mendings of ours."""

import contextlib
import socket
import threading
from typing import Any

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.socket_mode.builtin import SocketModeClient

from .api import quiet


class Socket:
    """What Slack sends through the connection goes to `app`. Nothing runs before `open`."""

    def __init__(self, app: App, token: str, web: WebClient, ping_s: float) -> None:
        self._app, self._token, self._web, self._ping_s = app, token, web, ping_s
        self._lock = threading.Lock()
        self._client: _Client | None = None

    @property
    def connected(self) -> bool:
        """Whether Slack can reach us now."""
        client = self._client
        return client is not None and client.is_connected()

    def open(self) -> None:
        """Connect, if that never worked so far; raises what slack_sdk raises. Afterwards slack_sdk itself looks every
        `ping_s` whether the connection is alive, and makes another one when Slack wants it or the old one broke."""
        with self._lock:
            if self._client is None:
                self._client = _Client(self._token, quiet, self._web, ping_interval=self._ping_s)
                _Handler(self._app, self._client)
            client = self._client
        if not client.current_app_monitor_started:
            client.connect()

    def close(self) -> None:
        """Disconnect and end the threads. Safe to repeat."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.leave()
            client.closed = True
            client.message_queue.put(None)  # or it waits another second for a message
            client.close()
            client.disconnect()  # from a connection that was made while the line before closed another one


class _Handler(SocketModeHandler):
    """bolt's, for a client that is there already."""

    def __init__(self, app: App, client: "_Client") -> None:
        self.app, self.client = app, client
        client.socket_mode_request_listeners.append(self.handle)  # type: ignore[arg-type]


class _Client(SocketModeClient):
    """slack_sdk's, which waits up to three seconds for a last message when it leaves a connection, and in which a
    connection that was cut is found out by five pings that fail; both while nobody hears what Slack sends."""

    def connect(self) -> None:
        self.leave()
        super().connect()
        session = self.current_session
        if session is not None and session.sock is not None:
            session.sock = _Ends(session.sock)  # type: ignore[assignment]

    def leave(self) -> None:
        """End the wait for the next message on the connection that there is now."""
        session = self.current_session
        if session is not None and isinstance(session.sock, _Ends):
            self.current_session_state.terminated = True
            session.sock.leave()


class _Ends:
    """A socket whose end is an error, unless we have left it."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self._left = False

    def recv(self, size: int) -> bytes:
        data = self._inner.recv(size)
        if not data and not self._left:
            raise ConnectionResetError("Slack has ended the connection")
        return data

    def leave(self) -> None:
        self._left = True
        with contextlib.suppress(OSError):
            self._inner.shutdown(socket.SHUT_RDWR)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
