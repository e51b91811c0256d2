"""Which processes work on this database. The contract is `ports.ReplicaBook`'s."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .tables import replicas

_LOCK = 0x7265706C  # any number that nothing else in the database uses
_NOW = sa.text("timezone('utc', clock_timestamp())")  # the clock of the database, which all of them share


class SqlReplicaBook:
    """The replicas, in one transaction on PostgreSQL: on SQLite there is one process, and nothing of this is called."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def enter(self, replica: str, doors: bool) -> None:
        """The port's `enter`."""
        values = {"id": replica, "doors": doors, "started_at": _NOW, "seen_at": _NOW}
        self._session.execute(sa.insert(replicas).values(values))

    def beat(self, replica: str) -> bool:
        """The port's `beat`."""
        return self._count(sa.update(replicas).where(replicas.c.id == replica).values(seen_at=_NOW)) == 1

    def leave(self, replica: str) -> None:
        """The port's `leave`."""
        self._session.execute(sa.delete(replicas).where(replicas.c.id == replica))

    def alone(self) -> bool:
        """The port's `alone`."""
        return bool(self._session.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK))).scalar_one())

    def bury(self, silent_for: timedelta) -> list[str]:
        """The port's `bury`."""
        silent = sa.type_coerce(_NOW, sa.DateTime) - replicas.c.seen_at > silent_for
        return sorted(self._session.execute(sa.delete(replicas).where(silent).returning(replicas.c.id)).scalars())

    def living(self, doors: bool = False) -> list[str]:
        """The port's `living`."""
        query = sa.select(replicas.c.id).order_by(replicas.c.started_at, replicas.c.id)
        return list(self._session.execute(query.where(replicas.c.doors) if doors else query).scalars())

    def _count(self, statement: Any) -> int:
        return int(self._session.execute(statement).rowcount)  # type: ignore[attr-defined]
