"""Several processes on one database, as far as it can be seen within one; tests/integration/test_replicas.py has the
real ones."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from dbos import DBOS

from orchestrator.bootstrap import SystemClock
from orchestrator.chat.replies import Reply
from orchestrator.cli import main
from orchestrator.commands import World, environments, operations
from orchestrator.db.connect import claimed, connect, migrate, one_at_a_time
from orchestrator.db.order import one_writer
from orchestrator.db.store import SqlStore
from orchestrator.domain.errors import Unavailable
from orchestrator.engine import replicas
from orchestrator.engine.replicas import Pulse, Replica, take_over
from orchestrator.engine.runtime import current
from orchestrator.ports import DATABASE_AWAY
from orchestrator.saltapi.suspense import Patience
from tests import postgres, programs, records
from tests.contract.legs import SHOP
from tests.fakes.chat import MemoryChat
from tests.fakes.salt import Durations, wait_until
from tests.fakes.saltapi import FakeSaltApi
from tests.postgres import Postgres
from tests.programs import ALICE, ended, shop
from tests.unit.test_chat_desk import ACCESS

SECOND = timedelta(seconds=1)


@pytest.fixture
def store(postgresql: Postgres) -> Iterator[SqlStore]:
    """An empty database with our tables."""
    engine = connect(postgresql.database())
    migrate(engine)
    yield SqlStore(engine, SystemClock())
    engine.dispose()


# Who is among them


def age(store: SqlStore, replica: str, seconds: float) -> None:
    """It was last seen so long ago."""
    with store.engine.begin() as connection:
        statement = "UPDATE replicas SET seen_at = seen_at - make_interval(secs => :s) WHERE id = :id"
        connection.execute(sa.text(statement), {"s": seconds, "id": replica})


def test_who_is_silent_for_too_long_is_buried_and_hears_of_it(store: SqlStore) -> None:
    with store.transaction() as ledger:
        for name in ("one", "two", "three"):
            ledger.replicas.enter(name, doors=name != "two")
    age(store, "one", 20)
    with store.transaction() as ledger:
        assert ledger.replicas.living() == ["one", "two", "three"]
        assert ledger.replicas.living(doors=True) == ["one", "three"]
        assert ledger.replicas.beat("two")
        assert ledger.replicas.bury(10 * SECOND) == ["one"]
        assert ledger.replicas.bury(10 * SECOND) == []
        assert not ledger.replicas.beat("one")
        ledger.replicas.leave("two")
        assert ledger.replicas.living() == ["three"]


def test_one_buries_at_a_time(store: SqlStore) -> None:
    with store.transaction() as first, store.transaction() as second:
        assert first.replicas.alone()
        assert not second.replicas.alone()
    with store.transaction() as third:
        assert third.replicas.alone()


def test_the_machines_own_clock_does_not_count(store: SqlStore) -> None:
    with store.engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL timezone = 'Pacific/Kiritimati'"))  # 14 hours ahead
        store.on(_Session(connection)).replicas.enter("far away", doors=False)  # type: ignore[arg-type]
    with store.transaction() as ledger:
        assert ledger.replicas.bury(10 * SECOND) == []


class _Session:
    def __init__(self, connection: sa.Connection) -> None:
        self.execute = connection.execute


@postgres.ONLY
def test_the_first_one_with_doors_is_first_and_one_that_comes_back_is_last(store: SqlStore, world: World) -> None:
    worker, one, two = (Replica(store, name, doors=name != "worker") for name in ("worker", "one", "two"))
    for each in (worker, one, two):
        each.enter()
        each.turn()
    assert [each.is_first() for each in (worker, one, two)] == [False, True, False]
    with store.transaction() as ledger:
        ledger.replicas.leave("one")  # it was thought dead
    current().chosen.add("20261125103000000000")
    two.turn()
    one.turn()
    assert [each.is_first() for each in (worker, one, two)] == [False, False, True]
    assert current().chosen == set(), "others may have handed these jobs over"


def test_after_an_outage_of_the_database_nobody_counts_as_dead(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, judged = [1000.0], list[timedelta | None]()
    monkeypatch.setattr(replicas.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(replicas, "take_over", lambda ledger, silent_for: judged.append(silent_for))
    replica = Replica(store, "one", doors=False, pulse=Pulse(every=2, dead_after=10))
    replica.enter()

    def turns(number: int, every: float) -> list[bool]:
        judged.clear()
        for _ in range(number):
            now[0] += every
            replica.turn()
        return [each is not None for each in judged]

    assert turns(6, every=2) == [False, False, False, False, True, True]
    assert turns(1, every=8) == [False], "it was cut off itself"
    assert turns(5, every=2) == [False, False, False, False, True]


# What the dead leave


def pending_of(world: World) -> Callable[[], list[str]]:
    return lambda: [each.workflow_id for each in DBOS.list_workflows(status="PENDING", load_input=False)]


def made(fake: FakeSaltApi) -> Counter[str]:
    """How often each server was made."""
    create = "runner.brinepool.create"
    ends = [data for tag, data in fake.salt.events if tag.endswith("/ret") and data.get("fun") == create]
    return Counter(end["return"]["server"]["server"] for end in ends if end["return"]["created"])


@postgres.ONLY
def test_work_of_whoever_is_not_among_them_is_taken_over_and_they_write_nothing_more(
    world: World, fake: FakeSaltApi, caplog: pytest.LogCaptureFixture
) -> None:
    """The threads that are at it go on, as those of a process that was stopped and wakes."""
    fake.salt.durations = Durations(create=0.3, boot=0.3, state=0.2)
    accepted = environments.create(world, ALICE, shop())
    wait_until(lambda: len(fake.salt.machines) == 3, 20)
    before = set(pending_of(world)())
    with world.store.engine.begin() as connection:  # type: ignore[attr-defined]
        connection.execute(sa.text("UPDATE dbos.workflow_status SET executor_id = 'dead' WHERE status = 'PENDING'"))
    assert accepted.operation.id in before
    assert ended(world, accepted).state == "succeeded"
    wait_until(lambda: not current().at_work._count, 20)
    assert made(fake) == {"cart-test-api-1": 1, "cart-test-web-1": 1, "cart-test-web-2": 1}
    assert set(Counter(server for server, what, _ in fake.salt.executed if "highstate" in what).values()) == {1}
    with world.store.transaction() as ledger:
        told = Counter((event.server, event.kind) for event in ledger.events(None, accepted.operation.id, 0, 1000))
    assert {kind for (_, kind), times in told.items() if times > 1} <= {"server.state_finished"}
    assert "took over" in caplog.text
    assert "no longer owned by this execution" in caplog.text


@postgres.ONLY
def test_work_of_the_living_is_left_alone(world: World, fake: FakeSaltApi) -> None:
    fake.salt.durations = Durations(state=0.1)
    accepted = environments.create(world, ALICE, shop())
    wait_until(pending_of(world), 20)
    with world.store.transaction() as ledger:
        assert take_over(ledger, timedelta(hours=1)) == 0
        assert len(ledger.replicas.living()) == 1
    assert ended(world, accepted).state == "succeeded"


@postgres.ONLY
def test_one_that_was_stopped_in_a_transaction_does_not_keep_the_others_waiting(
    world: World, database: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.db.connect.IDLE_S", 2)
    engine = connect(database["database_url"])
    stopped = SqlStore(engine, SystemClock()).transaction()
    one_writer(stopped.__enter__()._session)
    began = time.monotonic()
    assert ended(world, environments.create(world, ALICE, shop(roles=["api"]))).state == "succeeded"
    assert time.monotonic() - began > 1, "it held the lock that every writer needs"
    with pytest.raises(Unavailable) as gone:
        stopped.__exit__(None, None, None)
    assert gone.value.code == DATABASE_AWAY
    engine.dispose()


def test_operations_wait_for_a_database_that_is_restarted(fake: FakeSaltApi, tmp_path: Path) -> None:
    if postgres.binaries() is None:
        pytest.skip("there is no PostgreSQL on this machine")
    fake.salt.durations = Durations(create=0.2, boot=0.2, state=0.2)
    with postgres.running() as server:
        settings = programs.settings_for(tmp_path, database_url=server.database())
        with programs.brinepool(settings, fake.connect()) as world:
            accepted = environments.create(world, ALICE, shop())
            wait_until(lambda: len(fake.salt.machines) == 3, 20)
            server.restart(away_s=2.0)
            assert ended(world, accepted).state == "succeeded"
            assert set(made(fake).values()) == {1}
            with world.store.transaction() as ledger:
                assert len(ledger.replicas.living()) == 1


# Jobs that another process has begun


# Whoever waits for events alone is not told in time.
UNHURRIED = Patience(first=120.0, longest=120.0, answer=0.5, again=0.2)


def test_a_job_that_one_process_submitted_is_followed_to_its_end_by_another(fake: FakeSaltApi) -> None:
    one, another = fake.connect(), fake.connect(patience=UNHURRIED)
    server = "cart-test-api-1"
    one.create(records.record(server, SHOP), "small", 10)
    assert another.minion_started(server, 10), "though it has not seen it start"
    fake.salt.durations = Durations(state=0.05)
    running, over = one.new_jid(), one.new_jid()
    one.submit(server, running, "highstate")
    assert returned_to(another, server, running), "it was running still"
    one.submit(server, over, "highstate")
    assert returned_to(one, server, over)
    assert returned_to(fake.connect(patience=UNHURRIED), server, over), "it had ended long ago"


def returned_to(salt: object, server: str, jid: str) -> bool:
    for _ in range(20):
        news = salt.news(server, jid, 1.0)  # type: ignore[attr-defined]
        assert not news.lost
        if news.returned is not None:
            return bool(news.returned.retcode == 0)
    return False


# Cards


class Overtaken(MemoryChat):
    """Just before it shows progress, another process shows the outcome: the operation has ended meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None

    def edit(self, room: str, message: str, reply: Reply) -> None:
        world, self.world = self.world, None
        if world is not None:
            with world.store.transaction() as ledger:
                (card,) = ledger.chat.open_cards(self.service)
                ledger.chat.change_card(card.operation, card.place, closed=True)
            wait_until(lambda: operations.show(world, card.operation).state == "succeeded", 20)
        super().edit(room, message, reply)


