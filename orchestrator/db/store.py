"""The store: SQLAlchemy behind the `Store` and `Ledger` ports."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from orchestrator.domain.environment import Actor, Environment, Event, Kind, Operation, Server
from orchestrator.domain.errors import Conflict, Unavailable
from orchestrator.domain.failures import Failure
from orchestrator.domain.lifecycle import EnvironmentStatus, OperationState, ServerStatus, check
from orchestrator.ports import DATABASE_AWAY, Clock, Superseded

from . import rows
from .conversations import SqlConversations
from .order import one_writer
from .reaper import SqlReaperBook
from .replicas import SqlReplicaBook
from .tables import environments, events, operations, servers, tokens

_EVENTS = sa.select(events, environments.c.name.label("environment_name")).join(
    environments, environments.c.id == events.c.environment
)


_AT_REST = {"place": None, "building": False}
_TURN_ENDS: dict[ServerStatus, dict[str, Any]] = {
    ServerStatus.READY: _AT_REST, ServerStatus.FAILED: _AT_REST, ServerStatus.TERMINATED: _AT_REST,
    ServerStatus.TERMINATING: {"place": None},  # the cloud may still be at work on it
}  # fmt: skip


class SqlLedger:
    """One transaction. The contract is `ports.Ledger`'s."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self.chat = SqlConversations(session, clock)
        self.reaper = SqlReaperBook(session)
        self.replicas = SqlReplicaBook(session)

    # Look-ups

    def environments(self, ended: bool = False) -> list[Environment]:
        query = sa.select(environments).order_by(environments.c.id.desc())
        if not ended:
            query = query.where(environments.c.status != EnvironmentStatus.TERMINATED)
        return [rows.environment(row) for row in self._session.execute(query)]

    def environment(self, name: str) -> Environment | None:
        live_first = sa.case((environments.c.status == EnvironmentStatus.TERMINATED, 1), else_=0)
        query = sa.select(environments).where(environments.c.name == name)
        row = self._session.execute(query.order_by(live_first, environments.c.id.desc()).limit(1)).first()
        return rows.environment(row) if row else None

    def environment_by_id(self, environment: str) -> Environment:
        row = self._session.execute(sa.select(environments).where(environments.c.id == environment)).first()
        if row is None:
            raise KeyError(environment)
        return rows.environment(row)

    def ended_since(self, moment: datetime) -> list[Environment]:
        since = sa.select(environments).where(environments.c.ended_at > moment)
        query = since.order_by(environments.c.ended_at, environments.c.name)
        return [rows.environment(row) for row in self._session.execute(query)]

    def users_of(self, environment: str) -> list[Environment]:
        return [found for found in self.environments() if found.uses == environment]

    def servers(self, environment: str | None = None, ended: bool = False) -> list[Server]:
        query = sa.select(servers).order_by(servers.c.environment, servers.c.role, servers.c.number)
        if environment is not None:
            query = query.where(servers.c.environment == environment)
        if not ended:
            query = query.where(servers.c.status != ServerStatus.TERMINATED)
        return [rows.server(row) for row in self._session.execute(query)]

    def server(self, name: str) -> Server | None:
        live_first = sa.case((servers.c.status == ServerStatus.TERMINATED, 1), else_=0)
        query = sa.select(servers).where(servers.c.name == name)
        row = self._session.execute(query.order_by(live_first, servers.c.environment.desc()).limit(1)).first()
        return rows.server(row) if row else None

    def line(self, provider: str) -> list[Server]:
        waits = (servers.c.provider == provider) & servers.c.place.is_not(None) & servers.c.building.is_(False)
        return [rows.server(row) for row in self._session.execute(sa.select(servers).where(waits).order_by("place"))]

    def building(self, provider: str) -> int:
        return self._count((servers.c.provider == provider) & servers.c.building.is_(True))

    def servers_of(self, provider: str) -> int:
        return self._count((servers.c.provider == provider) & (servers.c.status != ServerStatus.TERMINATED))

    def _count(self, which: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(servers).where(which)
        return int(self._session.execute(query).scalar_one())

    def operation(self, operation: str) -> Operation | None:
        row = self._session.execute(sa.select(operations).where(operations.c.id == operation)).first()
        return rows.operation(row) if row else None

    def operations(self, active: bool = False, limit: int = 50) -> list[Operation]:
        query = sa.select(operations).order_by(operations.c.id.desc()).limit(limit)
        if active:
            query = query.where(operations.c.state.in_([OperationState.PENDING, OperationState.RUNNING]))
        return [rows.operation(row) for row in self._session.execute(query)]

    def operation_of_key(self, person: str, key: str) -> Operation | None:
        query = sa.select(operations).where(operations.c.actor == person, operations.c.idempotency_key == key)
        row = self._session.execute(query).first()
        return rows.operation(row) if row else None

    def events(self, environment: str | None, operation: str | None, after: int, limit: int) -> list[Event]:
        query = _EVENTS.where(events.c.seq > after).order_by(events.c.seq).limit(limit)
        if environment is not None:
            query = query.where(events.c.environment == environment)
        if operation is not None:
            query = query.where(events.c.operation == operation)
        return [rows.event(row) for row in self._session.execute(query)]

    def event(self, seq: int) -> Event | None:
        row = self._session.execute(_EVENTS.where(events.c.seq == seq)).first()
        return rows.event(row) if row else None

    def waiting(self, operation: str) -> Event | None:
        query = _EVENTS.where(events.c.operation == operation)
        query = query.where(events.c.kind.in_(["operation.waiting", "operation.resumed"]))
        row = self._session.execute(query.order_by(events.c.seq.desc()).limit(1)).first()
        return rows.event(row) if row and row.kind == "operation.waiting" else None

    def newest_seq(self) -> int:
        return self._session.execute(sa.select(sa.func.max(events.c.seq))).scalar_one() or 0

    def durations(self, template: str, kind: Kind, limit: int) -> list[timedelta]:
        query = (
            sa.select(operations.c.requested_at, operations.c.ended_at)
            .join(environments, environments.c.id == operations.c.environment)
            .where(environments.c.template == template, operations.c.kind == kind)
            .where(operations.c.state == OperationState.SUCCEEDED)
            .order_by(operations.c.id.desc())
            .limit(limit)
        )
        return [row.ended_at - row.requested_at for row in self._session.execute(query)]

    # New rows

    def add_environment(self, environment: Environment) -> None:
        one_writer(self._session)
        taken = self.environment(environment.name)
        if taken and taken.status is not EnvironmentStatus.TERMINATED:
            raise Conflict(
                "name-taken",
                f"There is an environment “{environment.name}” already (it is {taken.owner}'s); choose another name.",
            )
        try:
            self._session.execute(sa.insert(environments).values(rows.environment_values(environment)))
        except sa.exc.IntegrityError as error:  # somebody took the name since we looked
            raise Superseded(f"the name {environment.name} was taken in between") from error

    def add_server(self, server: Server) -> None:
        one_writer(self._session)
        self._session.execute(sa.insert(servers).values(rows.server_values(server)))

    def add_operation(self, operation: Operation, key: str | None) -> None:
        one_writer(self._session)
        values = rows.operation_values(operation) | {"idempotency_key": key}
        try:
            self._session.execute(sa.insert(operations).values(values))
        except sa.exc.IntegrityError as error:  # the same request, at the same moment
            raise Superseded(f"the key {key} was used in between") from error
        self.note(operation, "operation.requested", what=operation.kind, request=dict(operation.request))

    # Guarded writes

    def take_over(self, environment: str, operation: Operation, after: str) -> None:
        one_writer(self._session)
        values: dict[str, Any] = {"operation": operation.id}
        if operation.kind in (Kind.DEPLOY, Kind.RETRY):
            values["touched_at"] = operation.requested_at
        if operation.kind is Kind.DEPLOY:
            values["deployed_at"] = operation.requested_at
        mine = (environments.c.id == environment) & (environments.c.operation == after)
        self._superseded_unless(self._session.execute(sa.update(environments).where(mine).values(values)))

    def move_environment(
        self, environment: str, operation: str, new: EnvironmentStatus, **changes: Any
    ) -> EnvironmentStatus:
        one_writer(self._session)
        old = self.environment_by_id(environment).status
        self._superseded_unless_in_charge(environment, operation)
        check(old, new)
        failed_at = self._clock.now() if new is EnvironmentStatus.FAILED else None
        done = self._session.execute(
            sa.update(environments)
            .where(environments.c.id == environment, environments.c.status == old)
            .where(environments.c.operation == operation)
            .values(status=new, failed_at=failed_at, **rows.plain(changes))
        )
        self._superseded_unless(done)
        self._event(self._operation(operation), f"environment.{new}", None, {"was": old} | rows.plain(changes))
        return old

    def move_server(
        self, environment: str, server: str, operation: str, new: ServerStatus, *, kind: str, **changes: Any
    ) -> None:
        one_writer(self._session)
        mine = (servers.c.environment == environment) & (servers.c.name == server)
        # In this order: whoever takes over in between is noticed as one in charge, and not as a missing edge.
        old = ServerStatus(self._session.execute(sa.select(servers.c.status).where(mine)).scalar_one())
        self._superseded_unless_in_charge(environment, operation)
        check(old, new)
        values = {"status": new, **rows.plain(changes), **_TURN_ENDS.get(new, {})}
        done = self._session.execute(sa.update(servers).where(mine, servers.c.status == old).values(values))
        self._superseded_unless(done)
        self._event(self._operation(operation), kind, server, {"was": old, "phase": new} | rows.plain(changes))

    def move_operation(
        self, operation: str, new: OperationState, failure: Failure | None = None, by: Actor | None = None
    ) -> None:
        one_writer(self._session)
        known = self._operation(operation)
        if known.state.ended:
            raise Superseded(f"operation {operation} has {known.state} already")
        check(known.state, new)
        stamp = {"ended_at" if new.ended else "started_at": self._clock.now()}
        values: dict[str, Any] = {"state": new, "failure": failure.to_data() if failure else None, **stamp}
        done = self._session.execute(
            sa.update(operations).where(operations.c.id == operation, operations.c.state == known.state).values(values)
        )
        self._superseded_unless(done)
        if new.ended:
            self._leave_the_line(operation)
        told = {"failure": values["failure"]} if failure else {}
        acting = replace(known, actor=by) if by else known
        self._event(acting, f"operation.{'started' if new is OperationState.RUNNING else new}", None, told)

    # Other changes

    def change_environment(self, environment: str, actor: Actor, kind: str, **changes: Any) -> None:
        one_writer(self._session)
        self._session.execute(
            sa.update(environments).where(environments.c.id == environment).values(rows.plain(changes))
        )
        self._insert_event(environment, None, None, kind, actor, rows.jsonable(changes))

    def tell(self, environment: str, actor: Actor, kind: str, **data: Any) -> int:
        return self._insert_event(environment, None, None, kind, actor, rows.jsonable(data))

    def change_server(self, environment: str, server: str, operation: str, **changes: Any) -> None:
        one_writer(self._session)
        self._superseded_unless_in_charge(environment, operation)
        self._change_server(environment, server, changes)

    def mark_server(self, environment: str, server: str, actor: Actor, kind: str, **changes: Any) -> None:
        one_writer(self._session)
        self._change_server(environment, server, changes)
        self._insert_event(environment, server, None, kind, actor, rows.jsonable(changes))

    def note(self, operation: Operation, kind: str, server: str | None = None, **data: Any) -> None:
        self._event(operation, kind, server, data)

    # Tokens

    def person_of(self, token_hash: str) -> str | None:
        query = sa.select(tokens.c.person).where(tokens.c.hash == token_hash, tokens.c.revoked_at.is_(None))
        return self._session.execute(query).scalar_one_or_none()

    def ensure_token(self, token_hash: str, person: str, label: str) -> None:
        now = self._clock.now()
        older = (tokens.c.label == label) & (tokens.c.hash != token_hash) & tokens.c.revoked_at.is_(None)
        self._session.execute(sa.update(tokens).where(older).values(revoked_at=now))
        if self.person_of(token_hash) is None:
            row = {"hash": token_hash, "person": person, "label": label, "created_at": now}
            self._session.execute(sa.insert(tokens).values(row))

    # Helpers

    def _leave_the_line(self, operation: str) -> None:
        """What is at work keeps its turn until it comes to rest."""
        mine = servers.c.place.startswith(f"{operation}/")
        at_work = [ServerStatus.BOOTING, ServerStatus.CONFIGURING, ServerStatus.TERMINATING]
        values = {"place": None, "building": servers.c.building & servers.c.status.in_(at_work)}
        self._session.execute(sa.update(servers).where(mine).values(values))

    def _operation(self, operation: str) -> Operation:
        found = self.operation(operation)
        if found is None:
            raise KeyError(operation)
        return found

    def _change_server(self, environment: str, server: str, changes: dict[str, Any]) -> None:
        self._session.execute(
            sa.update(servers)
            .where(servers.c.environment == environment, servers.c.name == server)
            .values(rows.plain(changes))
        )

    def _superseded_unless_in_charge(self, environment: str, operation: str) -> None:
        running = operations.c.state.in_([OperationState.PENDING, OperationState.RUNNING])
        query = sa.select(environments.c.id).join(operations, operations.c.id == environments.c.operation)
        query = query.where(environments.c.id == environment, operations.c.id == operation, running)
        if self._session.execute(query).first() is None:
            raise Superseded(f"operation {operation} is not in charge of environment {environment} any more")

    @staticmethod
    def _superseded_unless(done: Any) -> None:
        if done.rowcount != 1:
            raise Superseded("the row changed in between")

    def _event(self, operation: Operation, kind: str, server: str | None, data: dict[str, Any]) -> None:
        self._insert_event(operation.environment, server, operation.id, kind, operation.actor, rows.jsonable(data))

    def _insert_event(
        self, environment: str, server: str | None, operation: str | None, kind: str, actor: Actor, data: Any
    ) -> int:
        one_writer(self._session)
        values = {"at": self._clock.now(), "environment": environment, "server": server, "operation": operation}
        values |= {"kind": kind, "actor": actor.person, "door": actor.door, "data": data}
        inserted = self._session.execute(sa.insert(events).values(values))
        return int(inserted.inserted_primary_key[0])  # type: ignore[attr-defined]


class SqlStore:
    """The contract is `ports.Store`'s. `on(session)` gives a ledger inside somebody else's transaction."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self.engine = engine
        self._clock = clock
        self._sessions = sessionmaker(engine)

    def on(self, session: Session) -> SqlLedger:
        """A ledger that writes in `session`, whose owner commits."""
        return SqlLedger(session, self._clock)

    @contextmanager
    def transaction(self) -> Iterator[SqlLedger]:
        """The port's `transaction`."""
        try:
            with self._sessions.begin() as session:
                yield self.on(session)
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            if _is_away(error):
                raise _unreachable(error) from error
            raise

    def ping(self) -> None:
        """The port's `ping`."""
        try:
            with self.engine.connect() as connection:
                connection.execute(sa.text("select 1"))
        except sa.exc.SQLAlchemyError as error:
            raise _unreachable(error) from error


def _is_away(error: Exception) -> bool:
    """Whether PostgreSQL cannot be reached, has ended our connection, or has none for us. SQLite never is away."""
    if not isinstance(error, sa.exc.DBAPIError):
        return True
    if not type(error.orig).__module__.startswith("psycopg"):
        return False
    state = getattr(error.orig, "sqlstate", None)
    lost = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) and state is None
    return lost or error.connection_invalidated or str(state)[:2] in ("08", "53", "57") or state == "25P03"


def _unreachable(error: Exception) -> Unavailable:
    return Unavailable(DATABASE_AWAY, "Brinepool's database does not answer; this is for ops.", detail=str(error))
