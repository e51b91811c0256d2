"""What commands take and give: plain data that every front door can render, and that documents the HTTP API."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from orchestrator.domain import environment as domain
from orchestrator.domain.conversation import Outcome
from orchestrator.domain.failures import Failure
from orchestrator.domain.lifecycle import EnvironmentStatus, OperationState, ServerStatus
from orchestrator.domain.reaping import ActionKind, Cause

from .leak_views import LeakView

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


_LAST_YEAR = 9000  # so that nothing overflows that is counted from there


def _moment(value: datetime) -> datetime:
    """In UTC, and one that can be reckoned with."""
    try:
        moment = value.astimezone(UTC)
    except OverflowError:
        moment = datetime.max.replace(tzinfo=UTC)
    if moment.year >= _LAST_YEAR:
        raise PydanticCustomError("moment-too-far", "That is further away than the calendar goes")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_moment)]


def _either(value: datetime | None, span: object, name: str) -> datetime | None:
    """How long or until when, not both."""
    if value is not None and span is not None:
        raise PydanticCustomError("both", "Give it or “{name}”, not both", {"name": name})
    return value


class _Request(BaseModel):
    """Requests are closed: a misspelt field is an error, never silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CreateEnvironment(_Request):
    """Create an environment from a template.

    `branch` goes on every role whose repository has it, the others get their default; `branches` names a role's (or
    app's) branch and wins over `branch`. `counts`: servers per role. `ttl`: how long it lives, such as `2d`.
    `roles`: only these roles (a single server is an environment with one role). `use`: the environment whose servers
    stand in for the roles that are needed and not made here.
    """

    template: Text
    name: Text | None = None
    branch: Text | None = None
    branches: dict[Text, Text] = {}
    counts: dict[Text, int] = {}
    ttl: Text | None = None
    roles: tuple[Text, ...] | None = None
    use: Text | None = None


class CreateServer(_Request):
    """Create one server, fully configured: an environment with one role and one server."""

    template: Text
    role: Text
    name: Text | None = None
    branch: Text | None = None
    ttl: Text | None = None
    use: Text | None = None


class Deploy(_Request):
    """Deploy `what` to an environment or to a server: a branch, or `app/branch` (or `role/branch`)."""

    what: Text


class Extend(_Request):
    """Let an environment live longer by a duration such as `1d`, or until a moment; left out: the template's step."""

    by: Text | None = None
    until: Moment | None = None

    @field_validator("until")
    @classmethod
    def _or_by(cls, value: datetime | None, given: ValidationInfo) -> datetime | None:
        return _either(value, given.data.get("by"), "by")


class HoldEnvironment(_Request):
    """Keep an environment for debugging `for` so long; left out: as long as its template allows."""

    for_: Text | None = Field(None, alias="for")
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ProtectEnvironment(_Request):
    """Keep an environment from the reaper `for` so long or `until` a moment; left out: without end."""

    for_: Text | None = Field(None, alias="for")
    until: Moment | None = None
    why: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @field_validator("until")
    @classmethod
    def _or_for(cls, value: datetime | None, given: ValidationInfo) -> datetime | None:
        return _either(value, given.data.get("for_"), "for")


class Terminate(_Request):
    """Terminate. `confirmed`: also when others need it."""

    confirmed: bool = False


class FailureView(BaseModel):
    """A root cause, told once. `link`: where more is written about it, or ""."""

    code: str
    title: str
    explanation: str = ""
    action: str = ""
    audience: Literal["developer", "ops"] = "developer"
    servers: list[str] = []
    evidence: str = ""
    link: str = ""

    @classmethod
    def of(cls, failure: Failure | None) -> "FailureView | None":
        """The view of a failure, or None."""
        return cls.model_validate(failure.to_data()) if failure else None


class ServerView(BaseModel):
    """A server as people see it. `age_s`: seconds since it was asked for. `jid`: Salt's job that configured it last."""

    name: str
    environment: str
    template: str
    role: str
    app: str
    branch: str
    commit: str | None
    address: str | None
    url: str | None
    status: ServerStatus
    owner: str
    created_at: datetime
    ready_at: datetime | None
    age_s: int
    failure: FailureView | None
    jid: str | None = None
    degraded: str | None = None
    degraded_since: datetime | None = None


