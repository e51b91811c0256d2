"""What both databases must be good for: the migrations, and whatever people type."""

from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ulid import ULID

from orchestrator.bootstrap import SystemClock
from orchestrator.db.connect import connect, migrate
from orchestrator.db.store import SqlStore
from orchestrator.db.tables import metadata
from orchestrator.domain.conversation import Audit, Outcome
from tests.postgres import BOTH


def ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
    return kind != "table" or name in metadata.tables  # beside them are Alembic's own, and the durable engine's


@BOTH
def test_whatever_people_type_is_kept(database: dict[str, str], tmp_path: Path) -> None:
    engine, clock = connect(database.get("database_url", f"sqlite:///{tmp_path / 'empty.sqlite'}")), SystemClock()
    migrate(engine)
    store = SqlStore(engine, clock)
    for text in ("create\0 shop", "‮ \N{PILE OF POO}", "x" * 100_000):
        line = Audit(clock.now(), "chat:memory", Outcome.ANSWERED, "bob", text=text)
        with store.transaction() as ledger:
            ledger.chat.write_down(line)
            ledger.chat.put_on_console("bob", str(ULID()), "", {"title": text})
        with store.transaction() as ledger:
            (kept, *_) = ledger.chat.audits(None, 1)
            assert kept.text.replace("\N{REPLACEMENT CHARACTER}", "\0") == text
            assert ledger.chat.on_console("bob", 0, 10)[-1].reply == {"title": text}
    engine.dispose()


@BOTH
def test_the_migrations_make_the_tables_of_the_store(database: dict[str, str], tmp_path: Path) -> None:
    engine = connect(database.get("database_url", f"sqlite:///{tmp_path / 'empty.sqlite'}"))
    for _ in range(2):  # the second time there is nothing to do
        migrate(engine)
        with engine.connect() as connection:
            options = {"compare_type": True, "include_object": ours}
            assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
    engine.dispose()
