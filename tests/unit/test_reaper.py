"""The reaper through the whole program, over the fake Salt: runs, warnings, what keeps an environment, reports."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dbos import DBOS

from orchestrator.chat.replies import Tone
from orchestrator.commands import environments, reaper
from orchestrator.commands.views import Deploy, HoldEnvironment, ProtectEnvironment
from orchestrator.db.tables import audit, console_messages, events
from orchestrator.domain.conversation import Audit, Outcome
from orchestrator.domain.environment import Actor, Kind
from orchestrator.domain.errors import Conflict, NotAllowed
from orchestrator.engine import retention, schedule
from orchestrator.engine.schedule import run_due
from orchestrator.settings import CHECKOUT
from tests import postgres, programs
from tests.fakes import misbehaviour as bad
from tests.fakes.chat import LOUNGE, MemoryChat
from tests.fakes.instant import InstantSalt, Travelling
from tests.fakes.saltapi import FakeSaltApi
from tests.unit.reaper_stage import (
    NOON,
    OLGA,
    SHOP,
    D,
    H,
    M,
    Stage,
    actions,
    all_runs,
    make_site,
    settings_for,
    staged,
    until,
)  # fmt: skip

ADA, BOB = Actor("ada", "cli"), Actor("bob", "cli")


@pytest.fixture(autouse=True)
def _only_the_test_moves_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler's own thread looks once, at the start, and notices are looked for without a pause."""
    monkeypatch.setattr(schedule, "TICK_S", 86_400)
    monkeypatch.setattr("orchestrator.engine.notices.POLL_S", 0.02)
    monkeypatch.setattr("orchestrator.chat.courier.LONGEST_PAUSE_S", 0.1)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return make_site(tmp_path / "site")


@pytest.fixture
def clock() -> Travelling:
    return Travelling(NOON)


@pytest.fixture
def stage(
    site: Path, fake: FakeSaltApi, tmp_path: Path, clock: Travelling, database: dict[str, str]
) -> Iterator[Stage]:
    with staged(settings_for(tmp_path, **database), fake.connect(), clock, MemoryChat()) as running:
        yield running


def write(site: Path, *changes: tuple[str, str]) -> None:
    """Change the template, as ops would."""
    text = SHOP
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (site / "templates" / "shop.yaml").write_text(text)


# Warned, then gone


@postgres.BOTH
def test_what_expired_is_warned_about_twice_and_reaped_once_by_the_scheduler(stage: Stage, fake: FakeSaltApi) -> None:
    stage.create()
    assert stage.later(20 * H - 5 * M) == {}
    assert stage.later(5 * M) == {"cart": "warn"}
    assert stage.later(5 * M) == {}
    assert stage.later(3 * H + 25 * M) == {"cart": "warn"}
    assert stage.titles(about="cart ends") == ["cart ends in 4h", "cart ends in 30m"]
    assert stage.later(25 * M) == {}
    assert stage.alive() == ["cart"]
    assert stage.later(5 * M) == {"cart": "reap"}
    assert stage.alive() == []
    assert fake.salt.machines == {}
    assert stage.later(5 * M) == {}
    (operation,) = stage.reapings()
    assert (operation.actor.person, operation.actor.door, operation.state) == ("scheduler", "scheduler", "succeeded")
    assert operation.request["why"] == "expired just now"


def test_a_warning_goes_to_the_room_and_to_the_owner_and_says_why(stage: Stage) -> None:
    stage.create()
    stage.later(20 * H)
    for room in ("C1", "D-UA"):
        (told,) = [message.now for message in stage.chat.shown(room) if message.now.title == "cart ends in 4h"]
        assert told.tone is Tone.WARNING
        assert told.lines == ("Why: expires in 4h. It belongs to ada.",)
        assert told.mention == ("UA",)
        commands = [button.command for button in told.buttons]
        assert commands == ["extend cart", "extend cart until tomorrow 09:00", "terminate cart"]


