"""What the reaper looks at and what it decides: plain frozen data. All moments are aware and in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from orchestrator.domain.keeping import Hold, Protection
from orchestrator.domain.lifecycle import EnvironmentStatus
from orchestrator.domain.template import Template, Ttl

ENOUGH_CHECKS = 2  # at so many checks in a row a branch has to be gone


class Cause(StrEnum):
    """Why an environment ends. Where several are true, the first of them here is told."""

    EXPIRED = "expired"
    BRANCH_GONE = "branch-gone"
    FAILED = "failed"
    IDLE = "idle"
    OVER_LIMIT = "over-limit"

    @property
    def extendable(self) -> bool:
        """Whether it helps to extend the environment: nobody gets more of them by extending one."""
        return self is not Cause.OVER_LIMIT


@dataclass(frozen=True)
class Policy:
    """What a template says about the end of its environments. `policy_of` makes it.

    `warn`: the longest span first. `idle`, `failed`, `per_person`: None is never, or without a limit. `branches`: the
    default branch of each role. `known`: False when the template is gone or never was right.
    """

    max: timedelta
    extend: timedelta
    hold: timedelta
    warn: tuple[timedelta, ...]
    idle: timedelta | None = None
    failed: timedelta | None = None
    per_person: int | None = None
    branches: Mapping[str, str] = field(default_factory=dict)
    known: bool = True


def policy_of(template: Template) -> Policy:
    """The policy of a template."""
    ttl = template.ttl
    return Policy(
        max=ttl.max,
        extend=ttl.extend,
        hold=ttl.hold,
        warn=tuple(sorted(set(ttl.warn), reverse=True)),
        idle=ttl.idle,
        failed=ttl.failed,
        per_person=template.limits.per_person,
        branches={name: role.branch for name, role in template.roles.items()},
    )


# For environments whose template cannot be asked: they expire when they were promised to, and nothing else ends them,
# because this allows any number, knows no span and no role's default.
UNREADABLE = Policy(Ttl().max, Ttl().extend, Ttl().hold, Ttl().warn, known=False)


@dataclass(frozen=True)
class GoneBranch:
    """A branch that an environment runs and that its remote does not have. `checked` makes it.

    `checks`: at how many checks in a row. `first_noticed`: when it began to count, which is at the second of them
    (until then: when it was missed first).
    """

    role: str
    branch: str
    checks: int
    first_noticed: datetime


def checked(before: GoneBranch | None, role: str, branch: str, there: bool | None, at: datetime) -> GoneBranch | None:
    """What is known of a role's branch after a check at `at`; `there` is None when the check failed.

    A failed check is no check: it neither counts nor makes the count begin anew.
    """
    if before is not None and (before.role, before.branch) != (role, branch):
        before = None
    if there is None:
        return before
    if there:
        return None
    if before is None:
        return GoneBranch(role, branch, 1, at)
    checks = before.checks + 1
    return GoneBranch(role, branch, checks, at if checks == ENOUGH_CHECKS else before.first_noticed)


@dataclass(frozen=True)
class Warned:
    """A warning that was sent: for one cause and one due moment, `step` before it (as the plan's action says).

    `at`: when it was given to the chat. `delivered_at`: when the chat took it, None while it did not.
    """

    cause: Cause
    due_at: datetime
    step: timedelta
    at: datetime
    delivered_at: datetime | None = None


@dataclass(frozen=True)
class Candidate:
    """One environment, as the reaper sees it.

    `touched_at`: when a person created it, deployed to it, retried or extended it last; `deployed_at`: deployed or
    created it; `extended_at`: extended it. `failed_at`: when it failed, None unless it is failed now.
    `reachable`: whether a room, or its owner in a chat, can be told. `busy`: what runs on it, as a clause (“bob is
    deploying main to it”). `locked`: by whom. `noticed`: since when a cause without a natural moment is true, as
    `noticed` gives it; `gone` has its own.
    """

    id: str
    name: str
    template: str
    owner: str
    status: EnvironmentStatus
    created_at: datetime
    expires_at: datetime
    touched_at: datetime
    deployed_at: datetime
    extended_at: datetime | None = None
    failed_at: datetime | None = None
    reachable: bool = True
    busy: str | None = None
    locked: str | None = None
    protection: Protection | None = None
    hold: Hold | None = None
    gone: tuple[GoneBranch, ...] = ()
    warnings: tuple[Warned, ...] = ()
    noticed: Mapping[Cause, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """Everything that the reaper looks at. A template without a policy here is gone or could never be read.

    `environments` must be all that there are, because an owner's are counted; those that are ending are left out.
    """

    environments: tuple[Candidate, ...]
    policies: Mapping[str, Policy]


class ActionKind(StrEnum):
    """What is done with an environment, in the order in which a plan lists it."""

    REAP = "reap"
    WARN = "warn"
    KEEP = "keep"


@dataclass(frozen=True)
class Action:
    """What the reaper does with one environment, and why. KEEP: it is due, and is left alone.

    `environment`: its id. `at`: when it is or was due, which is what a warning is recorded with (`Warned.due_at`).
    `why`: the cause, as words (“expired 10m ago”). `kept`: of a KEEP, what keeps it. `step`: of a WARN, which one.
    `ends_at`: when it is reaped at the earliest, if nobody does anything; None when nobody can say.
    """

    kind: ActionKind
    environment: str
    name: str
    cause: Cause
    at: datetime
    why: str
    kept: str = ""
    step: timedelta | None = None
    ends_at: datetime | None = None

    @property
    def reason(self) -> str:
        """Why this is done: of a KEEP what keeps it, else the cause."""
        return self.kept or self.why
