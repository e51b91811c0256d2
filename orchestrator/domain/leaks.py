"""Drift and leaks: what our records, the cloud with the master, and the minions disagree about, and what follows. Pure.

Nothing is done about something that is sighted for the first time: it may be on its way. All moments are aware, in UTC.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .environment import Server
from .lifecycle import ServerStatus
from .names import split_server_id

ENOUGH_SIGHTINGS = 2


class LeakKind(StrEnum):
    """What is to be done: remove what nobody has, mark a server as degraded, take the mark off, wait until somebody
    heals what is marked, or only tell ops."""

    REMOVE = "remove"
    DEGRADE = "degrade"
    RECOVER = "recover"
    HEAL = "heal"
    REPORT = "report"


@dataclass(frozen=True)
class KnownServer:
    """A server as our records have it; ended ones are left out. `environment`: its name. `degraded_since`: if it is."""

    name: str
    environment: str
    status: ServerStatus
    degraded_since: datetime | None = None


@dataclass(frozen=True)
class FoundServer:
    """A server as the cloud and the master have it. `state`: running | stopped | unknown (no machine is left)."""

    name: str
    state: str
    key: bool = False
    record: bool = False

    @property
    def marked(self) -> bool:
        """Whether it is ours. A machine bears its record; keys and records without one are listed only when ours."""
        return self.record or self.state == "unknown"

    @property
    def remains(self) -> str:
        """What is there of it, for people: `machine, key and record`."""
        parts = ["machine"] * (self.state != "unknown") + ["key"] * self.key + ["record"] * self.record
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts) or "note of it"


@dataclass(frozen=True)
class Worlds:
    """What is compared. `busy`: the environments, by name, that an operation is at work on, or was since the look."""

    known: Sequence[KnownServer]
    found: Sequence[FoundServer]
    answering: frozenset[str]
    busy: frozenset[str]


@dataclass(frozen=True)
class Sighting:
    """Something that was sighted `times` times in a row, since `since`."""

    since: datetime
    times: int


Sightings = Mapping[tuple[LeakKind, str], Sighting]


@dataclass(frozen=True)
class LeakAction:
    """One disagreement. `subject`: the server's name. `times`: how often it was sighted in a row, with this time."""

    kind: LeakKind
    subject: str
    reason: str
    seen_since: datetime
    times: int

    @property
    def due(self) -> bool:
        """Whether it is to be done now. That a server is back is believed at once; what only people do is never due."""
        if self.kind is LeakKind.RECOVER:
            return True
        return self.kind in _ACTS_LATER and self.times >= ENOUGH_SIGHTINGS


def plan_leaks(worlds: Worlds, sightings: Sightings, now: datetime) -> list[LeakAction]:
    """Everything that does not agree, by server. Do what is `due`; keep what `sighted` says until the next time."""
    known = {each.name for each in worlds.known}
    marked = {
        (LeakKind.HEAL, each.name): Sighting(each.degraded_since, ENOUGH_SIGHTINGS)
        for each in worlds.known
        if each.degraded_since
    }
    disagreements = sorted([*_leaks(worlds, known), *_drift(worlds)], key=lambda each: each[1])
    return [_seen(*each, {**sightings, **marked}, now) for each in disagreements]


def sighted(actions: Iterable[LeakAction]) -> dict[tuple[LeakKind, str], Sighting]:
    """What to remember for the next time. All else is forgotten; also what was only reported, which is no sighting."""
    return {
        (each.kind, each.subject): Sighting(each.seen_since, each.times)
        for each in actions
        if each.kind in _ACTS_LATER
    }  # fmt: skip


_ACTS_LATER = (LeakKind.REMOVE, LeakKind.DEGRADE)  # not at the first sighting
_Disagreement = tuple[LeakKind, str, str]


def _seen(kind: LeakKind, subject: str, reason: str, sightings: Sightings, now: datetime) -> LeakAction:
    before = sightings.get((kind, subject))
    return LeakAction(kind, subject, reason, before.since if before else now, before.times + 1 if before else 1)


def _leaks(worlds: Worlds, known: set[str]) -> Iterator[_Disagreement]:
    for each in worlds.found:
        if each.name in known:
            continue
        parts, left = split_server_id(each.name), f"the {each.remains} of a server that Brinepool does not have"
        if parts is None or not each.marked:
            yield LeakKind.REPORT, each.name, f"{left}, without our mark, so it is left alone"
        elif parts[0] in worlds.busy:
            yield LeakKind.REPORT, each.name, f"{left}, while an operation is at work on {parts[0]}"
        else:
            yield LeakKind.REMOVE, each.name, left


def _drift(worlds: Worlds) -> Iterator[_Disagreement]:
    found = {each.name: each for each in worlds.found}
    for each in worlds.known:
        if each.status is not ServerStatus.READY or each.environment in worlds.busy:
            continue
        wrong = _wrong(found.get(each.name), each.name in worlds.answering)
        if wrong:
            yield LeakKind.HEAL if each.degraded_since else LeakKind.DEGRADE, each.name, wrong
        elif each.degraded_since:
            yield LeakKind.RECOVER, each.name, "it is back"


def _wrong(found: FoundServer | None, answers: bool) -> str | None:
    if found is None or found.state == "unknown":
        return "its machine is gone"
    if found.state != "running":
        return "its machine is stopped"
    if not found.key:
        return "the master has lost its key"
    if not found.record:
        return "the master has lost its record"
    return None if answers else "its minion does not answer"


def is_degraded(server: Server) -> bool:
    """Whether it was ready, and is not whole any more."""
    return server.status is ServerStatus.READY and server.degraded is not None


def degraded_since(servers: Iterable[Server]) -> datetime | None:
    """Since when the first of them is degraded; None when all are whole."""
    return min((each.degraded_since for each in servers if is_degraded(each) and each.degraded_since), default=None)


def why_degraded(servers: Iterable[Server]) -> str | None:
    """A sentence that names each degraded server, what is wrong with it and since when; None when all are whole."""
    told = [
        f"{each.name}: {each.degraded}, since {each.degraded_since:%Y-%m-%d %H:%M} UTC"
        for each in servers
        if is_degraded(each)
    ]
    return "; ".join(told) + "." if told else None
