"""Salt's own event bus, as the master's socket gives it: what happened when, by Salt's own time stamps."""

import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import salt.config
import salt.utils.event

from orchestrator.embedded.home import Home

from .installation import BenchError

_SLICE = 0.5  # seconds; how soon the thread notices that it should end


@dataclass(frozen=True)
class Event:
    """One event. `at`: Salt's `_stamp`, in seconds since 1970."""

    tag: str
    at: float
    data: dict[str, Any]


class Events:
    """A context: every event from its begin to its end. The thread costs next to nothing while nothing is heard."""

    def __init__(self, home: Home) -> None:
        self._opts = salt.config.client_config(str(home.etc / "master"))
        self._news = threading.Condition()
        self._heard: list[Event] = []
        self._subscribed, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._listen, name="salt-events", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._subscribed.wait(30):
            raise BenchError("The master's event bus cannot be heard.")
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join(timeout=10)

    def wait(self, tags: Iterable[str], seconds: float = 300) -> None:
        """Return as soon as an event of each tag was heard. Raises BenchError."""
        wanted = set(tags)
        with self._news:
            if not self._news.wait_for(lambda: wanted <= {event.tag for event in self._heard}, seconds):
                missing = wanted - {event.tag for event in self._heard}
                raise BenchError(f"Within {seconds:.0f} s there was no event {', '.join(sorted(missing))}.")

    def of(self, pattern: str, **fields: Any) -> list[Event]:
        """The events whose tag matches, with these values in their data, in order."""
        with self._news:
            heard = list(self._heard)
        return [
            event
            for event in heard
            if re.fullmatch(pattern, event.tag) and all(event.data.get(key) == fields[key] for key in fields)
        ]

    def one(self, pattern: str, **fields: Any) -> Event:
        """The first of them. Raises BenchError when there is none."""
        found = self.of(pattern, **fields)
        if not found:
            raise BenchError(f"Salt told of no event {pattern} {fields or ''}.")
        return found[0]

    def forget(self) -> None:
        """Drop what was heard, between two measurements."""
        with self._news:
            self._heard.clear()

    def _listen(self) -> None:
        bus = salt.utils.event.get_event("master", sock_dir=self._opts["sock_dir"], opts=self._opts, listen=True)
        try:
            if not bus.connect_pub():
                return
            self._subscribed.set()
            while not self._closing.is_set():
                if heard := bus.get_event(wait=_SLICE, full=True, auto_reconnect=True):
                    self._keep(heard["tag"], heard["data"])
        finally:
            bus.destroy()

    def _keep(self, tag: str, data: dict[str, Any]) -> None:
        with self._news:
            self._heard.append(Event(tag, _seconds(data.get("_stamp")), data))
            self._news.notify_all()


def _seconds(stamp: str | None) -> float:
    """Salt's stamp is UTC, with or without saying so."""
    return datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp() if stamp else time.time()