def test_a_warning_that_is_not_delivered_keeps_it_until_the_hard_maximum(stage: Stage) -> None:
    stage.create()
    stage.chat.down = True
    assert stage.later(20 * H) == {"cart": "warn"}
    assert stage.later(3 * H + 30 * M) == {"cart": "warn"}
    assert stage.later(30 * M) == {"cart": "keep"}
    assert stage.why("cart") == "the warning could not be delivered yet"
    assert stage.later(2 * D - 5 * M) == {"cart": "keep"}
    assert [each.delivered_at for each in stage.warnings()] == [None, None]
    assert stage.later(5 * M) == {"cart": "reap"}
    assert stage.alive() == []


def test_a_warning_counts_from_when_the_chat_took_it(stage: Stage) -> None:
    stage.create()
    stage.chat.down = True
    stage.later(20 * H)
    stage.later(3 * H + 30 * M)
    assert stage.later(5 * H) == {"cart": "keep"}
    stage.chat.down = False
    stage.until(lambda: all(each.delivered_at for each in stage.warnings()))
    assert {each.delivered_at for each in stage.warnings()} == {stage.clock.now()}
    assert stage.later(25 * M) == {"cart": "keep"}
    assert stage.why("cart") == "its owner was warned only 25m ago"
    assert stage.later(5 * M) == {"cart": "reap"}


def test_a_warning_that_comes_late_says_that_there_is_time_left(stage: Stage) -> None:
    """What is read must not say that it is too late, because a late warning still gives its time."""
    stage.create()
    stage.chat.down = True
    stage.later(23 * H + 30 * M)
    stage.later(2 * H)
    stage.chat.down = False
    stage.until(lambda: stage.titles("D-UA", "cart"))
    (told,) = [message.now for message in stage.chat.shown("D-UA") if "cart" in message.now.title]
    assert told.title == "cart is due to end"
    assert "extend" in told.buttons[0].command
    stage.chat.say("UA", "extend cart")
    assert stage.later(5 * M) == {}


def test_a_room_that_is_gone_is_no_delivery_and_the_owner_is(stage: Stage) -> None:
    stage.create()
    stage.chat.gone = {"C1", "D-UA"}
    stage.later(23 * H + 30 * M)
    assert stage.later(30 * M) == {"cart": "keep"}
    stage.chat.gone = {"C1"}
    stage.chat.say("UA", "extend cart by 6h", LOUNGE)
    assert stage.later(5 * H) == {"cart": "warn"}
    assert stage.later(H) == {"cart": "reap"}


def test_who_has_no_account_is_warned_on_their_console_and_that_counts(stage: Stage) -> None:
    stage.create("mine", person="bob")
    stage.chat.gone = {"C1"}
    stage.later(20 * H)
    stage.later(3 * H + 30 * M)
    with stage.world.store.transaction() as ledger:
        console = [each.reply["title"] for each in ledger.chat.on_console("bob", 0, 10)]
    assert [title for title in console if "ends" in title] == ["mine ends in 4h", "mine ends in 30m"]
    assert stage.later(30 * M) == {"mine": "reap"}


def test_a_warning_is_told_once_where_a_room_is_also_that_of_its_owner(stage: Stage, site: Path) -> None:
    """What is made on a console has that console as its room, and its owner is told there directly."""
    (site / "templates" / "shop.yaml").write_text(SHOP.replace("notify: shop-dev\n", ""))
    ask = programs.shop("mine", roles=["api"], ttl="1d")
    accepted = environments.create(stage.world, Actor("bob", "chat:console", room="console:bob"), ask)
    programs.ended(stage.world, accepted)
    stage.later(21 * H)
    with stage.world.store.transaction() as ledger:
        console = [each.reply["title"] for each in ledger.chat.on_console("bob", 0, 50)]
    assert [title for title in console if "mine ends" in title] == ["mine ends in 3h"]


