"""One thread that follows salt-api's event stream and feeds the hub.

What rest_cherrypy does (3008.3): it sends `retry: 400` once and then only real events - no keepalives, so silence says
nothing about the connection. It checks the token before each event and ends the stream when the token has expired. It
notices that a reader is gone only when it sends the next event.
"""

import contextlib
import json
import logging
import random
import threading
from typing import Any

import requests
from sseclient import SSEClient
from urllib3.exceptions import HTTPError

from orchestrator.domain.errors import Unavailable

from .client import SaltClient
from .hub import Hub

log = logging.getLogger(__name__)

# A stream that was silent for so long is opened anew: the last resort, because silence is usually just that. A stream
# that hangs while somebody waits is found much earlier, see `EventStream.doubt`.
QUIET_SECONDS = 600.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_CHUNK = 65_536
_NO_JOB = "20000101000000000000"


class EventStream:
    """Follows `/events` from `start` to `close`, reconnecting with growing, jittered pauses and logging in anew."""

    def __init__(self, client: SaltClient, hub: Hub, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._client, self._hub, self._quiet = client, hub, quiet_seconds
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._response: requests.Response | None = None
        self._closing = threading.Event()

    def start(self) -> None:
        """Begin to follow, in a thread of its own; nothing when it already does."""
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name="salt-events", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop, and wait for the thread to end."""
        self._closing.set()
        self._hang_up()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def doubt(self) -> None:
        """Open the stream anew: something that certainly had an event was not heard of."""
        log.info("the event stream seems to hang; opening it anew")
        self._hang_up()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._closing.is_set():
            heard = self._hub.last_heard
            self._follow_once()
            pause = _FIRST_PAUSE if self._hub.last_heard != heard else min(pause * 2, _LONGEST_PAUSE)
            # Jitter, so that many readers of one salt-api do not come back in step.
            self._closing.wait(pause * random.uniform(0.5, 1.5))  # noqa: S311

    def _follow_once(self) -> None:
        """One connection, until it ends in whatever way."""
        try:
            with self._client.stream("/events", self._quiet) as response:
                self._response = response
                self._hub.set_connected(True)
                self._free_abandoned()
                self._read(response)
        # AttributeError: what urllib3 raises when its connection is shut down under it by another thread.
        except (Unavailable, requests.RequestException, HTTPError, OSError, ValueError, AttributeError) as error:
            log.debug("the event stream ended: %s", error)
        finally:
            self._response = None
            if self._hub.connected:
                self._hub.set_connected(False)

    def _read(self, response: requests.Response) -> None:
        for message in SSEClient(response.iter_content(_CHUNK)).events():
            if self._closing.is_set():
                return
            event: Any = json.loads(message.data)
            data = event.get("data") if isinstance(event, dict) else None
            if isinstance(data, dict):
                self._hub.publish(str(event.get("tag", "")), data, len(message.data))

    def _free_abandoned(self) -> None:
        """Cause an event when this is not the first stream: it makes salt-api let go of the thread of the last one.

        Else a Salt at which nothing happens overnight would have no thread left in the morning.
        """
        if self._hub.generation == 1:
            return
        with contextlib.suppress(Unavailable):
            self._client.call({"client": "runner_async", "fun": "jobs.lookup_jid", "kwarg": {"jid": _NO_JOB}})

    def _hang_up(self) -> None:
        """Make the reading thread's `recv` return; a plain close would leave it waiting."""
        response = self._response
        if response is None:
            return
        try:
            response.raw.shutdown()
        except (ValueError, RuntimeError, OSError) as error:  # it has just ended by itself
            log.debug("the event stream had ended already: %s", error)
