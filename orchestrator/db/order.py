"""One transaction at a time writes what others wait for."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

_LOCK = 0x6272696E65  # any number that nothing else in the database uses


def one_writer(session: Session) -> None:
    """Call before the first write of environments, servers, operations or a numbered row: on PostgreSQL the others wait
    from here to the end of the transaction. SQLite has one writer at a time anyway.

    Numbers that readers go by (an event's `seq`) so ascend in the order of commits. And nobody waits for this lock with
    a changed row that its holder is about to change, too: each would wait for the other.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
