"""What is kept of environments, servers, operations and events: plain frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from .failures import Failure
from .keeping import Hold, Protection
from .lifecycle import EnvironmentStatus, OperationState, ServerStatus, Target


class Kind(StrEnum):
    """What an operation does."""

    CREATE = "create"
    DEPLOY = "deploy"
    RETRY = "retry"
    TERMINATE = "terminate"
    TERMINATE_SERVER = "terminate-server"


@dataclass(frozen=True)
class Actor:
    """Who is asking, and through which front door (`cli`, `api`, `chat:slack`, `scheduler`).

    `room`: where in a chat, as `service:room id`; `rooms`: the names under which a template may allow that room, None
    where no room is meant (the command line, HTTP), which no template restricts.
    """

    person: str
    door: str
    room: str | None = None
    rooms: frozenset[str] | None = None


@dataclass(frozen=True)
class Server:
    """One server. `name` is its minion id; `jid` the job of its highstate, None until an operation has chosen one.

    `degraded`: what is wrong with it although it was ready, `degraded_since`: since when that is known.
    `provider`: the cloud that its profile is of. `place`: where it stands in the line of those to be built, None unless
    it does; `building`: it is being built.
    """

    name: str
    environment: str
    role: str
    number: int
    app: str
    profile: str
    branch: str
    status: ServerStatus
    target: Target
    created_at: datetime
    commit: str | None = None
    address: str | None = None
    port: int | None = None
    jid: str | None = None
    failure: Failure | None = None
    ready_at: datetime | None = None
    degraded: str | None = None
    degraded_since: datetime | None = None
    provider: str = ""
    place: str | None = None
    building: bool = False


@dataclass(frozen=True)
class Environment:
    """One environment. `id` never repeats, while `name` may be used again after the environment has ended.

    `uses`: the id of the environment whose servers stand in for roles that this one does not have itself.
    `degraded`: why it is not whole although it is ready, in a sentence. `room`: where it was asked for in a chat.

    `touched_at`: when a person created it, deployed to it, retried or extended it last; `deployed_at`, `extended_at`:
    the last deploy (or its creation) and extension. `failed_at`: since when it is failed, None unless it is.
    """

    id: str
    name: str
    template: str
    owner: str
    status: EnvironmentStatus
    target: Target
    created_at: datetime
    expires_at: datetime
    operation: str
    uses: str | None = None
    degraded: str | None = None
    failure: Failure | None = None
    ended_at: datetime | None = None
    room: str | None = None
    touched_at: datetime | None = None
    deployed_at: datetime | None = None
    extended_at: datetime | None = None
    failed_at: datetime | None = None
    hold: Hold | None = None
    protection: Protection | None = None


@dataclass(frozen=True)
class Operation:
    """One durable piece of work. `request` is what was asked, as plain data."""

    id: str
    kind: Kind
    environment: str
    actor: Actor
    state: OperationState
    requested_at: datetime
    request: Mapping[str, Any] = field(default_factory=dict)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened; `kind` is in the past tense (`server.booted`). `seq` ascends over everything."""

    seq: int
    at: datetime
    environment: str
    server: str | None
    operation: str | None
    kind: str
    actor: str
    door: str
    data: Mapping[str, Any]
