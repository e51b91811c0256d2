"""Operations: asking for one, and following it."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ulid import ULID

from orchestrator.domain.environment import Actor, Kind, Operation
from orchestrator.domain.errors import BadInput, Conflict, NotFound, Unavailable
from orchestrator.domain.lifecycle import OperationState
from orchestrator.ports import Ledger, Superseded

from .show import environment_view, operation_view, progress_view
from .views import Accepted, OperationView, ProgressView
from .world import World

_PAGE = 500
_ATTEMPTS = 5  # each is lost only to somebody who got something done meanwhile
_BACK_S = 5  # a server that is started anew answers again after so long


def show(world: World, operation: str) -> OperationView:
    """One operation. NotFound for an unknown id."""
    with world.store.transaction() as ledger:
        found = ledger.operation(operation)
        if found is None:
            raise NotFound("operation-unknown", f"There is no operation {operation}.")
        return operation_view(ledger, found, world.clock.now())


def look(world: World, operation: str) -> Accepted:
    """An operation with its environment as it is now, also when that has ended. NotFound for an unknown id."""
    with world.store.transaction() as ledger:
        found = ledger.operation(operation)
        if found is None:
            raise NotFound("operation-unknown", f"There is no operation {operation}.")
        return _accepted(world, ledger, found, [])


def list_all(world: World, active: bool = False, limit: int = 50) -> list[OperationView]:
    """Operations, newest first; `active`: only those that have not ended."""
    with world.store.transaction() as ledger:
        return [operation_view(ledger, found, world.clock.now()) for found in ledger.operations(active, limit)]


def follow(world: World, operation: str, after: int = 0) -> Iterator[ProgressView | None]:
    """Progress as it happens, from behind `after`, until the operation has ended and everything was told.

    None at least every second when there is nothing to tell, also while other operations keep the hub busy, so that a
    front door notices a client that went away. This is the one source of progress.
    """
    since = show(world, operation).requested_at
    while True:
        seen = world.hub.count
        news = _news(world, operation, after, since)
        after = news.after
        yield from news.steps
        if news.more:
            continue
        if news.ended:
            return
        # The hub wakes at once what this process wrote; the second is for what another process wrote.
        world.hub.wait(seen, 1.0)
        yield None


def so_far(world: World, operation: str, after: int = 0) -> tuple[list[ProgressView], int]:
    """What there is of the progress that `follow` tells, behind `after`, without waiting. → it, and the new `after`."""
    since, steps = show(world, operation).requested_at, list[ProgressView]()
    while True:
        news = _news(world, operation, after, since)
        steps, after = steps + news.steps, news.after
        if not news.more:
            return steps, after


@dataclass(frozen=True)
class _News:
    """The events behind a number, as progress. `more`: there are others behind them already."""

    steps: list[ProgressView]
    after: int
    more: bool
    ended: bool


def _news(world: World, operation: str, after: int, since: datetime) -> _News:
    with world.store.transaction() as ledger:
        found, events = ledger.operation(operation), ledger.events(None, operation, after, _PAGE)
    steps = [view for event in events if (view := progress_view(event, since)) is not None]
    last = events[-1].seq if events else after
    return _News(steps, last, len(events) == _PAGE, found is None or found.state.ended)


def usual_seconds(world: World, operation: str) -> float | None:
    """How long operations of this kind on this template usually take: the median of the newest ten that succeeded.

    None without history.
    """
    with world.store.transaction() as ledger:
        found = ledger.operation(operation)
        if found is None:
            return None
        template = ledger.environment_by_id(found.environment).template
        spans = [span.total_seconds() for span in ledger.durations(template, found.kind, 10)]
    return statistics.median(spans) if spans else None


def new(actor: Actor, kind: Kind, environment: str, request: dict[str, Any], world: World) -> Operation:
    """A new operation; `request["asked"]` is what the person asked for, word by word.

    Its id is a ULID: it sorts by time, which is how the master tells old requests from new ones.
    """
    return Operation(
        id=str(ULID.from_datetime(world.clock.now())),
        kind=kind,
        environment=environment,
        actor=actor,
        state=OperationState.PENDING,
        requested_at=world.clock.now(),
        request=request,
    )


@dataclass(frozen=True)
class Asking:
    """A request that starts an operation: who asks for what, word by word, and under which Idempotency-Key.

    `kinds`: what kinds of operation such a request may have become.
    """

    actor: Actor
    kinds: frozenset[Kind]
    asked: Mapping[str, Any]
    key: str | None = None


def replayed(world: World, asking: Asking) -> Accepted | None:
    """What was accepted under this Idempotency-Key before; None for a new key.

    BadInput when the key stood for another request; Unavailable when something new would begin and nothing new does.
    """
    if asking.key is not None:
        with world.store.transaction() as ledger:
            if (known := _replayed(world, ledger, asking)) is not None:
                return known
    admit(world)
    return None


def admit(world: World) -> None:
    """Raises Unavailable when this process is about to end: what began now would only be cut off."""
    if world.stopping.is_set():
        sentence = "Brinepool is about to stop, or to be started anew; ask again in a few seconds."
        raise Unavailable("stopping", sentence, retry_after_s=_BACK_S)


def _replayed(world: World, ledger: Ledger, asking: Asking) -> Accepted | None:
    known = ledger.operation_of_key(asking.actor.person, asking.key) if asking.key else None
    if known is None:
        return None
    if known.kind not in asking.kinds or known.request.get("asked") != asking.asked:
        raise BadInput("key-reused", "This Idempotency-Key was used for another request; make a new one for each.")
    return _accepted(world, ledger, known, [])


def accept(world: World, asking: Asking, ask: Callable[[Ledger], tuple[Operation, list[str]]]) -> Accepted:
    """Write down what `ask` decides, in one transaction, then start it.

    `ask` returns the operation (already added, or one that was running) and notes for the person. When somebody else
    was faster it is asked again, so that it says what they are doing. The same key at the same moment is one operation.
    Unavailable when this process is about to end.
    """
    admit(world)
    for _ in range(_ATTEMPTS):
        try:
            with world.store.transaction() as ledger:
                ledger.reaper.alone()  # else what is read here may be changed before it is acted on
                if (known := _replayed(world, ledger, asking)) is not None:
                    return known
                operation, notes = ask(ledger)
                accepted = _accepted(world, ledger, operation, notes)
            break
        except Superseded:
            continue
    else:
        raise Conflict("environment-busy", "Others are at work on it right now; look at it and ask again.")
    if operation.state is OperationState.PENDING:
        world.start(operation)
    world.hub.notify()
    return accepted


def _accepted(world: World, ledger: Ledger, operation: Operation, notes: list[str]) -> Accepted:
    """`notes`: of this request alone; else those that were written down with the operation."""
    now = world.clock.now()
    environment = ledger.environment_by_id(operation.environment)
    return Accepted(
        operation=operation_view(ledger, operation, now),
        environment=environment_view(ledger, environment, now, whole=True),
        notes=notes or operation.request.get("notes", []),
    )
