"""Protections of the product that can be switched off in the processes under test. No source file is touched.

`python -m tests.chaos --prove` switches each off in turn: a run that does not notice it proves nothing about it.
"""

import uuid
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mutation:
    """`about`: what is missing then. It matters in rounds of these phases (`focus`; none: all) with this fault, if any.

    `in_brinepool` is called in each Brinepool process before it starts, `on_master` where the runner runs.
    """

    about: str
    focus: tuple[str, ...] = ()
    in_brinepool: Callable[[], None] | None = None
    on_master: Callable[[], None] | None = None
    fault: str = ""


def apply(name: str) -> None:
    """Switch the protection of that name off in this Brinepool; "" for none."""
    if name and (change := MUTATIONS[name].in_brinepool):
        change()


def apply_on_master(name: str) -> None:
    """The same on the master."""
    if name and (change := MUTATIONS[name].on_master):
        change()


def _nothing(*_: Any, **__: Any) -> None:
    return None


# In Brinepool


def _no_guard_of_writes() -> None:
    from orchestrator.db.store import SqlLedger

    SqlLedger._superseded_unless_in_charge = _nothing  # type: ignore[method-assign]


def _no_look_whether_wanted() -> None:
    from orchestrator.engine import machine_steps, patience, stories

    machine_steps.still_in_charge = patience.still_in_charge = stories.still_in_charge = _nothing


def _no_start_of_forgotten() -> None:
    from orchestrator.engine import recovery, schedule

    recovery.start_forgotten = schedule.start_forgotten = lambda: 0


def _no_resuming() -> None:
    from orchestrator import bootstrap

    bootstrap._EXECUTOR = f"brinepool-{uuid.uuid4()}"


def _jid_in_memory_only() -> None:
    """Each process chooses a job id of its own for the same job, as if none had been written down before."""
    from orchestrator.engine import configure, highstate_steps, runtime

    mine: dict[str, str] = {}

    def own(jid: str) -> str:
        if jid not in mine:
            mine[jid] = runtime.current().salt.new_jid()
            runtime.current().chosen.add(mine[jid])
        return mine[jid]

    submit, follow = highstate_steps.submit_highstate, highstate_steps.follow_highstate

    def submit_highstate(operation: str, server: str, jid: str, *more: Any) -> Any:
        return submit(operation, server, own(jid), *more)

    def follow_highstate(operation: str, server: str, jid: str, *more: Any) -> Any:
        return follow(operation, server, own(jid), *more)

    configure.submit_highstate, configure.follow_highstate = submit_highstate, follow_highstate


def _no_look_for_the_jid() -> None:
    from orchestrator.engine import highstate_steps

    highstate_steps._is_known = lambda *_: False


def _no_find_job() -> None:
    from orchestrator.ports import JobNews
    from orchestrator.saltapi.minions import JobWatch

    def inquire(self: JobWatch) -> JobNews | None:
        cached = self._runners.lookup(self._jid)
        return self._ended(cached[self._server]) if self._server in cached else JobNews(lost=True)

    JobWatch._inquire = inquire  # type: ignore[method-assign]


def _no_job_cache() -> None:
    from orchestrator.saltapi.suspense import Suspense

    Suspense.over = lambda self: False  # type: ignore[method-assign]


