"""What an operation says while Salt is away, and where it is shown."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli import progress as shown_by
from orchestrator.commands import World, environments, health, operations
from orchestrator.commands.views import Accepted, ProgressView, Terminate
from orchestrator.domain.errors import Unavailable
from orchestrator.engine import patience
from orchestrator.engine.waiting import Outages
from tests import programs
from tests.fakes.instant import InstantSalt
from tests.fakes.salt import wait_until
from tests.programs import ALICE, ended, shop

UNREACHABLE = Unavailable("salt-unreachable", "Nothing listens.")
REFUSED = Unavailable("salt-login-refused", "The account is refused.")
SLOW = Unavailable("salt-unanswered", "Not in time.")
UNFINISHED = Unavailable("salt-unanswered", "Not finished in time.", unfinished=True, out_for_s=60.0)
NONSENSE = Unavailable("salt-unanswered", "That is no salt-api.", nonsense=True)


class Away(InstantSalt):
    """A Salt that raises `error` for everything while there is one. `asked`: how often it was asked for anything."""

    error: Unavailable | None = None
    asked = 0

    def health(self) -> None:
        self.asked += 1
        if self.error:
            raise self.error


@pytest.fixture
def salt() -> Away:
    return Away(programs.BRANCHES)


@pytest.fixture
def world(salt: Away, tmp_path: object) -> Iterator[World]:
    with programs.brinepool(programs.settings_for(tmp_path), salt) as running:  # type: ignore[arg-type]
        yield running


def told(world: World, accepted: Accepted) -> list[ProgressView]:
    steps, _ = operations.so_far(world, accepted.operation.id)
    return [step for step in steps if step.phase in ("waiting", "resumed")]


def waits(world: World, accepted: Accepted) -> Callable[[], list[ProgressView]]:
    return lambda: told(world, accepted)


def begun_while_away(world: World, salt: Away, error: Unavailable) -> Accepted:
    """A termination that meets a Salt that is away."""
    ended(world, environments.create(world, ALICE, shop()))
    salt.error = error
    accepted = environments.terminate(world, ALICE, "cart-test", Terminate())
    wait_until(waits(world, accepted), 10)
    return accepted


@pytest.mark.parametrize(
    ("error", "why", "state"),
    [
        (UNREACHABLE, "does not answer", "unreachable"),
        (REFUSED, "refuses our account", "login-refused"),
        (SLOW, "does not answer in time", "slow"),
        (NONSENSE, "answers nonsense", "nonsense"),
    ],
)
def test_it_says_once_what_it_waits_for_and_once_that_it_goes_on(
    world: World, salt: Away, error: Unavailable, why: str, state: str
) -> None:
    assert health.ready(world) == health.Readiness([], "answers")
    accepted = begun_while_away(world, salt, error)
    assert health.ready(world) == health.Readiness([error.message], state)
    shown = environments.show(world, "cart-test").waiting_for or ""
    assert re.fullmatch(rf"salt-api, which {why}, since \ds", shown), shown
    salt.error = None
    assert ended(world, accepted).state == "succeeded"
    waiting, resumed = told(world, accepted)
    assert (waiting.phase, waiting.server, resumed.phase, resumed.server) == ("waiting", None, "resumed", None)
    assert re.fullmatch(rf"salt-api, which {why}, since \ds", waiting.state or "")
    assert re.fullmatch(r"salt-api answers again, after \ds", resumed.state or "")


def test_a_create_goes_on_after_salt_was_away_in_the_middle_of_a_highstate(world: World, salt: Away) -> None:
    salt.returns.clear()
    creating = environments.create(world, ALICE, shop())
    wait_until(lambda: salt.machines and all(s.jid for s in environments.show(world, "cart-test").servers), 10)
    salt.error = UNREACHABLE
    wait_until(waits(world, creating), 10)
    salt.returns.set()
    salt.error = None
    assert ended(world, creating).state == "succeeded"
    assert [step.phase for step in told(world, creating)] == ["waiting", "resumed"]
    assert environments.show(world, "cart-test").waiting_for is None


@pytest.mark.parametrize("back", ["before the next start", "after it"])
def test_it_is_told_once_also_when_brinepool_is_started_anew_meanwhile(tmp_path: Path, salt: Away, back: str) -> None:
    settings = programs.settings_for(tmp_path)
    with programs.brinepool(settings, salt) as world:
        accepted = begun_while_away(world, salt, UNREACHABLE)
    if back == "before the next start":
        salt.error = None
    before = salt.asked
    with programs.brinepool(settings, salt) as world:
        wait_until(lambda: salt.asked >= before + 3, 10)
        salt.error = None
        assert ended(world, accepted).state == "succeeded"
        assert [step.phase for step in told(world, accepted)] == ["waiting", "resumed"]


def test_a_cloud_that_takes_its_time_is_not_called_an_absence_of_salt_api(world: World, salt: Away) -> None:
    accepted = begun_while_away(world, salt, UNFINISHED)
    salt.error = None
    ended(world, accepted)
    waiting, resumed = told(world, accepted)
    assert waiting.state == "the Salt master, which has not finished, since 1m"
    assert re.fullmatch(r"the Salt master has finished, after 1m( \ds)?", resumed.state or "")


def test_an_operation_that_ends_at_its_deadline_does_not_say_that_it_goes_on(
    world: World, salt: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = begun_while_away(world, salt, UNREACHABLE)
    monkeypatch.setattr(patience, "seconds_until", lambda _: 0.0)
    assert ended(world, accepted).state == "failed"
    assert [step.phase for step in told(world, accepted)] == ["waiting"]
    assert environments.show(world, "cart-test").waiting_for is None


def test_one_operation_waits_once_however_many_of_its_servers_do() -> None:
    outages = Outages()
    assert outages.begin("o", "web-1")
    assert not outages.begin("o", "web-2")
    assert not outages.begin("o", "web-1")
    assert outages.begin("p", "web-1")
    assert not outages.end("o", "web-1")
    assert not outages.end("o", "web-1")
    assert outages.end("o", "web-2")
    assert outages.begin("o", "web-1"), "the next time it is told again"


def programs_now():  # type: ignore[no-untyped-def]
    from orchestrator.bootstrap import SystemClock

    return SystemClock().now()


def step(phase: str, state: str) -> ProgressView:
    return ProgressView(seq=1, at=programs_now(), server=None, phase=phase, state=state, elapsed_s=9.0)


def test_the_command_line_shows_it_in_lines_and_under_the_table() -> None:
    console = Console(record=True, width=120, force_terminal=False)
    lines = shown_by.Lines(console)
    lines.step(step("waiting", "salt-api, which does not answer, since 6s"))
    lines.step(step("resumed", "salt-api answers again, after 31s"))
    assert console.export_text().splitlines() == [
        "    9.0 s  operation  waiting for salt-api, which does not answer, since 6s",
        "    9.0 s  operation  resumed: salt-api answers again, after 31s",
    ]
    live = Console(record=True, width=120, force_terminal=True)
    board = shown_by.Board(live)
    board.step(step("waiting", "salt-api, which does not answer, since 6s"))
    live.print(board._render())
    assert "Waiting for salt-api, which does not answer, since 6s" in live.export_text()
    board.step(step("resumed", "salt-api answers again, after 31s"))
    live.print(board._render())
    assert "Waiting" not in live.export_text()
