"""Leaks and drift: where our records, the cloud with the master, and the minions disagree, and starting a sweep."""

from datetime import timedelta

from orchestrator.domain import schedule
from orchestrator.domain.environment import Actor
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.leaks import LeakKind
from orchestrator.domain.policy import Act
from orchestrator.engine.sweep import compare, look, told
from orchestrator.ports import JobRun, Ledger, SaltRefused

from . import permissions
from .leak_views import Leaks
from .operations import admit
from .runs import leak_view, planned, run_view
from .views import RunView
from .world import World

_JOB = "sweep"
_SECOND = timedelta(seconds=1)


def found(world: World) -> Leaks:
    """What disagrees at this moment, and what sweeps will do about it. It changes nothing, and counts as no sighting.

    Unavailable when Salt cannot be asked.
    """
    now = world.clock.now()
    try:
        seen = look(world.salt, now)
    except SaltRefused as refused:
        raise Unavailable(refused.code, refused.message, detail=refused.detail) from refused
    with world.store.transaction() as ledger:
        leaks = [told(action) for action in compare(ledger, seen, now)]
    return Leaks(at=now, leaks=[leak_view(_before(leak), planned(leak)) for leak in leaks])


def sweep_now(world: World, actor: Actor) -> RunView:
    """Start a sweep, or join the one that is under way. NotAllowed below ops; Unavailable when this process is about to
    end."""
    permissions.check(world, actor, Act.SWEEP)
    admit(world)
    with world.store.transaction() as ledger:
        ledger.reaper.alone()
        running = next((each for each in ledger.reaper.open_runs() if each.job == _JOB), None)
        run = running or _begin(ledger, world)
    if running is None:
        world.start_run(run)
    return run_view(run)


def _begin(ledger: Ledger, world: World) -> JobRun:
    """A new run, written down. Its moment is one that no other sweep has: a run's id is as fine as a second."""
    now, newest = world.clock.now(), ledger.reaper.newest_run(_JOB)
    due = max(now, newest.due_at + _SECOND) if newest else now
    run = JobRun(schedule.run_id(_JOB, due), _JOB, due, now)
    ledger.reaper.add_run(run)
    return run


def _before(leak: dict[str, object]) -> dict[str, object]:
    """`times` without this look, which is no sweep."""
    counts = leak["kind"] in (LeakKind.REMOVE, LeakKind.DEGRADE)
    return leak | {"times": int(str(leak["times"])) - 1 if counts else 0}
