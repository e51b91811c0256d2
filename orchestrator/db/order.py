"""Numbers that readers go by must ascend in the order of commits."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

_LOCK = 0x6272696E65  # any number that nothing else in the database uses


def in_order_of_commits(session: Session) -> None:
    """Call before a numbered row is inserted: on PostgreSQL one transaction at a time gives numbers, until it ends.

    SQLite has one writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
