"""How a person is told what the reaper does, and why. Pure."""

from datetime import datetime, timedelta

from orchestrator.domain.durations import format_duration
from orchestrator.domain.failures import listed

from .causes import Case, Claim, counting, expires, failed_since, hard_maximum, idle_since
from .facts import Action, ActionKind, Cause
from .keeping import clock, hold_ends


def explain(action: Action) -> str:
    """The action as one sentence, as `brine reap --dry-run` prints it."""
    match action.kind:
        case ActionKind.REAP:
            return f"{action.name} goes: {action.why}."
        case ActionKind.WARN:
            goes = f" It goes at {clock(action.ends_at)} at the earliest." if action.ends_at else ""
            return f"{action.name} is warned about: {action.why}.{goes}"
        case ActionKind.KEEP:
            return f"{action.name} stays: {action.kept}. Otherwise it would go: {action.why}."


def why(claim: Claim, case: Case) -> str:
    """The cause, as words."""
    match claim.cause:
        case Cause.EXPIRED:
            said = _expired(case)
        case Cause.BRANCH_GONE:
            said = _gone(case)
        case Cause.FAILED:
            said = _failed(case)
        case Cause.IDLE:
            said = _idle(case)
        case Cause.OVER_LIMIT:
            said = _over_limit(case)
    held_back = claim.due < claim.at and case.now < claim.at
    return f"{said}, and what keeps it ends in {_span(claim.at - case.now)}" if held_back else said


def keeper(case: Case) -> str | None:
    """What forbids to reap it now, as words; None when nothing does."""
    candidate = case.candidate
    if protected := _protected(case):
        return protected
    if candidate.hold:
        ends = hold_ends(candidate.hold, candidate.created_at, case.policy)
        if ends > case.now:
            return f"held for debugging by {candidate.hold.by} until {clock(ends)}"
    return f"locked by {candidate.locked}" if candidate.locked else candidate.busy


def waits(case: Case, told_at: datetime | None) -> str:
    """Why something waits that is due. `told_at`: when the warning that counts was given; None when none was."""
    if told_at is None:
        return "the warning could not be delivered yet"
    whom = "its owner was warned" if case.candidate.reachable else "its warning, which reaches nobody, was written down"
    return f"{whom} only {_span(case.now - told_at)} ago"


def _protected(case: Case) -> str | None:
    found = case.candidate.protection
    if found is None or (found.until is not None and found.until <= case.now):
        return None
    because = f" ({found.why})" if found.why else ""
    if found.until is not None:
        return f"protected by {found.by} until {clock(found.until)}{because}"
    beyond = f", even beyond the {_span(case.policy.max)} that it may live in all"
    return f"protected by {found.by} without end{beyond if hard_maximum(case) <= case.now else ''}{because}"


def _expired(case: Case) -> str:
    at = expires(case)
    said = f"expires in {_span(at - case.now)}" if at > case.now else f"expired {_ago(case.now - at)}"
    if at < case.candidate.expires_at:
        said += f", because an environment of {case.candidate.template} may live {_span(case.policy.max)} in all now"
    return said


def _gone(case: Case) -> str:
    roles: dict[str, list[str]] = {}
    for each in counting(case.candidate, case.policy):
        roles.setdefault(each.branch, []).append(each.role)
    branches = [f"branch {branch} of {listed(sorted(those))}" for branch, those in sorted(roles.items())]
    return f"{listed(branches)} {'is' if len(branches) == 1 else 'are'} gone at the remote, at two checks in a row"


def _failed(case: Case) -> str:
    since = failed_since(case.candidate) or case.now
    failed_at = case.candidate.failed_at or since
    if since > failed_at:
        return f"failed, and nobody touched it for {_span(case.now - since)}"
    return f"failed {_ago(case.now - failed_at)} and nobody touched it since"


def _idle(case: Case) -> str:
    since = idle_since(case.candidate)
    extended = " or extended it" if since > case.candidate.deployed_at else ""
    return f"nobody deployed to it{extended} for {_span(case.now - since)}"


def _over_limit(case: Case) -> str:
    assert case.surplus  # noqa: S101  (or there would be no such claim)
    count, allowed = case.surplus.count, case.surplus.allowed
    which = "the oldest" if count - allowed == 1 else f"among the {count - allowed} oldest"
    return (
        f"{case.candidate.owner} has {count} environments of {case.candidate.template} and may have {allowed}; "
        f"this one is {which}"
    )


def _ago(span: timedelta) -> str:
    return f"{_span(span)} ago" if span >= timedelta(seconds=1) else "just now"


def _span(span: timedelta) -> str:
    return format_duration(span)