def test_extended_from_the_warning_it_lives_on_and_is_warned_about_anew(stage: Stage) -> None:
    stage.create()
    stage.later(20 * H)
    button = next(each for each in stage.chat.last("D-UA").buttons if each.label == "Extend")
    stage.chat.directly("UA", button.command)
    assert stage.later(4 * H) == {}
    assert stage.later(20 * H - 5 * M) == {}
    assert stage.later(5 * M) == {"cart": "warn"}
    assert stage.later(3 * H + 30 * M) == {"cart": "warn"}
    assert stage.titles("D-UA", "cart ends") == ["cart ends in 4h", "cart ends in 4h", "cart ends in 30m"]
    assert stage.later(30 * M) == {"cart": "reap"}
    extended = [each for each in environments.events(stage.world, "cart") if each.kind == "environment.extended"]
    assert [(each.actor, each.door) for each in extended] == [("ada", "chat:memory")]


def test_kept_until_tomorrow_morning_from_the_warning(stage: Stage) -> None:
    stage.create()
    stage.later(20 * H)  # Tuesday 09:00 in Berlin; it ends at 13:00
    button = next(each for each in stage.chat.last("D-UA").buttons if "tomorrow" in each.label)
    stage.chat.directly("UA", button.command)
    morning = datetime(2026, 11, 4, 8, tzinfo=UTC)
    assert environments.show(stage.world, "cart").expires_at == morning
    assert stage.later(4 * H) == {}
    stage.clock.go(morning - 30 * M)
    assert stage.check() == {"cart": "warn"}
    assert stage.later(30 * M) == {"cart": "reap"}


def test_ended_from_the_warning(stage: Stage) -> None:
    stage.create()
    stage.later(20 * H)
    button = next(each for each in stage.chat.last("D-UA").buttons if each.style == "danger")
    stage.chat.directly("UA", button.command)
    stage.until(lambda: stage.alive() == [])
    assert stage.later(5 * M) == {}
    assert stage.reapings() == []


# What keeps it


def test_a_hold_keeps_it_to_its_end_and_what_comes_then_is_warned_about(stage: Stage) -> None:
    stage.create()
    stage.later(20 * H)
    stage.later(3 * H + 30 * M)
    reaper.hold(stage.world, BOB, "cart", HoldEnvironment.model_validate({"for": "4h"}))
    assert stage.later(30 * M)["cart"] in ("keep", "warn")
    stage.later(H)
    assert stage.why("cart") == "held for debugging by bob until 2026-11-03 15:30 UTC"
    assert environments.show(stage.world, "cart").held_by == "bob"
    assert stage.later(2 * H) == {"cart": "warn"}
    assert stage.later(30 * M) == {"cart": "reap"}


def test_what_ops_protect_stays_and_says_so(stage: Stage) -> None:
    stage.create()
    with pytest.raises(NotAllowed):
        reaper.protect(stage.world, ADA, "cart", ProtectEnvironment())
    reaper.protect(stage.world, OLGA, "cart", ProtectEnvironment(why="the demonstration"))
    assert stage.later(20 * H) == {}
    assert stage.later(9 * D) == {"cart": "keep"}
    assert stage.why("cart") == (
        "protected by olga without end, even beyond the 3d that it may live in all (the demonstration)"
    )
    reaper.unprotect(stage.world, OLGA, "cart")
    assert stage.later(5 * M) == {"cart": "warn"}
    assert stage.later(25 * M) == {"cart": "keep"}
    assert stage.later(5 * M) == {"cart": "reap"}


def test_what_somebody_works_on_is_left_alone(site: Path, tmp_path: Path, clock: Travelling) -> None:
    salt = InstantSalt(programs.BRANCHES)
    with staged(settings_for(tmp_path), salt, clock, MemoryChat()) as stage:
        stage.create()
        stage.later(23 * H + 30 * M)
        stage.clock.forward(25 * M)
        salt.returns.clear()
        accepted = environments.deploy(stage.world, BOB, "cart", Deploy(what="feature/cart"))
        stage.clock.forward(5 * M)
        before = stage.plan()
        run_due(stage.clock.now())
        stage.until(lambda: stage.runs("reap")[-1].ended_at)
        assert actions(stage.runs("reap")[-1]) == before
        assert [(each["kind"], each["reason"]) for each in before] == [("keep", "bob is deploying feature/cart to it")]
        salt.returns.set()
        assert programs.ended(stage.world, accepted).state == "succeeded"
        assert stage.later(5 * M) == {"cart": "reap"}