def _repeated_events_are_news() -> None:
    from orchestrator.saltapi.minions import JobWatch

    class Forgetful(set[str]):
        def __contains__(self, _: object) -> bool:
            return False

    begin = JobWatch.__init__

    def init(self: JobWatch, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        self._told = Forgetful()

    JobWatch.__init__ = init  # type: ignore[method-assign]


def _no_key_is_known() -> None:
    from orchestrator.commands import cancelling, deployments, environments, operations, servers

    operations._replayed = _nothing  # type: ignore[assignment]
    for module in (cancelling, deployments, environments, servers):
        if hasattr(module, "replayed"):
            module.replayed = _nothing


def _nobody_is_at_work() -> None:
    from orchestrator.commands import find

    find.idle = _nothing


def _no_second_login() -> None:
    from orchestrator.saltapi.client import SaltClient

    SaltClient._authorised = lambda self, send: send(self._token(stale=None))  # type: ignore[method-assign]


def _failed_delete_is_gone() -> None:
    from orchestrator.engine import terminate

    destroyed = terminate._destroyed

    def gone(ledger: Any, operation: str, server: str, outcome: dict[str, object]) -> None:
        destroyed(ledger, operation, server, {})

    gone.__name__ = destroyed.__name__
    terminate._destroyed = gone


def _cancelled_jobs_go_on() -> None:
    from orchestrator.engine import highstate_steps

    highstate_steps._kill = _nothing


def _no_waiting_for_another() -> None:
    from orchestrator.engine import highstate_steps

    told = highstate_steps._told

    def hasty(*args: Any) -> Any:
        return {key: value for key, value in told(*args).items() if key != "busy"}

    highstate_steps._told = hasty


# On the master


def _no_tombstones() -> None:
    from orchestrator.saltext.stored import Stored

    Stored.destroyed_by = lambda self, server: ""  # type: ignore[method-assign]


def _keys_stay() -> None:
    from orchestrator.saltext.stored import Stored

    Stored.forget_minion = _nothing  # type: ignore[method-assign]


def _create_does_not_look() -> None:
    from orchestrator.saltext.runners import brinepool

    brinepool._living = _nothing  # type: ignore[assignment]


def _no_lock() -> None:
    from orchestrator.saltext.stored import Stored

    Stored.lock = lambda self, server: nullcontext()  # type: ignore[method-assign]


def _machine_before_mark() -> None:
    from orchestrator.saltext.runners import brinepool

    def make(record: Any, provider: str, profile: str, stored: Any, pool: Any) -> Any:
        stored.forget_minion(record.server)
        made = pool.create(record.server, profile)
        stored.put_machine(record.server, provider, profile)
        return made

    brinepool._make = make


_STARTING = ("requested", "booting")
_WORKING = ("configuring", "deploying", "retrying")
MUTATIONS: dict[str, Mutation] = {
    "tombstone": Mutation(
        "a create that comes late is refused by the destroy's tombstone",
        ("booting",),
        on_master=_no_tombstones,
        fault="StartsLate",
    ),
    "delete-key": Mutation("the keys of a server are removed with it", ("terminating",), on_master=_keys_stay),
    "idempotent-create": Mutation(
        "creating a server that is there returns it", _STARTING, on_master=_create_does_not_look
    ),
    "name-lock": Mutation(
        "create and destroy of one name wait for each other", ("booting",), on_master=_no_lock, fault="MakesSlowly"
    ),
    "mark-first": Mutation(
        "a machine is marked as ours before it is made", ("booting",), on_master=_machine_before_mark
    ),
    "start-forgotten": Mutation(
        "an operation whose process died before its story began is started", ("requested",), _no_start_of_forgotten
    ),
    "resume": Mutation("the stories of a dead process are resumed", _STARTING, _no_resuming),
    "jid-checkpoint": Mutation("the id of a job is written down before it is submitted", _WORKING, _jid_in_memory_only),
    "known-jid": Mutation(
        "a job that may have been submitted before is asked for first", _WORKING, _no_look_for_the_jid
    ),
    "find-job": Mutation("a silent job is asked for on its minion before it counts as lost", _WORKING, _no_find_job),
    "job-cache": Mutation(
        "the job cache is asked when events are silent", _WORKING, _no_job_cache, fault="DropsEvents"
    ),
    "event-dedupe": Mutation(
        "an event that is repeated is no news", _WORKING, _repeated_events_are_news, fault="RepeatsEvents"
    ),
    "login-again": Mutation("a token that has expired is replaced", (), _no_second_login),
    "guarded-writes": Mutation("only the operation in charge may write", ("booting", "deploying"), _no_guard_of_writes),
    "still-wanted": Mutation(
        "a step looks whether its operation is still in charge", (), _no_look_whether_wanted, fault="WorksSlowly"
    ),
    "one-winner": Mutation("of two who change one environment, one is refused", ("deploying",), _nobody_is_at_work),
    "idempotency-key": Mutation("the same key is the same operation", ("requested",), _no_key_is_known),
    "failed-delete": Mutation(
        "a delete that failed is not called gone", (), _failed_delete_is_gone, fault="DestroyFails"
    ),
    "kill-cancelled": Mutation(
        "a cancelled job is ended on its minion", (), _cancelled_jobs_go_on, fault="WorksSlowly"
    ),
    "busy": Mutation("a highstate that runs already is waited for", (), _no_waiting_for_another, fault="WorksSlowly"),
}
