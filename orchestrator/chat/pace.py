"""How often a chat service may be spoken to: in each room, and by edits in all of them."""

import threading
import time


class Pace:
    """Slots in time. An answer reserves the next one of its room; progress takes a slot only when one is free now, so
    that it never delays an answer.

    `interval_s`: between two messages in a room. `edit_interval_s`: between two edits anywhere.
    """

    def __init__(self, interval_s: float, edit_interval_s: float) -> None:
        self._interval = interval_s
        self._edit_interval = edit_interval_s
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}
        self._next_edit = 0.0

    def reserve(self, room: str) -> float:
        """Take the room's next slot. → seconds until it comes."""
        with self._lock:
            now = time.monotonic()
            slot = max(now, self._next.get(room, 0.0))
            self._next[room] = slot + self._interval
            self._forget(now)
            return slot - now

    def wait(self, room: str) -> float:
        """Seconds until the room's next slot; takes none."""
        with self._lock:
            return max(0.0, self._next.get(room, 0.0) - time.monotonic())

    def free_for_edit(self, room: str) -> bool:
        """Take a slot for an edit in the room when there is one now. → whether there was."""
        with self._lock:
            now = time.monotonic()
            if now < self._next.get(room, 0.0) or now < self._next_edit:
                return False
            self._next[room] = now + self._interval
            self._next_edit = now + self._edit_interval
            return True

    def hold(self, seconds: float) -> None:
        """The service wants a pause: no edits for so long."""
        with self._lock:
            self._next_edit = max(self._next_edit, time.monotonic() + seconds)

    def _forget(self, now: float) -> None:
        """Rooms whose slot has passed need no entry."""
        if len(self._next) > 1000:
            self._next = {room: slot for room, slot in self._next.items() if slot > now}
