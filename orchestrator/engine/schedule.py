"""The scheduler: APScheduler only says that time has passed; what is due, and that it is started once, rows decide."""

import logging
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from dbos import DBOS

from orchestrator.domain.schedule import Job, latest_due, run_id
from orchestrator.ports import JobRun, Ledger

from .reaper import start_run
from .recovery import start_forgotten
from .runtime import current

log = logging.getLogger(__name__)

# How long the ids of chat messages and deliveries are kept against repetition: signatures are good for minutes.
REMEMBERED = timedelta(days=2)
TICK_S = 15  # how often is looked whether something is due


def run_due(now: datetime) -> None:
    """Start what is due at `now`, and what a crash left waiting. Safe to call at any time and from several processes.

    A run is written down before it is started, and its workflow has its id: it is started once. After a downtime only
    the latest moment that was missed is made up for.
    """
    started = start_forgotten()
    if started:
        log.warning("at %s: started %d operations that a crash had left waiting", now, started)
    with current().store.transaction() as ledger:
        ledger.chat.forget_seen(now - REMEMBERED)
        for job in current().schedule.jobs:
            _write_down(ledger, job, now)
        waiting = ledger.reaper.open_runs()
    for run in waiting:
        if DBOS.get_workflow_status(run.id) is None:
            start_run(run)


def _write_down(ledger: Ledger, job: Job, now: datetime) -> None:
    newest = ledger.reaper.newest_run(job.name)
    if newest is None:  # heard of for the first time: due from now on
        ledger.reaper.add_run(JobRun(run_id(job.name, now), job.name, now, now, now, {}))
        return
    due = latest_due(job, newest.due_at, now)
    if due is not None:
        ledger.reaper.add_run(JobRun(run_id(job.name, due), job.name, due, now))


def start_scheduler() -> BackgroundScheduler:
    """Call `run_due` now and every few seconds, until `shutdown()`."""
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_job(
        lambda: run_due(current().clock.now()),
        "interval",
        seconds=TICK_S,
        next_run_time=datetime.now(UTC),  # else the first time would be one interval away
        coalesce=True,
        max_instances=1,
        id="run-due",
    )
    scheduler.start()
    return scheduler
