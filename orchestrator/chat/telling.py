"""How far an operation is, for chats that cannot edit a message: a short new one when a phase changes."""

import threading
import time
from dataclasses import dataclass

from .replies import Reply

_REMEMBERED = 500  # operations at once; who is forgotten is told again


@dataclass(frozen=True)
class _Told:
    at: float
    phases: tuple[tuple[str, str], ...]


class Telling:
    """When to say how far it is. `interval_s`: the least time between two lines of one operation; 0: never."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._told: dict[str, _Told] = {}

    def due(self, message: str, reply: Reply) -> Reply | None:
        """What is to be said now of the operation whose card is `message`; None when nothing is."""
        if not self._interval_s or reply.progress is None:
            return None
        now = time.monotonic()
        phases = tuple((step.server, step.phase) for step in reply.progress.steps)
        with self._lock:
            last = self._told.get(message)
            if last and (last.phases == phases or now - last.at < self._interval_s):
                return None
            self._told[message] = _Told(now, phases)
            while len(self._told) > _REMEMBERED:
                del self._told[next(iter(self._told))]
        return Reply(title=reply.title, tone=reply.tone, progress=reply.progress)

    def forget(self, message: str) -> None:
        """It has ended."""
        with self._lock:
            self._told.pop(message, None)
