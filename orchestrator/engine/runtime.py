"""What the durable operations run on: the ports, set once by bootstrap before the engine launches, and durable steps.

A step is finished once: its result is checkpointed, and after a crash the operation goes on behind it. `record` is a
step that changes rows, in one transaction with its checkpoint (exactly once); `remote` is a step that calls somebody
else (at least once, so what it calls is idempotent by name).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Concatenate, Literal, ParamSpec, Protocol, TypedDict, TypeVar

from dbos import DBOS, PortableWorkflowError, SetWorkflowID, SQLAlchemyDatasource
from sqlalchemy.orm import Session

from orchestrator.domain.caps import Caps
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.schedule import Job
from orchestrator.ports import DATABASE_AWAY, Chats, Clock, FailureCatalogue, Ledger, Salt, Store, Superseded, Templates

from .progress import Hub, Turns
from .waiting import Outages

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

SLICE = 2.0  # seconds; nothing waits longer than this without looking whether it is still wanted
BEGUN = "begun"  # the queue of what has begun and no replica has taken yet
POLL_S = 0.1  # and how often they look
AGAIN_S = 1.0  # between two attempts to reach the database


class DurableStore(Store, Protocol):
    """A store that can also write in the transaction of a step."""

    def on(self, session: Session) -> Ledger:
        """A ledger inside the step's transaction."""


class AtWork:
    """How many stories are being told by threads of this process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until nothing is told any more, at most so long. → whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, seconds)


@dataclass(frozen=True)
class Schedule:
    """What is done by itself. `retention`: how long what has happened is kept. `ops_room`: where ops get reports."""

    jobs: Sequence[Job] = ()
    retention: timedelta = timedelta(days=90)
    ops_room: str | None = None


@dataclass
class Runtime:
    """The ports of this process. `chosen`: the job ids that this very process has chosen (and no earlier one).
    `stopping`: the process is about to end; operations pause at their next step, and go on at the next start.
    `shared`: other processes work on the same database, and may take what begins here."""

    store: DurableStore
    salt: Salt
    templates: Templates
    failures: FailureCatalogue
    clock: Clock
    datasource: SQLAlchemyDatasource
    hub: Hub
    chats: Chats
    schedule: Schedule = Schedule()
    chosen: set[str] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)
    at_work: AtWork = field(default_factory=AtWork)
    outages: Outages = field(default_factory=Outages)
    turns: Turns = field(default_factory=Turns)
    caps: Caps = field(default_factory=Caps)
    shared: bool = False


class _Isolation(TypedDict, total=False):
    isolation_level: Literal["READ COMMITTED"]


class Stopping(BaseException):
    """The process is about to end. No Exception, so that the durable engine writes down no outcome: what was under way
    is resumed at the next start."""


_installed: list[Runtime] = []


def install(runtime: Runtime) -> None:
    """Set what operations run on; called by bootstrap (and tests) before the engine launches."""
    _installed[:] = [runtime]


def current() -> Runtime:
    """What operations run on."""
    return _installed[0]


def begin_workflow(story: Callable[[str], None], identity: str) -> None:
    """Start the workflow of that id, here, or in whichever replica comes first. A second start is the same workflow."""
    with SetWorkflowID(identity):
        if current().shared:
            DBOS.enqueue_workflow(BEGUN, story, identity)
        else:
            DBOS.start_workflow(story, identity)


def record(change: Callable[Concatenate[Ledger, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `change(ledger, ...)` as a step, in one transaction with its checkpoint. Raises Superseded as it does."""
    runtime = current()
    pause_if_stopping()

    def body() -> R:
        return change(runtime.store.on(runtime.datasource.sql_session()), *args, **kwargs)

    try:
        with _superseded_by_name():
            return runtime.datasource.run_tx_step({"name": change.__name__.strip("_"), **_isolation()}, body)
    finally:
        runtime.hub.notify()
        runtime.turns.nudge()


def _isolation() -> _Isolation:
    """Of a step's transaction. On PostgreSQL it sees what others commit while it waits for a lock: its writes are
    guarded by what they expect. The datasource's own choice, SERIALIZABLE, would go by what was there before it waited.
    """
    return {"isolation_level": "READ COMMITTED"} if current().shared else {}


def remote(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `call(...)`, which talks to somebody else, as a step. It returns data and raises nothing that is expected
    but Superseded.

    While the database is away it is called again and again: whatever it does is idempotent.
    """
    pause_if_stopping()

    def patiently() -> R:
        while True:
            try:
                return call(*args, **kwargs)
            except Unavailable as error:
                if error.code != DATABASE_AWAY:
                    raise
                log.warning("%s waits for the database: %s", call.__name__.strip("_"), error.detail)
                current().stopping.wait(AGAIN_S)
                pause_if_stopping()

    with _superseded_by_name():
        return DBOS.run_step({"name": call.__name__.strip("_")}, patiently)


@contextmanager
def _superseded_by_name() -> Iterator[None]:
    """What a step raised before a crash is checkpointed, and comes back as its name and message only."""
    try:
        yield
    except PortableWorkflowError as error:
        if error.name == Superseded.__name__:
            raise Superseded(str(error)) from error
        raise


def pause_if_stopping() -> None:
    """Raise Stopping when the process is about to end. For steps, and between the slices of long waits."""
    if current().stopping.is_set():
        raise Stopping


def in_parallel(workflow: Callable[[str, str], None], operation: str, servers: Sequence[str]) -> None:
    """Run a child workflow for each server and wait for all; a child tells its outcome through the server's row."""
    handles = []
    for server in servers:
        with SetWorkflowID(f"{operation}/{workflow.__name__}/{server}"):
            handles.append(DBOS.start_workflow(workflow, operation, server))
    for handle in handles:
        handle.get_result()


def parse(moment: str) -> datetime:
    """A checkpointed moment (checkpoints are JSON)."""
    return datetime.fromisoformat(moment)


def seconds_until(moment: datetime) -> float:
    """Seconds from now until `moment`; 0 when it has passed."""
    return max(0.0, (moment - current().clock.now()) / timedelta(seconds=1))
