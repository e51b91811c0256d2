"""Waiting for Salt: what it is asked for is repeated while it does not answer, and what it refuses is an answer.

What goes wrong is returned as `{"failure": {...}}`, never raised: a checkpointed exception would come back as its name.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from orchestrator.domain.durations import format_duration
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.failures import Catalogue, Failure, salt_refused, unanswered
from orchestrator.domain.template import Deadlines
from orchestrator.ports import DATABASE_AWAY, SaltRefused

from .runtime import SLICE, current, pause_if_stopping, seconds_until
from .stories import context, still_in_charge
from .waiting import Phase, because, note_resumed, note_waiting, since_of

Data = dict[str, Any]
_RUNNER = 60.0  # seconds


def patiently(attempt: Callable[[], Data], operation: str, server: str, deadline: datetime, phase: Phase) -> Data:
    """Repeat `attempt` while Salt does not answer, until the deadline of `phase`; a refusal is an answer."""
    pause = 0.2
    try:
        while True:
            try:
                outcome = attempt()
            except SaltRefused as refused:
                outcome = {"failure": _refusal(server, refused).to_data()}
            except Unavailable as error:
                if error.code == DATABASE_AWAY:
                    raise
                wanted(operation)
                if (left := seconds_until(deadline)) > 0:
                    _away(operation, server, error)
                    current().stopping.wait(min(pause, left))
                    pause_if_stopping()
                if seconds_until(deadline) <= 0:
                    return {"failure": _out_of_time(operation, server, phase, error).to_data()}
                pause = min(pause * 2, SLICE)
                continue
            answered(operation, server)
            return outcome
    finally:
        current().outages.end(operation, server)


def _away(operation: str, server: str, error: Unavailable) -> None:
    """Salt is away: the operation says that it waits."""
    now = current().clock.now()
    since = since_of(error, now)
    if current().outages.begin(operation, server):
        with current().store.transaction() as ledger:
            note_waiting(ledger, operation, error, since, now)
        current().hub.notify()


def answered(operation: str, server: str) -> None:
    """Salt answers: an operation that waited says that it goes on."""
    outages = current().outages
    if outages.end(operation, server) or outages.is_new(operation):
        with current().store.transaction() as ledger:
            note_resumed(ledger, operation, current().clock.now())
        current().hub.notify()


def wanted(operation: str) -> None:
    """Raise Superseded when the operation is not in charge any more, and Stopping when the process is about to end."""
    pause_if_stopping()
    with current().store.transaction() as ledger:
        still_in_charge(ledger, operation)


def one_call(deadline: datetime) -> float:
    """How long one call to the master may take. A runner that was killed with its master never answers, so the call is
    repeated (it is idempotent) instead of waited for until the deadline."""
    return min(seconds_until(deadline), _RUNNER)


def _refusal(server: str, refused: SaltRefused) -> Failure:
    return salt_refused(server, refused.code, refused.message, refused.detail, catalogue())


def _out_of_time(operation: str, server: str, phase: Phase, error: Unavailable) -> Failure:
    return unanswered(server, phase.undone, allowed(operation, phase), error, because(error))


def allowed(operation: str, phase: Phase) -> str:
    """How long a phase may take. Not how long it did: an earlier process may have begun it."""
    with current().store.transaction() as ledger:
        _, environment = context(ledger, operation)
    template = current().templates.current().templates.get(environment.template)
    return format_duration(phase.span(template.deadlines if template else Deadlines()))


def boot_log(server: str) -> str:
    """The end of the minion's own log, as far as it can be had; not having it must not hide what happened."""
    try:
        return current().salt.boot_log(server)
    except (SaltRefused, Unavailable):
        return ""


def catalogue() -> Catalogue:
    """What is known of failures, as ops have it at this moment."""
    return current().failures.current().catalogue
