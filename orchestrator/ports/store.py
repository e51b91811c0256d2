"""Where everything is kept."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from orchestrator.domain.environment import Actor, Environment, Event, Kind, Operation, Server
from orchestrator.domain.failures import Failure
from orchestrator.domain.leaks import Sightings
from orchestrator.domain.lifecycle import EnvironmentStatus, OperationState, ServerStatus
from orchestrator.domain.reaping import Cause, GoneBranch, Warned

from .chat import Conversations

DATABASE_AWAY = "database-unreachable"  # the code of the Unavailable


class Superseded(Exception):
    """A guarded write found another status, or another operation in charge, than it expected.

    The work that meets this ends quietly: somebody else has taken over (a terminate, mostly).
    """


@dataclass(frozen=True)
class JobRun:
    """One run of a scheduled job: for the due moment `due_at`. `result`: what it did; None while it runs."""

    id: str
    job: str
    due_at: datetime
    started_at: datetime
    ended_at: datetime | None = None
    result: Mapping[str, Any] | None = None


class ReaperBook(Protocol):
    """What the reaper keeps, in the transaction of a ledger. Environments are named by id."""

    def alone(self) -> None:
        """Wait until nobody else plans; from here to the end of the transaction nobody does. To be called first."""

    def warnings(self) -> Mapping[str, Sequence[Warned]]:
        """The warnings that were given, by environment."""

    def add_warning(self, environment: str, warned: Warned, event: int) -> None:
        """A warning, which the event of that number tells."""

    def delivered(self, event: int, at: datetime) -> None:
        """The warning of that event has arrived somewhere; the first time counts."""

    def forget_environment(self, environment: str) -> None:
        """It has ended: nothing of it is kept here."""

    def noticed(self) -> Mapping[str, Mapping[Cause, datetime]]:
        """Since when causes are true that have no moment of their own."""

    def set_noticed(self, noticed: Mapping[str, Mapping[Cause, datetime]]) -> None:
        """The same from now on; all others are forgotten."""

    def gone(self) -> Mapping[str, Sequence[GoneBranch]]:
        """The branches that their remotes do not have any more."""

    def set_gone(self, environment: str, role: str, gone: GoneBranch | None) -> None:
        """What is known of the branch of a role."""

    def sightings(self) -> Sightings:
        """What was sighted at the last sweep, by kind and name."""

    def set_sightings(self, sighted: Sightings) -> None:
        """The same from now on; all others are forgotten."""

    def run(self, run: str) -> JobRun | None:
        """The run of that id."""

    def newest_run(self, job: str) -> JobRun | None:
        """The run with the latest due moment."""

    def run_before(self, run: JobRun) -> JobRun | None:
        """The run of the same job before that one."""

    def open_runs(self) -> list[JobRun]:
        """Runs that have not ended."""

    def add_run(self, run: JobRun) -> bool:
        """A new run. → False when there is one of that id."""

    def change_run(self, run: str, **changes: Any) -> None:
        """Change `ended_at` or `result`."""

    def forget(self, what: str, before: datetime, limit: int) -> int:
        """Remove the oldest rows of `events`, `audit` or `console` before that moment, at most so many. → how many."""

    def forget_runs(self, before: datetime, limit: int) -> int:
        """The same for ended runs; the newest of each job stays."""


class ReplicaBook(Protocol):
    """Which processes work on this database, in the transaction of a ledger; where there may be several, PostgreSQL.

    When they were seen is told by the clock of the database, and by no machine's own.
    """

    def enter(self, replica: str, doors: bool) -> None:
        """A new one. `doors`: it has front doors, HTTP and the chats."""

    def beat(self, replica: str) -> bool:
        """It is alive now. → False when it is not among them (any more)."""

    def leave(self, replica: str) -> None:
        """It is not among them any more."""

    def alone(self) -> bool:
        """→ whether nobody else buries now; then nobody does to the end of the transaction. To be called first."""

    def bury(self, silent_for: timedelta) -> list[str]:
        """Those that were not seen alive for so long are not among them any more. → them."""

    def living(self, doors: bool = False) -> list[str]:
        """All of them, or those with front doors, the oldest first."""


class Ledger(Protocol):
    """One database transaction over everything that is kept. Writes of a status are guarded and write their event.

    Environments are named by `id` in writes and by `name` in look-ups; servers by environment id and name.
    """

    @property
    def chat(self) -> Conversations:
        """The conversations, in the same transaction."""

    @property
    def reaper(self) -> ReaperBook:
        """What the reaper keeps, in the same transaction."""

    @property
    def replicas(self) -> ReplicaBook:
        """Which processes work on this database, in the same transaction."""

    def environments(self, ended: bool = False) -> list[Environment]:
        """All environments, newest first; with `ended` also terminated ones."""

    def environment(self, name: str) -> Environment | None:
        """The one of that name that has not ended, else the newest that has."""

    def environment_by_id(self, environment: str) -> Environment:
        """The environment of that id. KeyError when there is none."""

    def ended_since(self, moment: datetime) -> list[Environment]:
        """The environments that have ended since then, oldest first."""

    def users_of(self, environment: str) -> list[Environment]:
        """The environments that have not ended and use this one's servers."""

    def servers(self, environment: str | None = None, ended: bool = False) -> list[Server]:
        """The servers of an environment, or of all, by name; with `ended` also terminated ones."""

    def server(self, name: str) -> Server | None:
        """The server of that name that has not ended, else the newest that has."""

    def line(self, provider: str) -> list[Server]:
        """Who waits for a turn to be built at a provider, in order."""

    def building(self, provider: str) -> int:
        """How many of a provider's servers are being built."""

    def servers_of(self, provider: str) -> int:
        """How many servers of a provider have not ended."""

    def operation(self, operation: str) -> Operation | None:
        """The operation of that id."""

    def operations(self, active: bool = False, limit: int = 50) -> list[Operation]:
        """Operations, newest first; with `active` only those that have not ended."""

    def operation_of_key(self, person: str, key: str) -> Operation | None:
        """The operation that this person started under this Idempotency-Key."""

    def events(self, environment: str | None, operation: str | None, after: int, limit: int) -> list[Event]:
        """Events with `seq` above `after`, oldest first, of one environment (by id) or one operation, or all."""

    def event(self, seq: int) -> Event | None:
        """The event of that number."""

    def waiting(self, operation: str) -> Event | None:
        """The `operation.waiting` of an operation that has not been followed by an `operation.resumed`."""

    def newest_seq(self) -> int:
        """The number of the newest event; 0 when there is none."""

    def durations(self, template: str, kind: Kind, limit: int) -> list[timedelta]:
        """How long the newest operations of that kind took that succeeded on environments of that template."""

    def add_environment(self, environment: Environment) -> None:
        """A new row. Conflict("name-taken") when one of that name has not ended."""

    def add_server(self, server: Server) -> None:
        """A new row."""

    def add_operation(self, operation: Operation, key: str | None) -> None:
        """A new row, with its event."""

    def take_over(self, environment: str, operation: Operation, after: str) -> None:
        """Put `operation` in charge of the environment. Superseded unless the operation `after` is until now.

        Conflict is the caller's to decide, before.
        """

    def move_environment(
        self, environment: str, operation: str, new: EnvironmentStatus, **changes: Any
    ) -> EnvironmentStatus:
        """Move along an edge of the life cycle; other columns change with it. Returns the old status.

        Superseded when `operation` is not in charge any more, or has ended; IllegalTransition for a missing edge.
        """

    def move_server(
        self, environment: str, server: str, operation: str, new: ServerStatus, *, kind: str, **changes: Any
    ) -> None:
        """The same for a server; `kind` names the event (`server.booted`).

        One that comes to rest (ready, failed, terminated) is not being built any more.
        """

    def move_operation(
        self, operation: str, new: OperationState, failure: Failure | None = None, by: Actor | None = None
    ) -> None:
        """The same for an operation; Superseded when it has ended already. `by`: whoever did it, if somebody else.

        Of an operation that ends nobody waits in the line any more.
        """

    def change_environment(self, environment: str, actor: Actor, kind: str, **changes: Any) -> None:
        """Change columns other than the status, with an event."""

    def tell(self, environment: str, actor: Actor, kind: str, **data: Any) -> int:
        """An event of an environment that changes nothing. → its number."""

    def change_server(self, environment: str, server: str, operation: str, **changes: Any) -> None:
        """Change columns other than the status, without an event of its own.

        Superseded when `operation` is not in charge any more, or has ended.
        """

    def mark_server(self, environment: str, server: str, actor: Actor, kind: str, **changes: Any) -> None:
        """Change columns other than the status, with an event, where no operation is at work."""

    def note(self, operation: Operation, kind: str, server: str | None = None, **data: Any) -> None:
        """An event of an operation that changes nothing else, such as a finished Salt state."""

    def person_of(self, token_hash: str) -> str | None:
        """Whose token that is; None when unknown or revoked."""

    def ensure_token(self, token_hash: str, person: str, label: str) -> None:
        """The token of that hash belongs to `person`; older tokens of the same label stop working."""


class Store(Protocol):
    """Where everything is kept."""

    def transaction(self) -> AbstractContextManager[Ledger]:
        """A transaction: committed at the end of the block, rolled back on an exception.

        Raises Unavailable(DATABASE_AWAY) when the database does not answer (any more).
        """

    def ping(self) -> None:
        """Return when the database answers; raise Unavailable(DATABASE_AWAY) otherwise."""