# Other causes


def test_a_branch_that_is_gone_at_two_checks_in_a_row_ends_it(stage: Stage, fake: FakeSaltApi) -> None:
    stage.create(branch="feature/tax", ttl="3d")
    stage.create("steady", ttl="3d")
    fake.salt.branches["shop", "api"] = ("main",)
    stage.later(H)
    assert stage.plan() == []
    fake.salt.branches["shop", "api"] = ()  # the repository does not answer: no check
    stage.later(H)
    stage.later(H)
    assert stage.plan() == []
    fake.salt.branches["shop", "api"] = ("main",)
    stage.later(H)  # the run of the check itself may have seen it already
    stage.later(5 * M)
    told = "branch feature/tax of api is gone at the remote, at two checks in a row"
    assert f"Why: {told}. It belongs to ada." in stage.chat.last("D-UA").lines
    done = [stage.later(5 * M) for _ in range(12 * 4)]
    assert [each for each in done if each] == [{"cart": "warn"}, {"cart": "reap"}]
    assert stage.alive() == ["steady"]


def test_a_branch_that_comes_back_is_counted_anew(stage: Stage, fake: FakeSaltApi) -> None:
    stage.create(branch="feature/tax", ttl="3d")
    there = fake.salt.branches["shop", "api"]
    for names in (("main",), there, ("main",), there):
        fake.salt.branches["shop", "api"] = names
        stage.later(H)
        assert stage.plan() == []


def test_of_two_servers_on_two_branches_the_one_whose_branch_is_gone_counts(stage: Stage, fake: FakeSaltApi) -> None:
    for name, server in (("first", "first-web-1"), ("second", "second-web-2")):
        stage.create(name, roles=["api", "web"], counts={"web": 2}, ttl="3d")
        accepted = environments.deploy(stage.world, ADA, name, Deploy(what="web/feature/cart"))
        programs.ended(stage.world, accepted)
        with stage.world.store.transaction() as ledger:
            environment = ledger.environment(name)
            assert environment
            ledger.mark_server(environment.id, server, ADA, "server.put_on_main", branch="main")
    fake.salt.branches["shop", "web"] = ("main",)
    for _ in range(2):
        stage.later(H)
    stage.later(5 * M)
    with stage.world.store.transaction() as ledger:
        gone = [(each.branch, each.checks) for those in ledger.reaper.gone().values() for each in those]
    assert gone == [("feature/cart", 2)] * 2


def test_what_failed_and_nobody_touches_goes(stage: Stage, fake: FakeSaltApi) -> None:
    fake.salt.misbehave(bad.FailsDuringHighstate("cart-api-1"))
    assert stage.create(ttl="3d").status == "failed"
    assert stage.later(8 * H) == {"cart": "warn"}
    reason = stage.chat.last("D-UA").lines[0]
    assert reason == "Why: failed 8h ago and nobody touched it since. It belongs to ada."
    assert stage.later(3 * H + 30 * M) == {"cart": "warn"}
    assert stage.later(30 * M) == {"cart": "reap"}


def test_what_failed_and_was_tried_again_is_not_forgotten_about(stage: Stage, fake: FakeSaltApi) -> None:
    fake.salt.misbehave(bad.FailsDuringHighstate("cart-api-1"))
    stage.create(ttl="3d")
    stage.later(8 * H)
    programs.ended(stage.world, environments.retry(stage.world, BOB, "cart"))
    assert stage.later(4 * H) == {}
    assert stage.later(4 * H) == {"cart": "warn"}


