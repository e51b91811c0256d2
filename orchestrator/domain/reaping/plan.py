"""The plan: what the reaper does now with each environment. Pure; a dry run prints what a run then carries out."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from orchestrator.domain.lifecycle import EnvironmentStatus

from . import words
from .causes import Case, Claim, Surplus, claims, hard_maximum
from .facts import UNREADABLE, Action, ActionKind, Candidate, Cause, Snapshot, Warned
from .keeping import endless

_ENDING = (EnvironmentStatus.TERMINATING, EnvironmentStatus.TERMINATED)
_KINDS = list(ActionKind)
_Actions = Mapping[str, Action | None]


def plan_reap(snapshot: Snapshot, now: datetime) -> list[Action]:
    """At most one action for each environment: what is reaped, who is warned, what is kept although it is due.

    Nothing is reaped that is protected, held, locked or busy, and nothing before a warning about that cause and that
    moment was delivered and its time is over. A warning that cannot be delivered keeps it until its hard maximum; also
    then it was sent, and its time is over.
    """
    actions = _by_themselves(snapshot, now)
    for candidate, surplus in _too_many(snapshot, actions):
        actions[candidate.id] = _decide(_case(snapshot, candidate, now, surplus))
    found = [action for action in actions.values() if action is not None]
    return sorted(found, key=lambda action: (_KINDS.index(action.kind), action.at, action.name, action.environment))


def noticed(snapshot: Snapshot, now: datetime) -> dict[str, dict[Cause, datetime]]:
    """By environment: the causes without a natural moment that hold, and since when.

    To be kept in the place of what was kept before, and given back as `Candidate.noticed`: what is not there holds no
    longer.
    """
    found = _too_many(snapshot, _by_themselves(snapshot, now))
    return {each.id: {Cause.OVER_LIMIT: each.noticed.get(Cause.OVER_LIMIT, now)} for each, _ in found}


def _case(snapshot: Snapshot, candidate: Candidate, now: datetime, surplus: Surplus | None = None) -> Case:
    return Case(candidate, snapshot.policies.get(candidate.template, UNREADABLE), now, surplus)


def _alive(snapshot: Snapshot) -> Iterator[Candidate]:
    return (each for each in snapshot.environments if each.status not in _ENDING)


def _by_themselves(snapshot: Snapshot, now: datetime) -> dict[str, Action | None]:
    """What happens to each, whatever else its owner has."""
    return {each.id: _decide(_case(snapshot, each, now)) for each in _alive(snapshot)}


def _too_many(snapshot: Snapshot, actions: _Actions) -> list[tuple[Candidate, Surplus]]:
    """The environments that are too many for their owner, the oldest, of those that are not reaped anyway.

    One that is kept is among them: no younger one goes in its place.
    """
    owned: dict[tuple[str, str], list[Candidate]] = {}
    for each in _alive(snapshot):
        action = actions[each.id]
        if action is None or action.kind is not ActionKind.REAP:
            owned.setdefault((each.owner, each.template), []).append(each)
    found = []
    for (_, template), those in owned.items():
        allowed = snapshot.policies.get(template, UNREADABLE).per_person
        if allowed is not None and len(those) > allowed:
            oldest = sorted(those, key=lambda each: (each.created_at, each.id))[: len(those) - allowed]
            found += [(each, Surplus(len(those), allowed)) for each in oldest]
    return found


def _decide(case: Case) -> Action | None:
    """What happens to one environment: it goes for the first cause that is ripe, else the one that is next counts."""
    found = list(claims(case))
    kept = words.keeper(case)
    ripe = next((claim for claim in found if _ripe(claim, case)), None)
    if ripe:
        return _action(ActionKind.KEEP, ripe, case, kept=kept) if kept else _action(ActionKind.REAP, ripe, case)
    first = min(found, key=lambda claim: (claim.at, claim.due))
    step = _step(first, case)
    if step is not None:
        return _action(ActionKind.WARN, first, case, step=step)
    if first.due <= case.now:
        return _action(ActionKind.KEEP, first, case, kept=kept or words.waits(case, _told(first, case)))
    return None


def _action(
    kind: ActionKind, claim: Claim, case: Case, kept: str | None = None, step: timedelta | None = None
) -> Action:
    return Action(
        kind=kind,
        environment=case.candidate.id,
        name=case.candidate.name,
        cause=claim.cause,
        at=claim.at,
        why=words.why(claim, case),
        kept=kept or "",
        step=step,
        ends_at=_ends(kind, claim, case),
    )


def _ends(kind: ActionKind, claim: Claim, case: Case) -> datetime | None:
    """When it goes at the earliest; None when nobody can say."""
    if kind is ActionKind.REAP:
        return case.now
    if kind is ActionKind.WARN:
        return claim.ends(case.now)
    if endless(case.candidate):
        return None
    told = _told(claim, case)
    if told is not None:
        ends = claim.ends(told)
    else:
        sent = [warned.at for warned in _warnings(claim, case)]
        ends = max(hard_maximum(case), claim.ends(min(sent))) if sent else claim.at
    return ends if ends > case.now else None


def _warnings(claim: Claim, case: Case) -> Iterator[Warned]:
    """The warnings about this cause and this moment: another moment needs warnings of its own."""
    return (each for each in case.candidate.warnings if each.cause is claim.cause and each.due_at == claim.at)


def _told(claim: Claim, case: Case) -> datetime | None:
    """When the first warning that counts was given; None when none counts.

    One that was not delivered counts where nobody can be reached, and from the hard maximum on.
    """
    sent_counts = not case.candidate.reachable or hard_maximum(case) <= case.now
    moments = (warned.at if sent_counts else warned.delivered_at for warned in _warnings(claim, case))
    return min((moment for moment in moments if moment is not None), default=None)


def _ripe(claim: Claim, case: Case) -> bool:
    told = _told(claim, case)
    return told is not None and claim.ends(told) <= case.now


def _step(claim: Claim, case: Case) -> timedelta | None:
    """The warning to send now: the latest step whose moment has come, unless it was sent, or a later one."""
    if endless(case.candidate):
        return None  # there is no end to warn of
    step = min((step for step in claim.steps if claim.at - step <= case.now), default=None)
    if step is None or any(warned.step <= step for warned in _warnings(claim, case)):
        return None
    return step
