"""The nightly report: what went, what stays until when, what could not be removed; for each room, and for ops."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from dbos import DBOS, SetWorkflowID

from orchestrator.domain.environment import Environment
from orchestrator.domain.notices import Destination, home, rooms_of
from orchestrator.domain.people import SCHEDULER
from orchestrator.domain.reaping import ActionKind, plan_reap
from orchestrator.ports import JobRun, Ledger

from . import notices, sights
from .runtime import current, parse, remote

Report = dict[str, Any]
A_DAY = timedelta(days=1)


def report(ledger: Ledger, run: str) -> list[str]:
    """Write the run's reports down. → where each is told, as `Destination`s are written."""
    ledger.reaper.alone()  # so that nothing ends in between, which no report would tell
    this = ledger.reaper.run(run)
    assert this is not None  # noqa: S101  (its workflow runs)
    went = _went(ledger, _reported_up_to(ledger, this))
    stays, stuck = _stays(ledger), sights.stuck(ledger)
    reports: dict[str, Report] = {}
    for environment, line in went:
        _file(reports, environment, "went", line)
    for environment, line in stays:
        _file(reports, environment, "stays", line)
    for environment in stuck:
        line = {"environment": environment.name, "owner": environment.owner, "why": "its removal failed; tried again"}
        _file(reports, environment, "stuck", line)
    told = {"reports": reports, "reported_at": current().clock.now().isoformat()}
    ledger.reaper.change_run(run, result={**(this.result or {}), **told})
    return [where for where in reports if where]


def tell_reports(run: str, destinations: Iterable[str]) -> None:
    """Hand each report to the courier, as a durable workflow in its service's queue."""
    for destination in destinations:
        with SetWorkflowID(f"report/{run}/{destination}"):
            DBOS.enqueue_workflow(notices.queue(Destination.parse(destination).service), tell_report, run, destination)


@DBOS.workflow(name="tell_report")
def tell_report(run: str, destination: str) -> None:
    """One report, to one room; waits as long as the service wants."""
    notices.until_told(lambda: remote(_report_told, run, destination))


def _report_told(run: str, destination: str) -> float | None:
    return notices.quietly(lambda: current().chats.report(run, Destination.parse(destination)))


def _file(reports: dict[str, Report], environment: Environment, part: str, line: dict[str, Any]) -> None:
    """Into the report of its room, and into the one for ops."""
    services, template = current().chats.services, current().templates.current().templates.get(environment.template)
    rooms = {str(where) for where in home(environment, template, services)}
    rooms |= {str(where) for where in rooms_of(current().schedule.ops_room, services)}
    for where in rooms:
        reports.setdefault(where, {"went": [], "stays": [], "stuck": []})[part].append(line)


def _reported_up_to(ledger: Ledger, run: JobRun) -> datetime:
    """When the report before was written: what went is told once, also when a run is late or a day has 25 hours."""
    before = ledger.reaper.run_before(run)
    if before is None:
        return run.due_at - A_DAY
    return parse((before.result or {}).get("reported_at", before.started_at.isoformat()))


def _went(ledger: Ledger, since: datetime) -> list[tuple[Environment, dict[str, Any]]]:
    """What the reaper ended since then."""
    found = []
    for environment in ledger.ended_since(since):
        operation = ledger.operation(environment.operation)
        if operation is not None and operation.actor.person == SCHEDULER:
            why = operation.request.get("why", "")
            line = {"environment": environment.name, "owner": environment.owner, "why": why}
            found.append((environment, line))
    return found


def _stays(ledger: Ledger) -> list[tuple[Environment, dict[str, Any]]]:
    """What is there, until when, and what keeps what is due."""
    seen = sights.snapshot(ledger, current().templates.current().templates)
    planned = {action.environment: action for action in plan_reap(seen, current().clock.now())}
    by_id = {each.id: each for each in ledger.environments()}
    found = []
    for candidate in seen.environments:
        action = planned.get(candidate.id)
        kept = action.kept if action and action.kind is ActionKind.KEEP else ""
        until = action.ends_at if action and action.ends_at else candidate.expires_at
        line = {"environment": candidate.name, "owner": candidate.owner, "until": until.isoformat(), "why": kept}
        found.append((by_id[candidate.id], line))
    return found
