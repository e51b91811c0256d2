"""Live progress: what has happened is rows; the hub only says *that* something has, so that nobody polls in vain."""

import threading


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
