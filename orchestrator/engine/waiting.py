"""An operation that waits because Salt is away says so: once when it begins to wait, and once when it goes on."""

import threading
from datetime import datetime, timedelta

from orchestrator.domain.durations import format_duration
from orchestrator.domain.errors import Unavailable
from orchestrator.ports import Ledger

_WHY = {
    "salt-unreachable": "does not answer",
    "salt-login-refused": "refuses our account",
    "salt-unanswered": "does not answer in time",
}


class Outages:
    """Which operations wait in this process, and for which of their servers. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[str, datetime] = {}
        self._waiting: dict[str, set[str]] = {}

    def begin(self, operation: str, server: str, since: datetime) -> bool:
        """`server` has to wait. → whether it is the first of its operation, so that this is to be told."""
        with self._lock:
            is_first = operation not in self._waiting
            self._waiting.setdefault(operation, set()).add(server)
            self._since.setdefault(operation, since)
            return is_first

    def end(self, operation: str, server: str) -> datetime | None:
        """`server` does not wait (any more). → since when its operation waited, if it was the last that did."""
        with self._lock:
            waiting = self._waiting.get(operation, set())
            if server not in waiting:
                return None
            waiting.remove(server)
            if waiting:
                return None
            del self._waiting[operation]
            return self._since.pop(operation)


def since_of(error: Unavailable, now: datetime) -> datetime:
    """Since when Salt has been away, as far as the error tells."""
    seconds = error.extra.get("out_for_s")
    return now - timedelta(seconds=seconds if isinstance(seconds, float) else 0.0)


def note_waiting(ledger: Ledger, operation: str, error: Unavailable, since: datetime, now: datetime) -> None:
    """Write down what the operation waits for."""
    found = ledger.operation(operation)
    if found is None or found.state.ended:
        return
    why = "answers nonsense" if error.extra.get("nonsense") else _WHY.get(error.code, "does not answer")
    what = f"salt-api, which {why}"
    state = f"{what}, since {format_duration(now - since)}"
    ledger.note(found, "operation.waiting", state=state, what=what, since=since.isoformat(), code=error.code)


def note_resumed(ledger: Ledger, operation: str, since: datetime, now: datetime) -> None:
    """Write down that it goes on."""
    found = ledger.operation(operation)
    if found is not None and not found.state.ended:
        ledger.note(found, "operation.resumed", state=f"salt-api answers again, after {format_duration(now - since)}")
