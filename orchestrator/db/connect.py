"""Opening the database: the engine, tuned for several threads and the durable engine, and the migrations.

SQLite is for one process, which is made sure of here; PostgreSQL for several, which start one after the other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from filelock import FileLock, Timeout
from psycopg.abc import Buffer
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import event

from orchestrator.domain.errors import BadInput, Unavailable

IDLE_S = 15  # so long may a transaction do nothing on PostgreSQL, before it is ended there
_SQLITE, _POSTGRESQL = ("sqlite", "sqlite+pysqlite"), "postgresql+psycopg"
_STARTING = 0x7374617274  # any number that nothing else in the database uses


def is_shared(url: str) -> bool:
    """Whether several processes may work on this database. BadInput for a URL of anything else than the two."""
    try:
        driver = sa.make_url(url).drivername
    except sa.exc.ArgumentError:
        driver = ""
    if driver not in (*_SQLITE, _POSTGRESQL):
        raise BadInput(
            "database-url-invalid",
            "BRINE_DATABASE_URL is no database that Brinepool can use: write it like "
            f"{_POSTGRESQL}://USER:PASSWORD@HOST/NAME or sqlite:////PATH/brinepool.sqlite.",
        )
    return driver == _POSTGRESQL


@contextmanager
def claimed(url: str) -> Iterator[None]:
    """Nobody else works on this database to the end of the block, if it is for one process only.

    Raises Unavailable when somebody else does: a second one would resume what the first one is doing.
    """
    file = None if is_shared(url) else sa.make_url(url).database
    if not file or file == ":memory:":
        yield
        return
    lock = FileLock(f"{file}.lock", mode=0o600, timeout=0)  # it ends with the process, however that ends
    try:
        lock.acquire()
    except Timeout:
        raise Unavailable(
            "database-in-use",
            f"Another Brinepool works on {file}, and SQLite is for one process: end it, or set BRINE_DATABASE_URL to a "
            "PostgreSQL, on which several may work.",
        ) from None
    except OSError as error:
        raise _unreachable(file, error.strerror or str(error)) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def one_at_a_time(engine: sa.Engine) -> Iterator[None]:
    """Processes that start at the same moment come to this block one after the other."""
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = '10min'"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_STARTING)))
        yield


def connect(url: str) -> sa.Engine:
    """An engine on `url`; for SQLite with WAL, a patient busy timeout and immediate transactions.

    Raises BadInput for a URL of another database, and Unavailable when it does not let us in.
    """
    if is_shared(url):
        engine = sa.create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=10)
        event.listen(engine, "connect", _tune_postgresql)
    else:
        # No limit: a thread in a transaction may need a second connection (the durable engine's own), and waiting for
        # one while it holds the only write lock there is would stop everybody. One to a file costs next to nothing.
        engine = sa.create_engine(url, pool_size=20, max_overflow=-1)
        event.listen(engine, "connect", _tune_sqlite)
    try:
        engine.connect().close()
    except sa.exc.DBAPIError as error:
        engine.dispose()
        raise _unreachable(engine.url.render_as_string(), str(error.orig).partition("\n")[0]) from error
    return engine


def _unreachable(where: str, why: str) -> Unavailable:
    sentence = f"The database {where} does not let Brinepool in ({why}); look whether it runs and the URL is right."
    return Unavailable("database-unreachable", sentence)


def _tune_postgresql(connection: Any, _record: Any) -> None:
    # A process that is stopped, or whose machine has vanished, in the middle of a transaction must not keep the others
    # waiting for its locks. No transaction of ours waits for anything but the database.
    connection.autocommit = True
    connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_S}s'")
    connection.autocommit = False
    connection.adapters.register_dumper(str, _WithoutNul)


class _WithoutNul(StrDumperUnknown):
    """Text as PostgreSQL takes it, which has no NUL: people can type one, and what they typed is to be kept."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}"))


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