class EnvironmentView(BaseModel):
    """An environment as people see it. `branches`: what each role was asked to run.

    `degraded`: what is not whole there, although it is ready, `degraded_since`: the first of its servers, if any is.
    `held_by`, `protected_by`: who keeps it from the reaper now, until when (None: without end). `waiting_for`: what its
    operation waits for, and since when (“salt-api, which does not answer, since 12s”); only where one is shown.
    """

    name: str
    template: str
    owner: str
    status: EnvironmentStatus
    degraded: str | None
    degraded_since: datetime | None = None
    uses: str | None
    branches: dict[str, str]
    servers_total: int
    servers_ready: int
    created_at: datetime
    expires_at: datetime
    age_s: int
    expires_in_s: int
    operation: str
    failure: FailureView | None
    held_by: str | None = None
    held_until: datetime | None = None
    protected_by: str | None = None
    protected_until: datetime | None = None
    waiting_for: str | None = None
    servers: list[ServerView] = Field([], description="Only where one environment is shown.")


class OperationView(BaseModel):
    """A durable piece of work. `elapsed_s`: from the request to its end, or until now."""

    id: str
    kind: domain.Kind
    environment: str
    actor: str
    door: str
    state: OperationState
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    elapsed_s: float
    request: dict[str, Any]
    failure: FailureView | None


class Accepted(BaseModel):
    """What was started. `notes`: sentences the person should read, such as which roles got which branch."""

    operation: OperationView
    environment: EnvironmentView
    notes: list[str] = []


class ProgressView(BaseModel):
    """One step of progress. `phase`: requested, booting, configuring, ready, failed, terminating, terminated for a
    server; the operation's state where `server` is null, or waiting, then resumed. `state`: the Salt state that just
    ended, the `n`th of `of`; with waiting, what for and since when.
    `elapsed_s`: seconds since the operation was asked for.
    """

    seq: int
    at: datetime
    server: str | None
    phase: str
    state: str | None = None
    n: int | None = None
    of: int | None = None
    elapsed_s: float


class EventView(BaseModel):
    """Something that happened, as it was written down."""

    seq: int
    at: datetime
    environment: str
    server: str | None
    operation: str | None
    kind: str
    actor: str
    door: str
    data: dict[str, Any]


class RoleView(BaseModel):
    """A role of a template."""

    role: str
    app: str
    repository: str
    branch: str
    profile: str
    count: dict[str, int]
    needs: dict[str, str]


class TemplateView(BaseModel):
    """A template as people see it. Durations are written as people write them (`1d`)."""

    name: str
    description: str
    ttl: str
    ttl_max: str
    rooms: list[str] | None
    roles: list[RoleView]


class TemplateProblemView(BaseModel):
    """One thing that is wrong in a curated file; line and column count from 1."""

    file: str
    line: int
    column: int
    field: str
    message: str


class LogView(BaseModel):
    """The end of an app's own log, masked on its server."""

    server: str
    lines: list[str]


class SaltJobView(BaseModel):
    """All that Salt's job cache has of a job, masked. `returns`: by minion, as Salt gives it: a dict of states, a list
    of render errors, a string; null for a minion that has not returned (yet). `retcodes`: by minion, as Salt counts.
    `function` and `arguments` are known of runners only.
    """

    jid: str
    function: str = ""
    arguments: list[Any] = []
    returns: dict[str, Any]
    retcodes: dict[str, int | None]


class AuditView(BaseModel):
    """One line of the audit: who said what, through which door, where, and what became of it.

    `account`: `service:user`, in a chat. `code`, `reason`: why it was refused or ignored.
    """

    seq: int
    at: datetime
    person: str
    account: str
    door: str
    room: str
    text: str
    outcome: Outcome
    code: str
    reason: str
    operation: str | None


class ActionView(BaseModel):
    """What the reaper does with an environment: `reap`, `warn`, or `keep` although it is due. `at`: when it is due."""

    kind: ActionKind
    environment: str
    cause: Cause
    at: datetime
    reason: str
    sentence: str


class Plan(BaseModel):
    """What a run of the reaper would do at that moment."""

    at: datetime
    actions: list[ActionView]


class RunView(BaseModel):
    """One run of a scheduled job. `reaped`, `warned`, `kept`: how many environments. `result`: in words.

    `took_s`: null while it runs. `failure`: why it could not do its work.
    """

    id: str
    job: str
    due_at: datetime
    started_at: datetime
    ended_at: datetime | None
    reaped: int
    warned: int
    kept: int
    took_s: float | None
    result: str
    failure: str | None = None
    actions: list[ActionView] = Field([], description="What the reaper did; only where one run is shown.")
    leaks: list[LeakView] = Field([], description="What a sweep saw and did; only where one run is shown.")


class JobView(BaseModel):
    """A scheduled job. `when`: in words."""

    job: str
    when: str
    next_at: datetime
    last: RunView | None
