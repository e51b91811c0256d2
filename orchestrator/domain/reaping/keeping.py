"""What keeps an environment: extensions, holds, protections, and how far each of them goes. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from orchestrator.domain.durations import format_duration
from orchestrator.domain.errors import BadInput
from orchestrator.domain.keeping import Hold
from orchestrator.domain.schedule import local_moment

from .facts import Candidate, Policy

MORNING = time(9)


def hold_ends(hold: Hold, created_at: datetime, policy: Policy) -> datetime:
    """When a hold really ends: at most the template's `ttl.hold` after it began.

    Nobody keeps an environment for ever by holding it again and again: at most `ttl.hold` beyond its `ttl.max`.
    """
    if not policy.known:
        return hold.until
    return min(hold.until, _latest_hold(hold.since, created_at, policy))


def breaks(candidate: Candidate, policy: Policy) -> Iterator[tuple[datetime, datetime]]:
    """Since when and until when something with an end keeps, or kept, it."""
    if candidate.hold:
        yield candidate.hold.since, hold_ends(candidate.hold, candidate.created_at, policy)
    if candidate.protection and candidate.protection.until:
        yield candidate.protection.since, candidate.protection.until


def endless(candidate: Candidate) -> bool:
    """Whether something keeps it of which nobody knows when it ends, so that there is no moment to warn of."""
    return bool(candidate.locked or (candidate.protection and candidate.protection.until is None))


def extended(
    name: str,
    expires_at: datetime,
    created_at: datetime,
    policy: Policy,
    now: datetime,
    by: timedelta | None = None,
    until: datetime | None = None,
) -> datetime:
    """When an environment expires once it is extended `by` a span or `until` a moment; neither is the template's step.

    One that has expired already, and was not reaped yet, gets the span from now on. Raises BadInput: it would live
    longer in all than its template allows, or not longer than it does already.
    """
    longest = created_at + policy.max
    wanted = until.astimezone(UTC) if until else max(expires_at, now) + (policy.extend if by is None else by)
    if wanted > longest:
        room = longest - max(expires_at, now)
        raise BadInput(
            "extension-too-long",
            f"{name} may live {format_duration(policy.max)} in all, so it can be extended by {format_duration(room)} "
            "at most."
            if room >= timedelta(seconds=1)
            else f"{name} lives as long as its template allows already ({format_duration(policy.max)} in all).",
        )
    if wanted <= now:
        raise BadInput("extension-backwards", f"{clock(wanted)} is over already; give a time that is still to come.")
    if wanted <= expires_at:
        raise BadInput("extension-backwards", f"{name} lives longer than that already, until {clock(expires_at)}.")
    return wanted


def hold_until(
    name: str,
    created_at: datetime,
    policy: Policy,
    now: datetime,
    for_: timedelta | None = None,
    since: datetime | None = None,
) -> datetime:
    """Until when an environment is held from `now` on: `for_` so long, or as long as its template allows.

    `since`: when the hold that it has already began; the new one goes on with it. Raises BadInput when that is longer
    than the template allows.
    """
    latest = _latest_hold(since or now, created_at, policy)
    until = latest if for_ is None else now + for_
    if latest <= now:
        raise BadInput("hold-too-long", f"{name} was held for debugging as long as its template allows; extend it.")
    if until > latest:
        raise BadInput(
            "hold-too-long",
            f"{name} can be held for debugging for {format_duration(latest - now)} at most; hold it for that or less.",
        )
    return until


def tomorrow_morning(now: datetime, zone: ZoneInfo) -> datetime:
    """Nine o'clock of the next day in `zone`, in UTC."""
    return local_moment(now.astimezone(zone).date() + timedelta(days=1), MORNING, zone)


def _latest_hold(since: datetime, created_at: datetime, policy: Policy) -> datetime:
    return min(since, created_at + policy.max) + policy.hold


def clock(moment: datetime) -> str:
    """`2026-12-01 09:00 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
