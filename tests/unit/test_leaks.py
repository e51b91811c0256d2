"""Drift and leaks: what the planner decides, and the sweep through the whole program with a Salt that is at once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.commands import environments, runs
from orchestrator.commands.views import Deploy, Terminate
from orchestrator.domain import schedule
from orchestrator.domain.environment import Actor, Kind, Operation
from orchestrator.domain.errors import Conflict
from orchestrator.domain.leaks import FoundServer, KnownServer, LeakKind, Worlds, plan_leaks, sighted
from orchestrator.domain.lifecycle import OperationState, ServerStatus
from orchestrator.engine import reaper
from orchestrator.engine import schedule as scheduler
from orchestrator.engine.sweep import compare, look
from orchestrator.ports import JobRun, Machine
from tests import programs
from tests.fakes.chat import MemoryChat
from tests.fakes.instant import InstantSalt, Travelling
from tests.unit.reaper_stage import NOON, M, Stage, make_site, settings_for, staged

ADA = Actor("ada", "cli")
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
NAMES = ("cart-api-1", "cart-web-1", "old-api-1", "stranger")

found = st.builds(
    FoundServer, st.sampled_from(NAMES), st.sampled_from(["running", "stopped", "unknown"]), st.booleans(),
    st.booleans(),
)  # fmt: skip
known = st.builds(
    KnownServer, st.sampled_from(NAMES[:2]), st.just("cart"), st.sampled_from([*ServerStatus][:6]),
    st.sampled_from([None, NOW - timedelta(days=1)]),
)  # fmt: skip
worlds = st.builds(
    Worlds,
    st.lists(known, unique_by=lambda each: each.name),
    st.lists(found, unique_by=lambda each: each.name),
    st.frozensets(st.sampled_from(NAMES)),
    st.frozensets(st.sampled_from(["cart", "old"])),
)


def removed(world: Worlds, before: object = None) -> set[str]:
    return {each.subject for each in plan_leaks(world, before or {}, NOW) if each.due and each.kind is LeakKind.REMOVE}


@given(worlds)
def test_nothing_is_done_at_the_first_sighting_and_it_is_at_the_second(world: Worlds) -> None:
    first = plan_leaks(world, {}, NOW)
    assert {each.kind for each in first if each.due} <= {LeakKind.RECOVER}
    again = plan_leaks(world, sighted(first), NOW + timedelta(minutes=5))
    acting = {LeakKind.REMOVE, LeakKind.DEGRADE}
    assert [each.subject for each in again if each.due and each.kind in acting] == [
        each.subject for each in first if each.kind in acting
    ]
    assert all(each.seen_since == NOW for each in again if each.kind in acting)


@given(worlds, worlds)
def test_only_ours_that_we_do_not_have_is_removed_and_never_beside_an_operation(before: Worlds, world: Worlds) -> None:
    gone = removed(world, sighted(plan_leaks(before, {}, NOW)))
    marked = {each.name for each in world.found if each.record or each.state == "unknown"}
    assert gone <= marked - {each.name for each in world.known} - {"stranger"}
    assert not {name for name in gone if name.split("-")[0] in world.busy}


@given(worlds)
def test_what_is_not_sighted_again_is_forgotten(world: Worlds) -> None:
    empty = Worlds([], [], frozenset(), frozenset())
    assert sighted(plan_leaks(empty, sighted(plan_leaks(world, {}, NOW)), NOW)) == {}


@given(worlds)
def test_drift_is_of_ready_servers_that_nobody_works_on(world: Worlds) -> None:
    whole = {each.name for each in world.found if each.state == "running" and each.key and each.record}
    for action in plan_leaks(world, {}, NOW):
        if action.kind in (LeakKind.DEGRADE, LeakKind.HEAL, LeakKind.RECOVER):
            (server,) = (each for each in world.known if each.name == action.subject)
            assert server.status is ServerStatus.READY
            assert server.environment not in world.busy
            assert (action.kind is LeakKind.RECOVER) == (server.name in whole & world.answering)
            assert (action.kind is LeakKind.DEGRADE) == (server.degraded_since is None)
            if action.kind is LeakKind.HEAL:
                assert (action.seen_since, action.due) == (server.degraded_since, False)


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        ({"state": "unknown"}, "its machine is gone"),
        ({"state": "stopped"}, "its machine is stopped"),
        ({"key": False}, "the master has lost its key"),
        ({"record": False}, "the master has lost its record"),
        ({}, "its minion does not answer"),
    ],
)
def test_what_is_wrong_with_a_server_is_said(lost: dict[str, object], reason: str) -> None:
    there = replace(FoundServer("cart-api-1", "running", key=True, record=True), **lost)  # type: ignore[arg-type]
    world = Worlds([KnownServer("cart-api-1", "cart", ServerStatus.READY)], [there], frozenset(), frozenset())
    assert [(each.kind, each.reason) for each in plan_leaks(world, {}, NOW)] == [(LeakKind.DEGRADE, reason)]


# Through the whole program


@pytest.fixture
def salt() -> InstantSalt:
    return InstantSalt(programs.BRANCHES)


@pytest.fixture
def stage(tmp_path: Path, salt: InstantSalt, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(scheduler, "TICK_S", 86_400)
    monkeypatch.setattr("orchestrator.engine.notices.POLL_S", 0.02)
    make_site(tmp_path / "site")
    with staged(settings_for(tmp_path), salt, Travelling(NOON), MemoryChat()) as running:
        yield running


def sweep(stage: Stage) -> JobRun:
    """Five minutes later, a sweep. → its run, which has ended."""
    now = stage.clock.forward(5 * M)
    run = JobRun(schedule.run_id("sweep", now), "sweep", now, now)
    with stage.world.store.transaction() as ledger:
        assert ledger.reaper.add_run(run)
    reaper.start_run(run)
    stage.settle()
    with stage.world.store.transaction() as ledger:
        ended = ledger.reaper.run(run.id)
    assert ended is not None
    assert ended.ended_at is not None
    assert "stumbled" not in (ended.result or {})
    return ended


LEFT = {
    "machine": Machine("old-api-1", "127.9.9.9", "running", key="accepted", record=True),
    "key": Machine("old-api-1", None, "unknown", key="accepted"),
    "record": Machine("old-api-1", None, "unknown", record=True),
}


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_what_is_left_is_removed_at_the_second_sighting(stage: Stage, salt: InstantSalt, left: Machine) -> None:
    stage.create("cart")
    salt.machines["old-api-1"] = left
    sweep(stage)
    assert "old-api-1" in salt.machines
    sweep(stage)
    assert sorted(salt.machines) == ["cart-api-1"]
    assert [name for name, _ in salt.destroyed] == ["old-api-1"]


def test_a_sighting_that_is_not_repeated_is_forgotten(stage: Stage, salt: InstantSalt) -> None:
    salt.machines["old-api-1"] = LEFT["machine"]
    sweep(stage)
    del salt.machines["old-api-1"]
    sweep(stage)
    salt.machines["old-api-1"] = LEFT["machine"]
    sweep(stage)
    assert salt.destroyed == []


def test_a_foreign_machine_is_never_touched(stage: Stage, salt: InstantSalt) -> None:
    salt.machines["old-api-1"] = replace(LEFT["machine"], record=False)
    salt.machines["stranger"] = replace(LEFT["machine"], server="stranger")
    for _ in range(3):
        sweep(stage)
    assert salt.destroyed == []


def test_nothing_is_removed_while_an_operation_works_on_the_environment(stage: Stage, salt: InstantSalt) -> None:
    stage.create("cart")
    salt.machines["cart-web-7"] = replace(LEFT["machine"], server="cart-web-7")
    with stage.world.store.transaction() as ledger:
        environment = ledger.environment("cart")
        assert environment is not None
        busy = Operation("01KBBBBBBBBBBBBBBBBBBBBBBB", Kind.DEPLOY, environment.id, ADA, OperationState.PENDING, NOON)
        ledger.add_operation(busy, None)
    for _ in range(3):
        _sweep_beside(stage)
    assert "cart-web-7" in salt.machines
    with stage.world.store.transaction() as ledger:
        ledger.move_operation(busy.id, OperationState.CANCELLED)
    sweep(stage)
    assert "cart-web-7" in salt.machines
    sweep(stage)
    assert "cart-web-7" not in salt.machines


def _sweep_beside(stage: Stage) -> None:
    """A sweep while an operation stays open, which `settle` would wait for."""
    now = stage.clock.forward(5 * M)
    run = JobRun(schedule.run_id("sweep", now), "sweep", now, now)
    with stage.world.store.transaction() as ledger:
        ledger.reaper.add_run(run)
    reaper.start_run(run)

    def ended() -> bool:
        with stage.world.store.transaction() as ledger:
            found = ledger.reaper.run(run.id)
        return found is not None and found.ended_at is not None

    stage.until(ended)


def test_salt_that_is_down_is_no_sighting_and_forgets_none(stage: Stage, salt: InstantSalt) -> None:
    stage.create("cart")
    salt.machines["old-api-1"] = LEFT["machine"]
    sweep(stage)
    salt.down = True
    assert "failure" in (sweep(stage).result or {})
    assert "failure" in (sweep(stage).result or {})
    salt.down = False
    assert environments.show(stage.world, "cart").degraded is None
    assert salt.destroyed == []
    sweep(stage)
    assert [name for name, _ in salt.destroyed] == ["old-api-1"]


@pytest.mark.parametrize("broken", ["silent", "stopped", "gone"])
def test_what_died_is_degraded_and_retry_heals_it(stage: Stage, salt: InstantSalt, broken: str) -> None:
    stage.create("cart", roles=["api", "web"])
    machine = salt.machines["cart-api-1"]
    if broken == "silent":
        salt.silent.add("cart-api-1")
    elif broken == "stopped":
        salt.machines["cart-api-1"] = replace(machine, state="stopped")
    else:
        del salt.machines["cart-api-1"]
    sweep(stage)
    assert environments.show(stage.world, "cart").degraded is None
    sweep(stage)
    seen = environments.show(stage.world, "cart")
    assert seen.degraded is not None
    assert seen.degraded.startswith("cart-api-1: its m")
    assert seen.degraded.endswith("since 2026-11-02 12:05 UTC.")
    assert [each.degraded_since for each in seen.servers] == [NOON + 5 * M, None]

    programs.ended(stage.world, environments.retry(stage.world, ADA, "cart"))
    healed = environments.show(stage.world, "cart")
    assert (healed.status, healed.degraded, healed.failure) == ("ready", None, None)
    assert [each.degraded_since for each in healed.servers] == [None, None]
    assert salt.machines["cart-api-1"].address != machine.address
    new = salt.machines["cart-api-1"].address
    assert new in salt.records["cart-web-1"].model_dump_json()
    with pytest.raises(Conflict):
        environments.retry(stage.world, ADA, "cart")


def test_a_minion_that_is_back_is_believed_at_once(stage: Stage, salt: InstantSalt) -> None:
    stage.create("cart")
    salt.silent.add("cart-api-1")
    sweep(stage)
    sweep(stage)
    salt.silent.clear()
    sweep(stage)
    assert environments.show(stage.world, "cart").degraded is None
    kinds = [each.kind for each in environments.events(stage.world, "cart")]
    assert [kind for kind in kinds if kind in ("server.degraded", "server.recovered")] == [
        "server.degraded", "server.recovered",
    ]  # fmt: skip


def test_a_look_that_an_operation_has_overtaken_says_nothing(stage: Stage, salt: InstantSalt) -> None:
    stage.create("cart")
    stage.create("old")
    salt.machines["cart-web-7"] = replace(LEFT["machine"], server="cart-web-7")
    before = look(salt, stage.clock.now())
    stage.clock.forward(1 * M)
    programs.ended(stage.world, environments.deploy(stage.world, ADA, "cart", Deploy(what="main")))
    programs.ended(stage.world, environments.terminate(stage.world, ADA, "old", Terminate()))
    with stage.world.store.transaction() as ledger:
        assert {each.kind for each in compare(ledger, before, stage.clock.now())} == {LeakKind.REPORT}
        after = look(salt, stage.clock.forward(1 * M))
        assert [each.subject for each in compare(ledger, after, stage.clock.now())] == ["cart-web-7"]


def test_the_scheduler_sweeps(stage: Stage, salt: InstantSalt) -> None:
    salt.machines["old-api-1"] = LEFT["machine"]
    for _ in range(2):
        assert "old-api-1" in salt.machines
        scheduler.run_due(stage.clock.forward(5 * M))
        stage.settle()
    assert salt.machines == {}
    results = [runs.run_view(run).result for run in stage.runs("sweep")]
    assert results == ["1 seen for the first time", "1 leak removed"]
