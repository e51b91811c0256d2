"""The sweep: asks the cloud, the master and the minions, compares them with our records, and does what is due."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from ulid import ULID

from orchestrator.domain.environment import Actor, Environment
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.leaks import FoundServer, KnownServer, LeakAction, LeakKind, Worlds, plan_leaks, sighted
from orchestrator.domain.people import SCHEDULER
from orchestrator.ports import Ledger, Salt, SaltRefused

from .runtime import current, parse, record, remote

log = logging.getLogger(__name__)

SWEEPER = Actor(SCHEDULER, SCHEDULER)
PING_S = 15.0  # how long minions get to answer; a busy one answers well within
FRESH = timedelta(minutes=2)  # what was seen before that is not acted on; a run may go on long after a crash
_REMOVE_S = 60.0


def sweep_now(run: str) -> None:
    """Look, decide, and remove. A world that cannot be asked leaves everything as it is, sightings included."""
    seen = remote(_looked)
    for leak in record(_decide, run, seen):
        record(_told_removed, run, leak["server"], remote(_remove, leak["server"], leak["operation"]))


def look(salt: Salt, now: datetime) -> dict[str, Any]:
    """What the cloud and the master have, and which minions answer, as plain data. `now`: when the look begins.

    Raises SaltRefused and Unavailable.
    """
    machines = salt.inventory()
    asked = [each.server for each in machines if each.state == "running" and each.key == "accepted"]
    found = [
        {"name": each.server, "state": each.state, "key": bool(each.key), "record": each.record} for each in machines
    ]
    return {"at": now.isoformat(), "found": found, "answering": sorted(salt.answering(asked, PING_S))}


def compare(ledger: Ledger, seen: dict[str, Any], now: datetime) -> list[LeakAction]:
    """Everything that does not agree with our records. `seen`: what `look` has returned."""
    there = ledger.environments()
    names = {each.id: each.name for each in there}
    known = [
        KnownServer(each.name, names[each.environment], each.status, each.degraded_since)
        for each in ledger.servers()
        if each.environment in names
    ]
    worlds = Worlds(
        known=known,
        found=[FoundServer(**each) for each in seen["found"]],
        answering=frozenset(seen["answering"]),
        busy=frozenset(_busy(ledger, there, parse(seen["at"]))),
    )
    return plan_leaks(worlds, ledger.reaper.sightings(), now)


def _busy(ledger: Ledger, there: Sequence[Environment], since: datetime) -> Iterator[str]:
    """What an operation was at work on since the look began: it may have been seen as it was before."""
    active = {each.environment for each in ledger.operations(active=True, limit=100_000)}
    for each in there:
        charged = ledger.operation(each.operation)
        if each.id in active or (charged and charged.ended_at and charged.ended_at >= since):
            yield each.name
    yield from (each.name for each in ledger.ended_since(since))


def told(action: LeakAction) -> dict[str, Any]:
    """An action as plain data."""
    return {
        "kind": action.kind, "server": action.subject, "reason": action.reason, "times": action.times,
        "seen_since": action.seen_since.isoformat(), "due": action.due,
    }  # fmt: skip


def _looked() -> dict[str, Any]:
    """→ what `look` returns; or {"failure": a sentence}."""
    try:
        return look(current().salt, current().clock.now())
    except (SaltRefused, Unavailable) as error:
        log.warning("nothing was swept: %s", error.message)
        return {"failure": error.message}


def _decide(ledger: Ledger, run: str, seen: dict[str, Any]) -> list[dict[str, str]]:
    """Plan, and write down all that follows. → what is to be removed: [{"server", "operation"}]."""
    if "failure" in seen:
        ledger.reaper.change_run(run, result={"failure": seen["failure"]})
        return []
    now = current().clock.now()
    if now - parse(seen["at"]) > FRESH:
        ledger.reaper.change_run(run, result={"failure": "What was seen is too old to act on; the next sweep looks."})
        return []
    ledger.reaper.alone()
    actions = compare(ledger, seen, now)
    ledger.reaper.set_sightings(sighted(actions))
    marked = [_mark(ledger, action) for action in actions if action.due]
    for environment in dict.fromkeys(filter(None, marked)):  # told once, however many of its servers died
        ledger.tell(environment, SWEEPER, "environment.lost_servers")
    ledger.reaper.change_run(run, result={"leaks": [told(action) for action in actions]})
    return [_removal(action) for action in actions if action.due and action.kind is LeakKind.REMOVE]


def _removal(action: LeakAction) -> dict[str, str]:
    """The id is of the moment of the first sighting: what is made of that name since then belongs to a later operation,
    which the runner does not touch, and does not keep from being made."""
    return {"server": action.subject, "operation": str(ULID.from_datetime(action.seen_since))}


def _mark(ledger: Ledger, action: LeakAction) -> str | None:
    """→ the id of the environment that has lost this server just now; None otherwise."""
    server = ledger.server(action.subject)
    if server is None or action.kind not in (LeakKind.DEGRADE, LeakKind.RECOVER):
        return None
    if action.kind is LeakKind.DEGRADE:
        changes: dict[str, Any] = {"degraded": action.reason, "degraded_since": action.seen_since}
        ledger.mark_server(server.environment, server.name, SWEEPER, "server.degraded", **changes)
        return server.environment
    changes = {"degraded": None, "degraded_since": None}
    ledger.mark_server(server.environment, server.name, SWEEPER, "server.recovered", **changes)
    return None


def _remove(server: str, operation: str) -> dict[str, str]:
    """Remove all that is left of the name. → {} or {"failure": a sentence}; the next sweep then tries again."""
    try:
        current().salt.destroy(server, operation, _REMOVE_S)
    except (SaltRefused, Unavailable) as error:
        log.warning("what is left of %s could not be removed: %s", server, error.message)
        return {"failure": error.message}
    log.info("what was left of %s is removed", server)
    return {}


def _told_removed(ledger: Ledger, run: str, server: str, outcome: dict[str, str]) -> None:
    found = ledger.reaper.run(run)
    result = dict(found.result or {}) if found else {}
    leaks = [
        leak | {"failure": outcome.get("failure", "")} if leak["server"] == server else leak
        for leak in result.get("leaks", ())
    ]
    ledger.reaper.change_run(run, result=result | {"leaks": leaks})
