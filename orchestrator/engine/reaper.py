"""The reaper's runs: durable workflows that do what the plan says, each once for its due moment.

What is decided (warnings, and the operations that end environments) is written in one transaction with the plan it was
decided by, so that a run does just what its plan says, also when it is killed in the middle.
"""

import logging
from collections.abc import Callable, Sequence, Set
from datetime import timedelta
from functools import wraps
from typing import Any

from dbos import DBOS
from ulid import ULID

from orchestrator.domain.environment import Actor, Environment, Kind, Operation
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.lifecycle import OperationState
from orchestrator.domain.people import SCHEDULER
from orchestrator.domain.reaping import Action, ActionKind, GoneBranch, Warned, checked, explain, noticed, plan_reap
from orchestrator.ports import JobRun, Ledger, SaltRefused

from . import recovery, sights
from .ending import begin_termination
from .reports import report, tell_reports
from .retention import forget_old
from .runtime import SLICE, begin_workflow, current, pause_if_stopping, record, remote
from .sweep import sweep_now

log = logging.getLogger(__name__)

REAPER = Actor(SCHEDULER, SCHEDULER)
PATIENCE = timedelta(minutes=15)  # how long a nightly run waits for what it ended, before it reports


def run_story(story: Callable[[str], None]) -> Callable[[str], None]:
    """The workflow of a run. A surprise (a defect of ours) ends it, so that it is not open for ever."""

    @wraps(story)
    def wrapped(run: str) -> None:
        try:
            with current().at_work:
                story(run)
        except Exception:
            pause_if_stopping()
            log.exception("the run %s met a surprise", run)
            record(_stumbled, run)

    return wrapped


@DBOS.workflow(name="reap")
@run_story
def reap(run: str) -> None:
    """Warn and end what is due now."""
    _start(record(_carry_out, run))
    record(_ended, run)


@DBOS.workflow(name="nightly")
@run_story
def nightly(run: str) -> None:
    """The same, then wait until it is gone, report, and tidy up."""
    _start(record(_carry_out, run))
    remote(_await)
    tell_reports(run, record(report, run))
    forget_old()
    record(_ended, run)


@DBOS.workflow(name="branches")
@run_story
def branches(run: str) -> None:
    """Ask the remotes whether the branches that environments run are still there."""
    for template in record(_templates):
        names = remote(_branches_of, template)
        record(_checked, template, names)
    record(_ended, run)


@DBOS.workflow(name="sweep")
@run_story
def sweep(run: str) -> None:
    """Compare our records with what is there, remove what nobody has, and mark what is not whole."""
    sweep_now(run)
    record(_ended, run)


STORIES: dict[str, Callable[[str], None]] = {
    "reap": reap, "nightly": nightly, "branches": branches, "sweep": sweep,
}  # fmt: skip


def start_run(run: JobRun) -> None:
    """Start the run's workflow. Its id is the run's, so that a second start is the same workflow."""
    begin_workflow(STORIES[run.job], run.id)


def _carry_out(ledger: Ledger, run: str) -> list[str]:
    """Plan, and write down all that follows. → the operations that were begun.

    Alone: the nightly run and a check are often due at the same moment, and each is to see what the other one did.
    """
    ledger.reaper.alone()
    now = current().clock.now()
    seen = sights.snapshot(ledger, current().templates.current().templates)
    actions = plan_reap(seen, now)
    ledger.reaper.set_noticed(noticed(seen, now))
    by_id = {each.id: each for each in ledger.environments()}
    begun = []
    for action in actions:
        if action.kind is ActionKind.WARN:
            _warn(ledger, action)
        elif action.kind is ActionKind.REAP:
            begun.append(_end(ledger, by_id[action.environment], action.why, action.cause))
    begun += [_end(ledger, each, "its removal failed before", sights.STUCK) for each in sights.stuck(ledger)]
    plan, sentences = [_told(action) for action in actions], [explain(action) for action in actions]
    ledger.reaper.change_run(run, result={"at": now.isoformat(), "plan": plan, "sentences": sentences})
    return begun


