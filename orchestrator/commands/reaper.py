"""The reaper: what the next run would do, doing it now, keeping an environment from it, and the schedule."""

from datetime import datetime
from typing import Any

from orchestrator.domain import schedule
from orchestrator.domain.durations import parse_duration
from orchestrator.domain.environment import Actor, Environment
from orchestrator.domain.errors import BadInput, Conflict
from orchestrator.domain.keeping import Hold, Protection
from orchestrator.domain.policy import Act
from orchestrator.domain.reaping import Policy, explain, hold_until, plan_reap, policy_of
from orchestrator.domain.reaping.facts import UNREADABLE
from orchestrator.engine import sights
from orchestrator.ports import JobRun, Ledger

from . import find, permissions
from .operations import admit
from .runs import run_view
from .show import environment_view
from .views import ActionView, EnvironmentView, HoldEnvironment, JobView, Plan, ProtectEnvironment, RunView
from .world import World


def plan(world: World) -> Plan:
    """What a run at this moment would do, and why. It changes nothing."""
    now = world.clock.now()
    with world.store.transaction() as ledger:
        actions = plan_reap(sights.snapshot(ledger, world.templates.current().templates), now)
    views = [
        ActionView(
            kind=each.kind, environment=each.name, cause=each.cause, at=each.at, reason=each.reason,
            sentence=explain(each),
        )
        for each in actions
    ]  # fmt: skip
    return Plan(at=now, actions=views)


def reap_now(world: World, actor: Actor) -> RunView:
    """Start a run for this moment. NotAllowed below ops; Unavailable when this process is about to end."""
    permissions.check(world, actor, Act.REAP)
    admit(world)
    now = world.clock.now()
    run = JobRun(schedule.run_id("reap", now), "reap", now, now)
    with world.store.transaction() as ledger:
        if not ledger.reaper.add_run(run):
            raise Conflict("run-there", "A run for this very second has begun already; look at it with brine schedule.")
    world.start_run(run)
    return run_view(run)


def run(world: World, id_: str) -> RunView | None:
    """A run of a scheduled job, with what it did; None when there is none of that id."""
    with world.store.transaction() as ledger:
        found = ledger.reaper.run(id_)
    return run_view(found, whole=True) if found else None


def jobs(world: World) -> list[JobView]:
    """Every scheduled job, with its last run and its next."""
    now = world.clock.now()
    with world.store.transaction() as ledger:
        newest = {job.name: ledger.reaper.newest_run(job.name) for job in world.settings.jobs}
    views = []
    for job in world.settings.jobs:
        last = newest[job.name]
        views.append(
            JobView(
                job=job.name,
                when=str(job),
                next_at=schedule.next_due(job, now),
                last=run_view(last) if last and last.result != {} else None,
            )
        )
    return views


# Keeping


def hold(world: World, actor: Actor, name: str, ask: HoldEnvironment) -> EnvironmentView:
    """Keep an environment for debugging, at most as long as its template allows."""
    with world.store.transaction() as ledger:
        found, policy, now = _kept(world, ledger, actor, name, Act.HOLD)
        running = found.hold if found.hold and found.hold.until > now else None
        span = parse_duration(ask.for_) if ask.for_ else None
        since = running.since if running else None
        until = hold_until(found.name, found.created_at, policy, now, span, since)
        kept = Hold(actor.person, since or now, until)
        return _changed(world, ledger, actor, found, "environment.held", hold=kept)


def release(world: World, actor: Actor, name: str) -> EnvironmentView:
    """End a hold before its time. Conflict when there is none."""
    with world.store.transaction() as ledger:
        found, _, now = _kept(world, ledger, actor, name, Act.HOLD)
        if found.hold is None or found.hold.until <= now:
            raise Conflict("not-held", f"{name} is not held.")
        kept = Hold(found.hold.by, found.hold.since, now)
        return _changed(world, ledger, actor, found, "environment.released", hold=kept)


def protect(world: World, actor: Actor, name: str, ask: ProtectEnvironment) -> EnvironmentView:
    """Keep an environment from the reaper, until a moment or without end. NotAllowed below ops."""
    with world.store.transaction() as ledger:
        found, _, now = _kept(world, ledger, actor, name, Act.PROTECT)
        until = now + parse_duration(ask.for_) if ask.for_ else ask.until
        if until is not None and until <= now:
            raise BadInput("protection-backwards", "That moment is over already; give one that is still to come.")
        kept = Protection(actor.person, now, until, ask.why)
        return _changed(world, ledger, actor, found, "environment.protected", protection=kept)


def unprotect(world: World, actor: Actor, name: str) -> EnvironmentView:
    """Take a protection off. Conflict when there is none."""
    with world.store.transaction() as ledger:
        found, _, now = _kept(world, ledger, actor, name, Act.PROTECT)
        before = found.protection
        if before is None or (before.until is not None and before.until <= now):
            raise Conflict("not-protected", f"{name} is not protected.")
        kept = Protection(before.by, before.since, now, before.why)
        return _changed(world, ledger, actor, found, "environment.unprotected", protection=kept)


def _kept(world: World, ledger: Ledger, actor: Actor, name: str, act: Act) -> tuple[Environment, Policy, datetime]:
    found = find.environment(ledger, name, world)
    permissions.check(world, actor, act, found.template)
    find.not_terminating(found)
    template = world.templates.current().templates.get(found.template)
    return found, policy_of(template) if template else UNREADABLE, world.clock.now()


def _changed(
    world: World, ledger: Ledger, actor: Actor, found: Environment, kind: str, **changes: Any
) -> EnvironmentView:
    ledger.change_environment(found.id, actor, kind, **changes)
    return environment_view(ledger, ledger.environment_by_id(found.id), world.clock.now(), whole=True)
