"""What both databases must be good for: the migrations, and whatever people type."""

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ulid import ULID

from orchestrator.bootstrap import SystemClock
from orchestrator.db.connect import claimed, connect, migrate
from orchestrator.db.store import SqlStore
from orchestrator.db.tables import metadata
from orchestrator.domain.conversation import Audit, Outcome
from orchestrator.domain.errors import BadInput, Unavailable
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


@pytest.mark.parametrize("url", ["nonsense", "mysql://root:secret@db/x", "postgresql://db/x", "sqlite+aiosqlite:///x"])
def test_another_database_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadInput, match="postgresql\\+psycopg://USER") as refused:
        connect(url)
    assert refused.value.code == "database-url-invalid"
    assert "secret" not in refused.value.message


def test_a_database_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"x:\*\*\*@127\.0\.0\.1:1/x does not let Brinepool in") as away:
        connect("postgresql+psycopg://x:secret@127.0.0.1:1/x")
    assert "secret" not in away.value.message
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="does not let Brinepool in"), claimed(f"sqlite:///{tmp_path}/file/x.sqlite"):
        pass
    with pytest.raises(Unavailable, match="does not let Brinepool in"):
        connect(f"sqlite:///{tmp_path}/file/x.sqlite")