def test_over_the_limit_the_oldest_goes_after_a_warning(stage: Stage, site: Path) -> None:
    for name in ("one", "two", "three"):
        stage.create(name, ttl="3d")
        stage.clock.forward(5 * M)
    stage.create("other", person="bob", ttl="3d")
    write(site, ("per_person: 3", "per_person: 1"))
    assert stage.check() == {"one": "warn", "two": "warn"}
    told = stage.chat.last("D-UA")
    assert "ada has 3 environments of shop and may have 1" in told.lines[0]
    assert [button.label for button in told.buttons] == ["End it now"]
    assert stage.later(3 * H + 30 * M) == {"one": "warn", "two": "warn"}
    assert stage.later(30 * M) == {"one": "reap", "two": "reap"}
    assert stage.alive() == ["other", "three"]


def test_a_template_that_becomes_wrong_ends_nothing_more(stage: Stage, site: Path) -> None:
    stage.create()
    write(site, ("default: 1d, max: 3d", "default: 5m, max: 1m"))
    assert stage.later(19 * H) == {}
    assert stage.later(H) == {"cart": "warn"}


def test_who_used_what_is_reaped_is_shown_as_degraded(stage: Stage, fake: FakeSaltApi) -> None:
    stage.create()
    stage.create("lone", roles=["web"], use="cart", ttl="3d")
    stage.later(23 * H + 30 * M)
    assert stage.later(30 * M) == {"cart": "reap"}
    assert environments.show(stage.world, "lone").degraded == "cart, which it used, is gone."


# Each run once


@postgres.BOTH
def test_a_run_is_started_once_whoever_calls_and_however_often(stage: Stage) -> None:
    stage.create()
    stage.clock.forward(20 * H)
    ready = threading.Barrier(6)

    def call() -> None:
        ready.wait()
        run_due(stage.clock.now())

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run_due(stage.clock.now())
    stage.settle()
    assert sorted(run.job for run in stage.runs()) == ["branches", "nightly", "reap", "sweep"]
    assert len(stage.warnings()) == 1
    assert stage.titles("D-UA", "cart ends") == ["cart ends in 4h"]
    ids = {run.id for run in stage.runs()}
    assert {each.workflow_id for each in DBOS.list_workflows(name=["reap", "nightly", "branches", "sweep"])} == ids