def _warn(ledger: Ledger, action: Action) -> None:
    now = current().clock.now()
    assert action.step is not None  # noqa: S101  (every warning has one)
    data = {
        "cause": action.cause, "why": action.why, "ends_at": action.ends_at, "extendable": action.cause.extendable,
    }  # fmt: skip
    event = ledger.tell(action.environment, REAPER, "environment.expiring", **data)
    ledger.reaper.add_warning(action.environment, Warned(action.cause, action.at, action.step, now), event)


def _end(ledger: Ledger, environment: Environment, why: str, cause: str) -> str:
    """Begin to terminate. → the operation."""
    now = current().clock.now()
    operation = Operation(
        id=str(ULID.from_datetime(now)),
        kind=Kind.TERMINATE,
        environment=environment.id,
        actor=REAPER,
        state=OperationState.PENDING,
        requested_at=now,
        request={"asked": {"environment": environment.name}, "why": why, "cause": cause},
    )
    ledger.add_operation(operation, None)
    begin_termination(ledger, environment, operation)
    for user in ledger.users_of(environment.id):
        gone = f"{environment.name}, which it used, is gone."
        ledger.change_environment(user.id, REAPER, "environment.degraded", degraded=gone)
    return operation.id


def _told(action: Action) -> dict[str, Any]:
    return {
        "kind": action.kind, "environment": action.name, "cause": action.cause, "reason": action.reason,
        "at": action.at.isoformat(),
    }  # fmt: skip


def _start(operations: list[str]) -> None:
    for operation in operations:
        with current().store.transaction() as ledger:
            found = ledger.operation(operation)
        if found is not None:
            recovery.start(found)


def _await() -> None:
    """Wait until all that the reaper ends is gone, or for so long that the report must say that it is not.

    Also what another run ended: a check is often due at the same moment, and may be the one that did it.
    """
    deadline = current().clock.now() + PATIENCE
    while True:
        seen = current().hub.count
        with current().store.transaction() as ledger:
            active = ledger.operations(active=True, limit=10_000)
        ending = any(each.actor.person == SCHEDULER for each in active)
        if not ending or current().clock.now() >= deadline:
            return
        current().hub.wait(seen, SLICE)
        pause_if_stopping()


def _ended(ledger: Ledger, run: str) -> None:
    ledger.reaper.change_run(run, ended_at=current().clock.now())


def _stumbled(ledger: Ledger, run: str) -> None:
    found = ledger.reaper.run(run)
    before = found.result if found and found.result else {}
    ledger.reaper.change_run(run, ended_at=current().clock.now(), result={**before, "stumbled": True})


def _templates(ledger: Ledger) -> list[str]:
    known = current().templates.current().templates
    return sorted({each.template for each in ledger.environments()} & set(known))


def _branches_of(template: str) -> dict[str, list[str]] | None:
    """Role → branches; None when the remotes could not be asked, which is no check."""
    try:
        found = current().salt.all_branches(template)
    except (SaltRefused, Unavailable):
        return None
    return {role: list(known.names) for role, known in found.items()}


def _checked(ledger: Ledger, template: str, names: dict[str, list[str]] | None) -> None:
    now, before = current().clock.now(), ledger.reaper.gone()
    if names is None:
        return
    for each in ledger.environments():
        if each.template != template:
            continue
        known = {gone.role: gone for gone in before.get(each.id, ())}
        running: dict[str, set[str]] = {}
        for server in ledger.servers(each.id):
            running.setdefault(server.role, set()).add(server.branch)
        for role in set(known) | set(running):
            branch, there = _missed(known.get(role), running.get(role, set()), names.get(role, ()))
            ledger.reaper.set_gone(each.id, role, checked(known.get(role), role, branch, there, now))


def _missed(known: GoneBranch | None, running: Set[str], names: Sequence[str]) -> tuple[str, bool]:
    """Of the branches that a role's servers run, the one to keep an eye on, and whether it is there.

    It is one that is gone, and the one that was missed before if that is among them.
    """
    gone = sorted(running - set(names))
    if not gone:
        return "", True
    return (known.branch if known and known.branch in gone else gone[0]), False
