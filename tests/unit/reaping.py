"""An environment that is well, its policy, and words for moments: for the tests of the reaper."""

from datetime import UTC, datetime, timedelta

from orchestrator.domain.lifecycle import EnvironmentStatus
from orchestrator.domain.reaping import Candidate, Cause, Policy, Warned

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def span(text: str) -> timedelta:
    """`2d`, `-30m`."""
    units = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
    return timedelta(**{units[text[-1]]: float(text[:-1])})


def at(text: str) -> datetime:
    """A moment by its distance from now."""
    return NOW + span(text)


def told(cause: Cause, due: datetime, step: str, sent: str, delivered: str | None = "") -> Warned:
    """A warning; `delivered` None: it was not, left out: at once."""
    return Warned(cause, due, span(step), at(sent), None if delivered is None else at(delivered or sent))


POLICY = Policy(
    max=span("14d"),
    extend=span("1d"),
    hold=span("1d"),
    warn=(span("4h"), span("30m")),
    idle=span("5d"),
    failed=span("3d"),
    per_person=3,
    branches={"api": "main", "web": "main"},
)
WELL = Candidate(
    id="1",
    name="cart-test",
    template="shop",
    owner="ada",
    status=EnvironmentStatus.READY,
    created_at=at("-2d"),
    expires_at=at("2d"),
    touched_at=at("-2d"),
    deployed_at=at("-2d"),
)
