"""What operations wait for, and for how long.

One that waits because Salt is away says so: once when it begins to wait, and once when it goes on. When the time of a
phase is over, it says what has not happened.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.domain.durations import format_duration
from orchestrator.domain.environment import Event
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.template import Deadlines
from orchestrator.ports import Ledger

UNFINISHED = "unfinished"  # in an error's `extra`: salt-api answers, and what it was asked for goes on
_NONSENSE = "nonsense"
_AWAY = {  # now, and when it is over
    "salt-unreachable": ("salt-api, which does not answer", "salt-api did not answer"),
    "salt-login-refused": ("salt-api, which refuses our account", "salt-api refused our account"),
    "salt-unanswered": ("salt-api, which does not answer in time", "salt-api did not answer in time"),
    _NONSENSE: ("salt-api, which answers nonsense", "salt-api answered nonsense"),
    UNFINISHED: ("the Salt master, which has not finished", "the Salt master did not finish"),
}


@dataclass(frozen=True)
class Phase:
    """What has not happened when the time of a phase is over, and how long it may take."""

    undone: str
    span: Callable[[Deadlines], timedelta]


def _to_configure(deadlines: Deadlines) -> timedelta:
    return deadlines.configure + deadlines.health


CLEARING = Phase("what was left of it was not removed", lambda deadlines: deadlines.boot)
MAKING = Phase("its machine was not made", lambda deadlines: deadlines.boot)
BOOTING = Phase("its minion was not heard of", lambda deadlines: deadlines.boot)
WIRING = Phase("its record was not written", _to_configure)
SUBMITTING = Phase("its highstate was not begun", _to_configure)
FOLLOWING = Phase("the end of its highstate was not heard of", _to_configure)
REMOVING = Phase("it was not removed", lambda deadlines: deadlines.terminate)


class Outages:
    """Which operations wait in this process, and for which of their servers. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[str]] = {}
        self._known: set[str] = set()

    def begin(self, operation: str, server: str) -> bool:
        """`server` has to wait. → whether it is the first of its operation, so that this is to be told."""
        with self._lock:
            is_first = operation not in self._waiting
            self._waiting.setdefault(operation, set()).add(server)
            self._known.add(operation)
            return is_first

    def end(self, operation: str, server: str) -> bool:
        """`server` does not wait (any more). → whether it was the last of its operation that did."""
        with self._lock:
            waiting = self._waiting.get(operation, set())
            if server not in waiting:
                return False
            waiting.remove(server)
            if waiting:
                return False
            del self._waiting[operation]
            return True

    def is_new(self, operation: str) -> bool:
        """Whether this process has not heard of it before. An earlier process may have died while it waited."""
        with self._lock:
            is_new = operation not in self._known
            self._known.add(operation)
            return is_new


def since_of(error: Unavailable, now: datetime) -> datetime:
    """Since when Salt has been away, as far as the error tells."""
    seconds = error.extra.get("out_for_s")
    return now - timedelta(seconds=seconds if isinstance(seconds, float) else 0.0)


def because(error: Unavailable) -> str:
    """What was wrong with Salt, for a sentence."""
    return _away(error)[1]


def note_waiting(ledger: Ledger, operation: str, error: Unavailable, since: datetime, now: datetime) -> None:
    """Write down what the operation waits for, unless it waits for that already, perhaps since an earlier process."""
    found, before, what = ledger.operation(operation), ledger.waiting(operation), _away(error)[0]
    if found is None or found.state.ended or (before and before.data["what"] == what):
        return
    state = f"{what}, since {format_duration(now - since)}"
    ledger.note(found, "operation.waiting", state=state, what=what, since=since.isoformat(), code=error.code)


def note_resumed(ledger: Ledger, operation: str, now: datetime) -> None:
    """Write down that it goes on, if it waits for Salt."""
    found, event = ledger.operation(operation), ledger.waiting(operation)
    if found is None or found.state.ended or event is None or event.data["code"] not in _AWAY:
        return
    ended = "the Salt master has finished" if event.data["what"] == _AWAY[UNFINISHED][0] else "salt-api answers again"
    ledger.note(found, "operation.resumed", state=f"{ended}, after {format_duration(now - _since(event))}")


def _since(event: Event) -> datetime:
    return datetime.fromisoformat(event.data["since"])


def _away(error: Unavailable) -> tuple[str, str]:
    kind = next((kind for kind in (_NONSENSE, UNFINISHED) if error.extra.get(kind)), error.code)
    return _AWAY.get(kind, _AWAY["salt-unreachable"])
