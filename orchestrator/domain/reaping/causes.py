"""Why an environment would end, and when: one claim for each cause that holds or will hold. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.domain.lifecycle import EnvironmentStatus

from .facts import ENOUGH_CHECKS, Candidate, Cause, GoneBranch, Policy
from .keeping import breaks


@dataclass(frozen=True)
class Surplus:
    """How many environments of a template an owner has, and may have."""

    count: int
    allowed: int


@dataclass(frozen=True)
class Case:
    """One environment under its policy, now. `surplus`: set when it is one too many for its owner."""

    candidate: Candidate
    policy: Policy
    now: datetime
    surplus: Surplus | None = None


@dataclass(frozen=True)
class Claim:
    """One cause and its moments.

    `due`: when the cause itself makes it due. `at`: when it is due, which is later when a hold or a protection ends
    after `due`. `steps`: how long before `at` to warn, the longest first, never empty.
    """

    cause: Cause
    due: datetime
    at: datetime
    steps: tuple[timedelta, ...]

    @property
    def grace(self) -> timedelta:
        """How long a late warning delays the end."""
        return self.steps[-1]

    def ends(self, warned_at: datetime) -> datetime:
        """When it may end, once it was warned about at `warned_at`.

        A warning with at least half of the last step to go is in time; after a later one there is the whole step. So a
        check that comes a little late does not make a TTL longer, and nobody has less than half of a step.
        """
        return self.at if warned_at <= self.at - self.grace / 2 else warned_at + self.grace


def claims(case: Case) -> Iterator[Claim]:
    """What makes, or will make, it due, in the order of `Cause`. The first of them is always there."""
    candidate, policy = case.candidate, case.policy
    yield _between(Cause.EXPIRED, candidate.extended_at or candidate.created_at, expires(case), case)
    if gone := counting(candidate, policy):
        yield _suddenly(Cause.BRANCH_GONE, min(each.first_noticed for each in gone), case)
    if policy.failed is not None and (since := failed_since(candidate)):
        yield _between(Cause.FAILED, since, since + policy.failed, case)
    if policy.idle is not None:
        since = idle_since(candidate)
        yield _between(Cause.IDLE, since, since + policy.idle, case)
    if case.surplus:
        yield _suddenly(Cause.OVER_LIMIT, candidate.noticed.get(Cause.OVER_LIMIT, case.now), case)


def expires(case: Case) -> datetime:
    """When it expires: as it was promised, at most as its template allows now."""
    promised, longest = case.candidate.expires_at, case.candidate.created_at + case.policy.max
    return min(promised, longest) if case.policy.known else promised


def hard_maximum(case: Case) -> datetime:
    """From when on a warning that could not be delivered keeps nothing any more.

    A template whose `ttl.max` was made shorter breaks no promise without a delivered warning.
    """
    return max(case.candidate.expires_at, case.candidate.created_at + case.policy.max)


def counting(candidate: Candidate, policy: Policy) -> list[GoneBranch]:
    """The branches whose absence counts.

    Not a role's default, not one that is missed for the first time, and not one that was gone already when somebody
    extended the environment. Of a role that the template has no longer nobody knows the default.
    """
    return [
        gone
        for gone in candidate.gone
        if gone.checks >= ENOUGH_CHECKS
        and policy.branches.get(gone.role, gone.branch) != gone.branch
        and not (candidate.extended_at and candidate.extended_at >= gone.first_noticed)
    ]


def failed_since(candidate: Candidate) -> datetime | None:
    """Since when it is failed and nobody touched it; None when it is not failed."""
    if candidate.status is not EnvironmentStatus.FAILED or candidate.failed_at is None:
        return None
    return max(candidate.failed_at, candidate.touched_at)


def idle_since(candidate: Candidate) -> datetime:
    """Since when nobody deployed to it. An extension counts: somebody wants it as it is."""
    return max(candidate.deployed_at, candidate.extended_at or candidate.deployed_at)


def _between(cause: Cause, began: datetime, due: datetime, case: Case) -> Claim:
    at, began = _moved(due, began, case)
    return Claim(cause, due, at, _fitting(case.policy.warn, began, at))


def _suddenly(cause: Cause, noticed: datetime, case: Case) -> Claim:
    """A cause without a natural moment is due the longest warning's span after it was noticed."""
    due = noticed + case.policy.warn[0]
    at, began = _moved(due, noticed, case)
    return Claim(cause, due, at, case.policy.warn if at == due else _fitting(case.policy.warn, began, at))


def _moved(due: datetime, began: datetime, case: Case) -> tuple[datetime, datetime]:
    """When it is really due, and since when that is clear: what keeps it may end after `due`."""
    for since, until in breaks(case.candidate, case.policy):
        if until > due:
            due, began = until, max(began, since)
    return due, began


def _fitting(warn: tuple[timedelta, ...], began: datetime, at: datetime) -> tuple[timedelta, ...]:
    """The steps that fit between, so that nobody is warned of what they asked for just now; else half of the time.

    What was due before that was clear (a template that allows less now) has the shortest step.
    """
    steps = tuple(step for step in warn if at - step > began)
    return steps or (((at - began) / 2,) if at > began else warn[-1:])