def test_progress_does_not_replace_an_outcome_that_another_process_has_shown(fake: FakeSaltApi, tmp_path: Path) -> None:
    chat = Overtaken()
    (programs.make_site(tmp_path / "site") / "access.yaml").write_text(ACCESS)
    settings = programs.settings_for(tmp_path)
    with programs.whole_brinepool(settings, fake.connect(), adapters=lambda _: [chat]) as running:
        chat.world = running.world
        chat.say("UA", "create shop as cart-test")
        chat.wait_for(lambda: len(chat.shown()[0].replies) > 2)
        assert chat.shown()[0].now.title.startswith("cart-test is ready")


# One process on SQLite


def brine(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "BRINE_HOME": str(home), "BRINE_SALT_API_URL": "http://127.0.0.1:9"}
    command = [str(Path(sys.prefix) / "bin" / "brine"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_a_second_process_on_the_same_sqlite_is_refused_in_a_sentence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    database = f"sqlite:///{home / 'brinepool.sqlite'}"
    with claimed(database):
        with pytest.raises(Unavailable) as refused, claimed(database):
            pytest.fail("two at once")
        assert refused.value.code == "database-in-use"
        done = brine(home, "serve")
        assert done.returncode == 3
        assert done.stderr == f"{refused.value.message}\n"
    with claimed(database):
        pass


def test_what_was_killed_does_not_keep_the_next_one_out(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'brinepool.sqlite'}"
    program = (
        "import sys, threading\nfrom orchestrator.db.connect import claimed\n"
        "with claimed(sys.argv[1]):\n    print('claimed', flush=True)\n    threading.Event().wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, database], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "claimed\n"
        with pytest.raises(Unavailable), claimed(database):
            pytest.fail("two at once")
        holder.kill()
        holder.wait(20)
    with claimed(database):
        pass


def test_a_worker_on_sqlite_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BRINE_HOME", str(tmp_path))
    assert main.run(["worker"]) == 2
    said = capsys.readouterr().err
    assert "SQLite, which is for one process" in said
    assert said.count("\n") == 1


# Several that start at once


def test_processes_that_start_at_once_make_the_tables_one_after_the_other(postgresql: Postgres) -> None:
    url, gate, failed = postgresql.database(), threading.Barrier(6), list[Exception]()

    def start() -> None:
        engine = connect(url)
        try:
            gate.wait(20)
            with one_at_a_time(engine):
                migrate(engine)
        except Exception as error:  # noqa: BLE001  (told below)
            failed.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
