"""`brine reap` and `brine schedule`: what ends by itself, and when."""

import time
from collections.abc import Iterable

import click

from orchestrator.commands.views import ActionView, JobView, Plan, RunView
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reaping import ActionKind

from . import render
from .client import path
from .session import Session, json_option, pass_session

PATIENCE_S = 300  # a run itself takes seconds; what it ends is removed later
PAUSE_S = 0.2


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what a run would do now, and why; change nothing.")
@click.option("--now", is_flag=True, help="Do it, and say what was done. For ops.")
@json_option
@pass_session
def reap(session: Session, dry_run: bool, now: bool) -> None:
    """End what is due, and warn of what will be.

    It happens by itself every few minutes. --dry-run says what the next run would do, and --now does just that.

    \b
    Examples:
      brine reap --dry-run
      brine reap --now
    """
    if dry_run == now:
        raise click.UsageError("Say either --dry-run, to see what would be done, or --now, to do it.")
    if dry_run:
        planned = session.client.one(Plan, path("reaper", "plan"))
        session.show(planned, *_told(planned.actions))
        return
    run = session.client.post(RunView, path("reaper", "runs"))
    ended = run_to_the_end(session, run)
    session.show(ended, *_told(ended.actions))


@click.command()
@json_option
@pass_session
def schedule(session: Session) -> None:
    """Show every scheduled job: when it runs, and how it went last.

    \b
    Example:
      brine schedule
    """
    found = session.client.many(JobView, "jobs", path("schedule"))
    session.show({"jobs": [each.model_dump(mode="json") for each in found]}, render.schedule(found))


def _told(actions: Iterable[ActionView]) -> list[str]:
    """The sentences below REAP, WARN and KEEP."""
    by_kind: dict[ActionKind, list[str]] = {kind: [] for kind in ActionKind}
    for action in actions:
        by_kind[action.kind].append(f"  {render.plain(action.sentence)}")
    lines = [line for kind, those in by_kind.items() if those for line in (kind.value.upper(), *those)]
    return lines or ["Nothing is due."]


def run_to_the_end(session: Session, run: RunView) -> RunView:
    """Wait until the run has ended → the run, with what it did."""
    deadline = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < deadline:
            found = session.client.one(RunView, path("reaper", "runs"), id=run.id)
            if found.ended_at is not None:
                return found
            time.sleep(PAUSE_S)
    except KeyboardInterrupt:
        click.echo("\nNot watching any more; the run goes on. Look at it with: brine schedule", err=True)
        raise click.exceptions.Exit(130) from None
    raise Unavailable("run-slow", "The run has not ended in time; it goes on. Look at it with: brine schedule")
