"""Several processes on one database: each says every few seconds that it is alive, and what one that is gone has left
unfinished is handed to the others.

The database decides, by its rows and its clock. A replica that was silent for too long loses its row, and the work of
whoever has no row is put back into the queue, from which any replica takes it. That happens once: it is done under a
lock, in the transaction that removes the row, and only to work that still belongs to the dead.

One that was only thought dead (stopped, or cut off from the database) hears of it at its next heartbeat, and comes back
as a new one. What it was doing is not its own any more: the durable engine refuses its next checkpoint, rows included,
and what it still calls is idempotent by name.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import timedelta

from dbos import DBOS

from orchestrator.domain.errors import Unavailable
from orchestrator.ports import Ledger, Store

from .runtime import current

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pulse:
    """`every`: seconds between heartbeats. `dead_after`: seconds of silence after which a replica counts as dead."""

    every: float = 2.0
    dead_after: float = 10.0


class Replica:
    """This process, among others on the same database. `id` is its executor id in the durable engine.

    `doors`: it has front doors.
    """

    def __init__(self, store: Store, id: str, doors: bool, pulse: Pulse = Pulse()) -> None:
        self.id = id
        self._store, self._doors, self._pulse = store, doors, pulse
        self._is_first = False
        self._steady_since = time.monotonic()
        self._beaten_at = self._steady_since
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._live, name="replica", daemon=True)

    def enter(self) -> None:
        """Be one of the replicas. To be called before the durable engine launches: whoever has work is one."""
        with self._store.transaction() as ledger:
            ledger.replicas.enter(self.id, self._doors)

    def start(self) -> None:
        """Say from now on that it is alive, and look after the others. The durable engine has launched."""
        self._thread.start()

    def stop(self) -> None:
        """Say nothing any more: the durable engine is about to end."""
        self._ending.set()
        self._thread.join(5.0)

    def leave(self) -> None:
        """Its work has paused; what is unfinished goes to the others, who notice at their next heartbeat."""
        try:
            with self._store.transaction() as ledger:
                ledger.replicas.leave(self.id)
        except Unavailable as error:
            log.warning("the others will find this replica dead: %s", error.detail)

    def is_first(self) -> bool:
        """Whether it is the one, of those with front doors, that does what is to be done by one alone."""
        return self._is_first

    def _live(self) -> None:
        while not self._ending.is_set():
            try:
                self.turn()
            except Exception as error:
                if self._ending.is_set():
                    return
                self._is_first = False
                if isinstance(error, Unavailable):
                    log.warning("the heartbeat waits for the database: %s", error.detail)
                else:
                    log.exception("the heartbeat failed; trying again")
            self._ending.wait(self._pulse.every)

    def turn(self) -> None:
        """One heartbeat, and a look at the others."""
        with self._store.transaction() as ledger:
            if not (known := ledger.replicas.beat(self.id)):
                ledger.replicas.enter(self.id, self._doors)
            self._is_first = ledger.replicas.living(doors=True)[:1] == [self.id]
        if not known:
            log.warning("this replica was thought dead; others have taken over what it was doing")
            current().chosen.clear()  # others may have handed these jobs over
        steady = self._is_steady()
        with self._store.transaction() as ledger:
            take_over(ledger, timedelta(seconds=self._pulse.dead_after) if steady else None)

    def _is_steady(self) -> bool:
        """Whether its own heart has beaten without a break for so long that another one's silence means something.

        After an outage of the database everybody was silent, and nobody is dead.
        """
        now = time.monotonic()
        if now - self._beaten_at > self._pulse.dead_after / 2:
            self._steady_since = now
        self._beaten_at = now
        return now - self._steady_since >= self._pulse.dead_after


def take_over(ledger: Ledger, silent_for: timedelta | None) -> int:
    """Hand what the dead have left to whoever comes first: of those that were silent for so long (None: of nobody), and
    of everybody who is not among the replicas, such as one that has stopped. → how many workflows.
    """
    if not ledger.replicas.alone():
        return 0
    dead = set(ledger.replicas.bury(silent_for)) if silent_for is not None else set()
    for replica in sorted(dead):
        log.warning("the replica %s is dead: it was silent for more than %s", replica, silent_for)
    # In this order: a replica enters before it has work, so one whose work is seen here and that lives is seen below.
    pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    left_by = {each.executor_id for each in pending} - set(ledger.replicas.living())
    orphaned = sorted(executor for executor in left_by if executor)
    if not orphaned:
        return 0
    # Private, and what the engine itself calls at its launch: it puts what belongs to these executors, and is still not
    # done, back into its queue. The public `resume_workflow` would not ask whose it is, and would reset its deadline.
    handles = DBOS._recover_pending_workflows(orphaned)
    if handles:
        log.warning("took over %d unfinished workflows of %s", len(handles), ", ".join(orphaned))
    return len(handles)
