"""Opening the database: the engine, tuned for several threads and the durable engine, and the migrations."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import event


def connect(url: str) -> sa.Engine:
    """An engine on `url`; for SQLite with WAL, a patient busy timeout and immediate transactions."""
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_pre_ping=True, pool_size=20, max_overflow=40)
    # No limit: a thread in a transaction may need a second connection (the durable engine's own), and waiting for one
    # while it holds the only write lock there is would stop everybody. A connection to a file costs next to nothing.
    engine = sa.create_engine(url, pool_size=20, max_overflow=-1)
    event.listen(engine, "connect", _tune_sqlite)
    return engine


def _tune_sqlite(connection: Any, _record: Any) -> None:
    # WAL: readers never wait for the writer. IMMEDIATE: a transaction takes the write lock when it begins, so that two
    # of them queue (up to busy_timeout) instead of one failing in the middle when it first writes.
    connection.isolation_level = "IMMEDIATE"
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def migrate(engine: sa.Engine) -> None:
    """Bring the tables to the newest version."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
