"""The scheduler: APScheduler only says that a minute has passed; what is due is decided by rows."""

import logging
from datetime import datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler

from .recovery import start_forgotten
from .runtime import current

log = logging.getLogger(__name__)

# How long the ids of chat messages and deliveries are kept against repetition: signatures are good for minutes.
REMEMBERED = timedelta(days=2)


def run_due(now: datetime) -> None:
    """Do what is due at `now`. Safe to call at any time and from several processes."""
    started = start_forgotten()
    if started:
        log.warning("at %s: started %d operations that a crash had left waiting", now, started)
    with current().store.transaction() as ledger:
        ledger.chat.forget_seen(now - REMEMBERED)


def start_scheduler() -> BackgroundScheduler:
    """Call `run_due` now and every minute, until `shutdown()`."""
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_job(
        lambda: run_due(current().clock.now()), "interval", minutes=1, coalesce=True, max_instances=1, id="run-due"
    )
    scheduler.start()
    return scheduler
