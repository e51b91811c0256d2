"""Live progress: what has happened is rows; the hub only says *that* something has, so that nobody polls in vain."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Hub:
    """Wakes those who follow operations in this process. A hint only: followers read the rows."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def notify(self) -> None:
        """Something was written."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    @property
    def count(self) -> int:
        """Take it before reading rows, and hand it to `wait` after."""
        return self._count

    def wait(self, seen: int, seconds: float) -> bool:
        """Wait until something was written since `seen`, at most `seconds`. True when something was."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count > seen, seconds)


class Turns:
    """Wakes those who wait in this process for their turn to be built. A hint only, too. Safe to share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, threading.Event] = {}

    @contextmanager
    def waiting(self, server: str) -> Iterator[threading.Event]:
        """The server waits. → what is set to wake it."""
        event = threading.Event()
        with self._lock:
            self._waiting[server] = event
        try:
            yield event
        finally:
            with self._lock:
                self._waiting.pop(server, None)

    def nudge(self) -> None:
        """Something was written: one of them is to look whose turn it is; it wakes the others."""
        with self._lock:
            for event in self._waiting.values():
                event.set()
                return

    def wake(self, servers: Iterable[str]) -> None:
        """It is the turn of these."""
        with self._lock:
            for server in servers:
                if server in self._waiting:
                    self._waiting[server].set()
