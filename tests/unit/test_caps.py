"""Caps: a provider builds only so many servers at once and has only so many; who waits is told how many are ahead."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands import World, cancelling, environments
from orchestrator.commands.views import Accepted
from orchestrator.domain.caps import Cap, Caps, ahead_of, is_first_of_its_operation, let_in, place_in_line
from orchestrator.domain.environment import Actor, Server
from orchestrator.domain.errors import Conflict
from orchestrator.domain.lifecycle import ServerStatus, Target
from orchestrator.domain.wiring import depth
from tests import programs
from tests.fakes import misbehaviour as bad
from tests.fakes.salt import wait_until
from tests.fakes.saltapi import FakeSaltApi
from tests.programs import ALICE, BOB, ended, shop
from tests.unit.test_racing import at_once, one_winner

Begin = Callable[..., World]


def waits(operation: str, name: str, rank: int = 0) -> Server:
    """A server in the line."""
    return Server(
        name=name, environment="e", role="api", number=1, app="a", profile="small", branch="main",
        status=ServerStatus.REQUESTED, target=Target.PRESENT, created_at=datetime(2026, 1, 1, tzinfo=UTC),
        place=place_in_line(operation, rank, name),
    )  # fmt: skip


# The line, which is pure


def test_earlier_operations_and_needed_roles_come_first() -> None:
    places = [place_in_line(*each) for each in [("01B", 0, "b-api-1"), ("01A", 1, "a-web-1"), ("01A", 0, "z-api-1")]]
    assert sorted(places) == ["01A/00/z-api-1", "01A/01/a-web-1", "01B/00/b-api-1"]


@pytest.mark.parametrize(
    ("building", "cap", "entering"), [(0, 2, 2), (1, 2, 1), (2, 2, 0), (5, 2, 0), (0, 9, 3)]
)  # fmt: skip
def test_as_many_come_in_as_there_is_room_for(building: int, cap: int, entering: int) -> None:
    line = [waits("01A", "a"), waits("01A", "b"), waits("01B", "c")]
    assert let_in(line, building, cap) == line[:entering]


def test_who_is_ahead_is_counted_in_operations() -> None:
    line = [waits("01A", "a"), waits("01A", "b"), waits("01B", "c"), waits("01C", "d"), waits("01C", "e")]
    assert [ahead_of(operation, line) for operation in ("01A", "01B", "01C", "01D")] == [0, 1, 2, 3]
    assert [is_first_of_its_operation(each, line) for each in line] == [True, False, True, True, False]


def test_a_provider_has_its_own_cap_or_the_usual_one() -> None:
    caps = Caps(Cap(3, 9), {"big": Cap(30)})
    assert [caps.of("big"), caps.of("small"), caps.of("")] == [Cap(30), Cap(3, 9), Cap(3, 9)]


def test_a_role_stands_behind_what_it_needs(world: World) -> None:
    roles = world.templates.current().templates["shop"].roles
    assert [depth(role, roles) for role in ("api", "web", "nobody")] == [0, 1, 0]


def test_settings_say_the_caps(tmp_path: Path) -> None:
    given = {"building_at_once": 4, "servers_in_all": 50, "providers": {"big": {"servers_in_all": 500}}}
    caps = programs.settings_for(tmp_path, **given).caps
    assert (caps.of("sandbox"), caps.of("big")) == (Cap(4, 50), Cap(4, 500))


# The whole


@pytest.fixture
def begin(fake: FakeSaltApi, tmp_path: Path) -> Iterator[Begin]:
    """Starts Brinepool with settings; again: another process, after the first was killed or stopped."""
    running: list[Any] = []

    def start(queue: str = "1h", **settings: object) -> World:
        if running:
            running.pop().__exit__(None, None, None)
        chosen = programs.settings_for(tmp_path, **settings)
        (chosen.site / "templates" / "shop.yaml").write_text(programs.roomy_shop(queue=queue))
        running.append(programs.brinepool(chosen, fake.connect()))
        world: World = running[0].__enter__()
        return world

    yield start
    for each in running:
        each.__exit__(None, None, None)


class Peak:
    """How many servers were made or configured at the same time, as the cloud and the minions see it."""

    def __init__(self, fake: FakeSaltApi, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most, self._now, self._lock = 0, 0, threading.Lock()
        for name in ("_make", "_highstate_alone"):
            monkeypatch.setattr(fake.salt, name, self._counted(getattr(fake.salt, name)))

    def _counted(self, really: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            with self._lock:
                self._now += 1
                self.most = max(self.most, self._now)
            try:
                return really(*arguments)
            finally:
                with self._lock:
                    self._now -= 1

        return call


def several(world: World, number: int = 3) -> list[Accepted]:
    return [environments.create(world, ALICE, shop(f"cart-{each}")) for each in range(number)]


@pytest.mark.parametrize("cap", [1, 2, 4])
def test_no_more_are_built_at_once_than_may_be(
    begin: Begin, fake: FakeSaltApi, monkeypatch: pytest.MonkeyPatch, cap: int
) -> None:
    fake.salt.durations = replace(fake.salt.durations, create=0.05, state=0.02)
    peak, world = Peak(fake, monkeypatch), begin(building_at_once=cap)
    assert [ended(world, each).state for each in several(world)] == ["succeeded"] * 3
    assert min(cap, 2) <= peak.most <= cap  # a busy machine may not get as far as four
    assert nobody_is_left(world)


def nobody_is_left(world: World) -> bool:
    with world.store.transaction() as ledger:
        return ledger.building("sandbox") == 0 and ledger.line("sandbox") == []


def test_the_cap_is_exact_after_a_restart(begin: Begin, fake: FakeSaltApi, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.salt.durations = replace(fake.salt.durations, create=0.2, state=0.05)
    peak, world = Peak(fake, monkeypatch), begin(building_at_once=2)
    asked = several(world, 2)
    wait_until(lambda: fake.salt.machines)
    world = begin(building_at_once=2)
    wait_until(lambda: any(name == "brinepool.highstate" for _, name, _ in list(fake.salt.executed)), 20)
    world = begin(building_at_once=2)
    assert [ended(world, each).state for each in asked] == ["succeeded"] * 2
    assert peak.most == 2
    assert len(fake.salt.executed) == len(set(fake.salt.executed))
    assert nobody_is_left(world)


@contextmanager
def blocked(fake: FakeSaltApi) -> Iterator[None]:
    """Machines come up once the block has ended."""
    held = threading.Event()
    really = fake.salt.start_minion
    fake.salt.start_minion = lambda server: held.wait(30) and really(server)  # type: ignore[method-assign,assignment,func-returns-value]
    try:
        yield
    finally:
        held.set()
        fake.salt.start_minion = really  # type: ignore[method-assign]


def all_boot(world: World, name: str) -> bool:
    """Whether each of its servers has its second turn: it has an address, and is being built."""
    with world.store.transaction() as ledger:
        found = ledger.environment(name)
        servers = ledger.servers(found.id) if found else []
    return bool(servers) and all(server.address and server.building for server in servers)


def waiting_for(world: World, name: str) -> str:
    return environments.show(world, name).waiting_for or ""


def test_who_waits_is_told_how_many_are_ahead_and_moves_up(begin: Begin, fake: FakeSaltApi) -> None:
    world = begin(building_at_once=3)
    with blocked(fake):
        first = environments.create(world, ALICE, shop("cart-0"))
        wait_until(lambda: all_boot(world, "cart-0"), 10)
        second, third = [environments.create(world, ALICE, shop(f"cart-{each}")) for each in (1, 2)]
        wait_until(lambda: waiting_for(world, "cart-2").startswith("its turn, "), 10)
        said = "(sandbox builds 3 servers at once)"
        wait_until(lambda: waiting_for(world, "cart-1").startswith(f"its turn, which is next {said}, since "), 10)
        wait_until(
            lambda: waiting_for(world, "cart-2").startswith(f"its turn, behind 1 environment {said}, since "), 10
        )
        assert waiting_for(world, "cart-0") == ""
        cancelling.cancel(world, BOB, "cart-1")
        wait_until(lambda: waiting_for(world, "cart-2").startswith(f"its turn, which is next {said}"), 10)
    assert ended(world, second).state == "cancelled"
    assert [ended(world, each).state for each in (first, third)] == ["succeeded"] * 2
    wait_until(lambda: environments.list_all(world)[0].name == "cart-2")
    said = [e.data["state"] for e in environments.events(world, "cart-2", limit=500) if e.kind == "operation.resumed"]
    assert len(said) == 1
    assert said[0].startswith("its turn came after ")
    assert nobody_is_left(world)


def test_a_turn_that_never_comes_fails_with_what_was_waited_for(begin: Begin, fake: FakeSaltApi) -> None:
    world = begin("1s", building_at_once=3)
    with blocked(fake):
        first = environments.create(world, ALICE, shop("cart-0"))
        wait_until(lambda: all_boot(world, "cart-0"), 10)
        second = environments.create(world, ALICE, shop("cart-1"))
        failed = ended(world, second)
        assert failed.failure is not None
        assert failed.failure.code == "turn-never-came"
        assert failed.failure.explanation == "sandbox builds 3 servers at once."
        assert "cart-1-api-1" not in fake.salt.machines
    assert ended(world, first).state == "succeeded"
    assert ended(world, environments.retry(world, ALICE, "cart-1")).state == "succeeded"
    assert nobody_is_left(world)


def test_a_failed_server_gives_its_turn_back(begin: Begin, fake: FakeSaltApi) -> None:
    world = begin(building_at_once=1)
    fake.salt.misbehave(bad.CreateFails("cart-0-api-1", times=1))
    asked = several(world, 2)
    assert [ended(world, each).state for each in asked] == ["failed", "succeeded"]
    assert nobody_is_left(world)


def test_a_provider_has_no_more_servers_than_it_may(begin: Begin, fake: FakeSaltApi) -> None:
    world = begin(servers_in_all=7)
    asked = several(world, 2)
    with pytest.raises(Conflict) as refused:
        environments.create(world, BOB, shop("cart-9"))
    assert refused.value.code == "provider-full"
    assert refused.value.message == (
        "sandbox has 6 of the 7 servers that it may have, and this needs 3 more; "
        "terminate something first, or ask ops for more."
    )
    assert [ended(world, each).state for each in asked] == ["succeeded"] * 2
    winner, (error,) = one_winner(
        *[partial(environments.create, world, who, shop(f"of-{who.person}", roles=["api"])) for who in (ALICE, BOB)]
    )
    assert error.code == "provider-full"
    assert ended(world, winner).state == "succeeded"
    assert len(fake.salt.machines) == 7


def test_many_at_once_never_have_more_than_they_may(begin: Begin, fake: FakeSaltApi) -> None:
    world = begin(servers_in_all=4, building_at_once=2)
    people = [Actor(f"person-{number}", "api") for number in range(8)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestrator.commands.permissions.check", lambda *_: None)
        asks = [partial(environments.create, world, who, shop(f"of-{who.person}", roles=["api"])) for who in people]
        won, lost = at_once(*asks)
    assert (len(won), {error.code for error in lost}) == (4, {"provider-full"})
    assert [ended(world, each).state for each in won] == ["succeeded"] * 4


def test_what_others_wait_for_is_built_first(begin: Begin, fake: FakeSaltApi) -> None:
    world = begin(building_at_once=1)
    asked = several(world, 2)
    assert [ended(world, each).state for each in asked] == ["succeeded"] * 2
    built = [server for server, function, _ in fake.salt.executed if function == "brinepool.highstate"]
    for name in ("cart-0", "cart-1"):
        mine = [server.removeprefix(f"{name}-") for server in built if server.startswith(name)]
        assert mine[0] == "api-1", built
        assert sorted(mine) == ["api-1", "web-1", "web-2"]


def test_a_cancelled_retry_leaves_the_line(begin: Begin, fake: FakeSaltApi) -> None:
    world = begin(building_at_once=3)
    fake.salt.misbehave(bad.CreateFails("cart-1-api-1", times=1))
    assert ended(world, environments.create(world, ALICE, shop("cart-1"))).state == "failed"
    with blocked(fake):
        first = environments.create(world, ALICE, shop("cart-0"))
        wait_until(lambda: all_boot(world, "cart-0"), 10)
        environments.retry(world, ALICE, "cart-1")
        wait_until(lambda: waiting_for(world, "cart-1").startswith("its turn, "), 10)
        cancelling.cancel(world, ALICE, "cart-1")
        with world.store.transaction() as ledger:
            assert ledger.line("sandbox") == []
    assert ended(world, first).state == "succeeded"
    assert nobody_is_left(world)