def test_the_schedulers_own_thread_goes_by_the_same_clock(
    site: Path, fake: FakeSaltApi, tmp_path: Path, clock: Travelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the real time is: nothing is due before the clock of this Brinepool says so, and then by itself."""
    monkeypatch.setattr(schedule, "TICK_S", 0.05)
    looked = []
    monkeypatch.setattr(schedule, "run_due", lambda now: (looked.append(now), run_due(now)))
    with staged(settings_for(tmp_path), fake.connect(), clock, MemoryChat()) as stage:
        stage.create()
        stage.until(lambda: len(looked) > 3)
        assert set(looked) == {NOON}
        assert stage.runs() == []
        for span in (20 * H, 3 * H + 30 * M, 30 * M):
            stage.clock.forward(span)
            stage.until(lambda: stage.runs("reap") and stage.runs("reap")[-1].due_at == stage.clock.now())
            stage.settle()
        assert stage.alive() == []
        assert len(stage.reapings()) == 1


def test_what_is_due_at_the_start_is_done_at_once_and_not_an_interval_later(
    site: Path, fake: FakeSaltApi, tmp_path: Path, clock: Travelling
) -> None:
    with staged(settings_for(tmp_path), fake.connect(), clock, MemoryChat()) as stage:
        known = len(all_runs(stage.world))
    clock.forward(20 * H)
    with programs.brinepool(settings_for(tmp_path), fake.connect(), clock) as world:
        until(world, lambda: [run.ended_at for run in all_runs(world)].count(clock.now()) == known)


def test_after_a_downtime_only_the_latest_of_the_missed_runs_is_made_up_for(
    site: Path, fake: FakeSaltApi, tmp_path: Path, clock: Travelling
) -> None:
    chat = MemoryChat()
    with staged(settings_for(tmp_path), fake.connect(), clock, chat) as stage:
        stage.create()
        stage.later(H)
    clock.forward(3 * D)
    with staged(settings_for(tmp_path), fake.connect(), clock, chat) as stage:
        nights = stage.runs("nightly")
        assert [run.due_at for run in nights] == [datetime(2026, 11, 5, 2, 7, tzinfo=UTC)]
        assert [run.started_at for run in nights] == [clock.now()]
        assert len(stage.runs("reap")) == 2
        assert len(stage.reports(LOUNGE)) == 1


def test_reaping_now_is_for_ops_and_happens_once_in_a_second(stage: Stage) -> None:
    stage.create()
    stage.clock.forward(23 * H + 30 * M + 7 * M)
    with pytest.raises(NotAllowed):
        reaper.reap_now(stage.world, ADA)
    run = reaper.reap_now(stage.world, OLGA)
    with pytest.raises(Conflict, match="this very second"):
        reaper.reap_now(stage.world, OLGA)
    stage.settle()
    found = reaper.run(stage.world, run.id)
    assert found is not None
    assert (found.warned, found.reaped, found.kept) == (1, 0, 0)
    assert found.ended_at == stage.clock.now()


def test_the_schedule_tells_each_job(stage: Stage) -> None:
    assert [(job.job, job.when, job.last) for job in reaper.jobs(stage.world)] == [
        ("reap", "every 5m", None),
        ("branches", "every 1h", None),
        ("sweep", "every 5m", None),
        ("nightly", "every day at 03:07 Europe/Berlin", None),
    ]
    stage.create(ttl="5h")
    stage.later(H)
    check, _, _, nightly = reaper.jobs(stage.world)
    assert check.next_at == stage.clock.now() + 5 * M
    assert check.last is not None
    assert check.last.warned == 1
    assert nightly.next_at == datetime(2026, 11, 3, 2, 7, tzinfo=UTC)


def test_a_run_that_stumbles_is_over_and_the_next_one_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.create()
    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.engine.reaper._warn", lambda *_: 1 / 0)
        stage.clock.go(NOON + 20 * H)
        run_due(stage.clock.now())
        stage.settle()
    assert [(run.result or {}).get("stumbled") for run in stage.runs("reap", "nightly")] == [True, True]
    assert all(run.ended_at for run in stage.runs())
    assert stage.warnings() == []
    assert stage.later(5 * M) == {"cart": "warn"}


# Killed in the middle of a night


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("engine.reaper", "_start"),  # it is decided and written down, and nothing was begun
        ("engine.reaper", "_await"),  # everything was begun
        ("engine.terminate", "_destroyed"),  # a machine is gone, and nobody has written it down
        ("engine.reaper", "report"),  # all is gone
        ("engine.reaper", "tell_reports"),  # the report is written, and not told
        ("engine.reaper", "forget_old"),  # it is told, perhaps
    ],
)
def test_killed_in_the_middle_of_a_night_it_is_finished_after_the_start(
    site: Path, fake: FakeSaltApi, tmp_path: Path, clock: Travelling, module: str, function: str
) -> None:
    names, chat = ["one", "three", "two"], MemoryChat()
    with staged(settings_for(tmp_path), fake.connect(), clock, chat) as stage:
        stage.clock.go(datetime(2026, 11, 3, 2, 6, tzinfo=UTC))
        for name in names:
            stage.create(name, ttl="1d")
        stage.night()
        for moment in (datetime(2026, 11, 3, 22, 10, tzinfo=UTC), datetime(2026, 11, 4, 2, 5, tzinfo=UTC)):
            clock.go(moment)
            assert stage.check() == dict.fromkeys(names, "warn")
        reports = len(stage.reports(LOUNGE))
    clock.go(datetime(2026, 11, 4, 2, 36, tzinfo=UTC))
    killed(tmp_path, fake.url, clock.now(), f"orchestrator.{module}", function)
    with staged(settings_for(tmp_path), fake.connect(), clock, chat) as stage:
        (run,) = [run for run in stage.runs("nightly") if run.started_at == clock.now()]
        assert run.id == "nightly/2026-11-04T02:07:00Z"
        assert run.ended_at == clock.now()
        plans = [actions(each) for each in stage.runs("reap", "nightly") if each.started_at == clock.now()]
        assert sorted((each["kind"], each["environment"]) for plan in plans for each in plan) == [
            ("reap", name) for name in names
        ]
        assert stage.alive() == []
        assert fake.salt.machines == {}
        for name in names:
            assert [each.state for each in stage.reapings(name)] == ["succeeded"]
        if function != "forget_old":  # the process that was killed may have told it in a room that died with it
            assert rows(stage, LOUNGE, "went")[reports:] == [names]


def killed(folder: Path, salt_api: str, moment: datetime, *where: str) -> None:
    """Let a process do what is due, and be killed there."""
    command = [sys.executable, "-m", "tests.unit.reaper_program", str(folder), salt_api, moment.isoformat(), *where]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _, said = process.communicate(timeout=40)
    finally:
        process.kill()
    assert process.returncode == -signal.SIGKILL, said.decode()[-2000:]


# Reports


def rows(stage: Stage, room: object, column: str) -> list[list[str]]:
    """In each report of a room, the first cells of the table that begins with this column."""
    return [
        [row[0] for table in report.tables if table.columns[0] == column for row in table.rows]
        for report in stage.reports(room)  # type: ignore[arg-type]
    ]


@postgres.BOTH
def test_each_night_one_report_for_the_room_and_one_for_ops(stage: Stage, site: Path) -> None:
    quiet = SHOP.replace("name: shop", "name: quiet").replace("notify: shop-dev", "notify: cellar")
    (site / "templates" / "quiet.yaml").write_text(quiet)
    stage.clock.go(datetime(2026, 11, 3, 2, 6, tzinfo=UTC))  # it expires in the nightly run, and not before
    stage.check()
    stage.create("cart", ttl="1d")
    stage.create("stays", ttl="3d")
    stage.create("kept", person="bob", ttl="12h")
    reaper.protect(stage.world, OLGA, "kept", ProtectEnvironment(why="demo"))
    assert stage.night() == {}
    for moment in (datetime(2026, 11, 3, 22, 10, tzinfo=UTC), datetime(2026, 11, 4, 1, 40, tzinfo=UTC)):
        stage.clock.go(moment)
        assert stage.check()["cart"] == "warn"
    assert stage.night() == {"cart": "reap", "kept": "keep"}
    for room in ("C1", LOUNGE):
        assert rows(stage, room, "went") == [[], ["cart"]]
    report = stage.reports(LOUNGE)[-1]
    assert report.title == "Last night: 1 went, 2 stay"
    stays = {row[0]: row[1:] for table in report.tables if table.columns[0] == "stays" for row in table.rows}
    assert stays["stays"] == ("ada", "1d 23h", "")
    assert stays["kept"] == ("bob", "now due", "protected by olga without end (demo)")
    went = next(table for table in report.tables if table.columns[0] == "went")
    assert went.rows == (("cart", "ada", "expired 1m ago"),)


def test_what_went_is_in_one_report(stage: Stage) -> None:
    """Also what the nightly run itself ended, a little after it was due, and in a night of 25 hours."""
    stage.clock.go(datetime(2026, 11, 3, 2, 6, tzinfo=UTC))
    stage.check()
    stage.create("cart", ttl="1d")
    stage.create("stays", ttl="3d")
    stage.night()
    stage.clock.go(datetime(2026, 11, 4, 1, 35, tzinfo=UTC))
    stage.check()
    (job,) = (each for each in reaper.jobs(stage.world) if each.job == "nightly")
    stage.clock.go(job.next_at - 2 * M)
    stage.check()
    assert stage.later(2 * M + M / 4) == {"cart": "reap"}  # a quarter of a minute late, as it is in real life
    stage.clock.forward(M / 4 * 3)
    stage.night()
    assert rows(stage, LOUNGE, "went") == [[], ["cart"], []]


def test_what_cannot_be_removed_is_reported_so_and_tried_again(stage: Stage, fake: FakeSaltApi) -> None:
    stage.create()
    stage.clock.go(datetime(2026, 11, 3, 11, 30, tzinfo=UTC))
    stage.check()
    fake.salt.misbehave(bad.DestroyFails("cart-api-1"))
    assert stage.later(30 * M) == {"cart": "reap"}
    assert [each.state for each in stage.reapings()] == ["failed"]
    assert stage.alive() == ["cart"]
    stage.night()
    report = stage.reports(LOUNGE)[-1]
    assert report.title == "Last night: 0 went, 0 stay, 1 could not be removed"
    assert report.tone is Tone.WARNING
    assert rows(stage, LOUNGE, "could not be removed")[-1] == ["cart"]
    tried = len(stage.reapings())
    assert tried == 3  # at noon, at the check before the night, and in the night
    fake.salt.behave()
    stage.later(3 * M)
    assert stage.alive() == []
    assert fake.salt.machines == {}
    assert len(stage.reapings()) == tried + 1
    stage.night()
    assert rows(stage, LOUNGE, "went")[-1] == ["cart"]


def test_people_hear_of_a_removal_that_failed_once_and_not_at_every_check(stage: Stage, fake: FakeSaltApi) -> None:
    stage.create()
    stage.later(23 * H + 30 * M)
    fake.salt.misbehave(bad.DestroyFails("cart-api-1"))
    stage.later(30 * M)
    told = len(stage.titles())
    for _ in range(5):
        stage.later(5 * M)
    assert len(stage.titles()) == told
    fake.salt.behave()
    stage.later(5 * M)
    assert [title.split(",")[0] for title in stage.titles()[told:]] == ["cart is gone"]


# Retention


def test_what_is_old_goes_in_small_batches_and_statistics_stay(
    site: Path, fake: FakeSaltApi, tmp_path: Path, clock: Travelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 4)
    # The durable engine's own moments are real ones, so this month begins now.
    clock.go(max(NOON, datetime.now(UTC)).replace(minute=0, second=0, microsecond=0) + H)
    with staged(settings_for(tmp_path, retention="30d"), fake.connect(), clock, MemoryChat()) as stage:
        stage.create("mine", person="bob")
        stage.later(23 * H + 30 * M)
        assert stage.later(30 * M) == {"mine": "reap"}
        with stage.world.store.transaction() as ledger:
            line = Audit(clock.now(), "chat:memory", Outcome.ANSWERED, "bob", text="list environments")
            for _ in range(9):
                ledger.chat.write_down(line)
        old, before = counts(stage), clock.now()
        history = {each.workflow_id for each in DBOS.list_workflows(load_input=False)}
        assert min(old.values()) > 0
        assert len(history) > 10
        stage.later(20 * D)
        stage.create("young", ttl="3d")
        stage.night()
        assert all(kept >= was for kept, was in zip(counts(stage).values(), old.values(), strict=True))
        stage.later(11 * D)
        stage.night()
        with stage.world.store.transaction() as ledger:
            assert all(each.at >= clock.now() - 30 * D for each in ledger.events(None, None, 0, 1000))
            assert ledger.chat.audits(None, 100) == []
            assert len(ledger.durations("shop", Kind.CREATE, 10)) == 2
            assert len(ledger.durations("shop", Kind.TERMINATE, 10)) >= 1
        assert all(run.due_at > before for run in stage.runs())
        left = {each.workflow_id for each in DBOS.list_workflows(load_input=False)}
        assert not left & history
        assert stage.later(5 * M) is not None


def counts(stage: Stage) -> dict[str, int]:
    import sqlalchemy as sa

    with stage.world.store.engine.connect() as connection:  # type: ignore[attr-defined]
        return {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (events, audit, console_messages)
        }
