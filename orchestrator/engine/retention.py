"""Removing what is older than the retention, in small batches: events, audit, console messages, runs, and the durable
engine's own history. Environments, servers and operations stay: statistics are made of them."""

import logging

from dbos import DBOS

from orchestrator.ports import Ledger

from .runtime import current, record, remote

log = logging.getLogger(__name__)

BATCH = 500
MOST_BATCHES = 200  # in one night; the next one goes on


def forget_old() -> None:
    """Everything that is too old; part of the nightly run."""
    for what in ("events", "audit", "console"):
        for _ in range(MOST_BATCHES):
            if record(_forget, what) < BATCH:
                break
    for _ in range(MOST_BATCHES):
        if record(_forget_runs) < BATCH:
            break
    remote(_forget_history)


def _forget(ledger: Ledger, what: str) -> int:
    return ledger.reaper.forget(what, current().clock.now() - current().schedule.retention, BATCH)


def _forget_runs(ledger: Ledger) -> int:
    return ledger.reaper.forget_runs(current().clock.now() - current().schedule.retention, BATCH)


def _forget_history() -> int:
    """The durable engine keeps every workflow for ever unless somebody removes it. → how many were removed."""
    before = (current().clock.now() - current().schedule.retention).isoformat()
    removed = 0
    for _ in range(MOST_BATCHES):
        old = DBOS.list_workflows(completed_before=before, limit=BATCH, load_input=False, load_output=False)
        if not old:
            break
        DBOS.delete_workflows([each.workflow_id for each in old])  # a child goes when it is old itself
        removed += len(old)
    return removed
