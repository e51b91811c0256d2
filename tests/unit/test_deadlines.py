"""Every phase has a deadline from the template, and says what it waited for when it runs out."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands import World, environments, servers
from orchestrator.commands.views import Accepted, Deploy, FailureView, Terminate
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.record import Record
from orchestrator.ports import JobNews, Machine
from tests import programs
from tests.fakes.instant import InstantSalt
from tests.fakes.salt import wait_until
from tests.programs import ALICE, ended, shop

# Each of its own length, so that a test sees which one counted.
SPANS = "deadlines: {boot: 1s, configure: 1s, health: 1s, terminate: 3s}"
LOG = "[CRITICAL] The minion has no disk left"

NOBODY = Unavailable("salt-unreachable", "Nothing listens.", detail="connection refused")
REFUSED = Unavailable("salt-login-refused", "The account is refused.")
SLOW = Unavailable("salt-unanswered", "Not in time.")
NONSENSE = Unavailable("salt-unanswered", "That is no salt-api.", nonsense=True)
UNFINISHED = Unavailable("salt-unanswered", "Salt did not finish in time.", unfinished=True, out_for_s=60.0)


class Failing(InstantSalt):
    """A Salt that raises `away[method]` for what is called through that method. `killed`: the jobs that were ended."""

    def __init__(self) -> None:
        super().__init__(programs.BRANCHES)
        self.away: dict[str, Unavailable] = {}
        self.lost = False
        self.killed: list[str] = []

    def create(self, *asked: Any, **more: Any) -> Machine:
        self._may("create")
        return super().create(*asked, **more)

    def destroy(self, *asked: Any, **more: Any) -> bool:
        self._may("destroy")
        return super().destroy(*asked, **more)

    def put(self, records: Sequence[Record]) -> None:
        self._may("put")
        super().put(records)

    def minion_started(self, server: str, seconds: float) -> bool:
        self._may("minion_started")
        return super().minion_started(server, seconds) or threading.Event().wait(min(seconds, 0.05))

    def submit(self, server: str, jid: str, function: str, argument: Mapping[str, Any] | None = None) -> None:
        self._may("submit")
        super().submit(server, jid, function, argument)

    def news(self, server: str, jid: str, seconds: float) -> JobNews:
        self._may("news")
        return JobNews(lost=True) if self.lost else super().news(server, jid, min(seconds, 0.05))

    def kill(self, server: str, jid: str) -> None:
        self.killed.append(server)
        super().kill(server, jid)

    def _may(self, method: str) -> None:
        if method in self.away:
            raise self.away[method]


@pytest.fixture
def salt() -> Failing:
    return Failing()


@pytest.fixture
def world(salt: Failing, tmp_path: Path) -> Iterator[World]:
    settings = programs.settings_for(tmp_path)
    template = settings.site / "templates" / "shop.yaml"
    template.write_text(template.read_text().replace("deadlines: {boot: 20s, configure: 20s, health: 5s}", SPANS))
    with programs.brinepool(settings, salt) as running:
        yield running


def failure(world: World, accepted: Accepted) -> FailureView:
    """Why it failed, which it must, and not before the time was over that it names."""
    found = ended(world, accepted)
    assert found.state == "failed"
    assert found.failure is not None
    if within := re.search(r"within (\d)s", found.failure.title):
        assert found.elapsed_s >= int(within[1])
    return found.failure


def created(world: World) -> Accepted:
    return environments.create(world, ALICE, shop(roles=("api",)))


def ready(world: World) -> None:
    assert ended(world, created(world)).state == "succeeded"


def terminated(world: World) -> Accepted:
    return environments.terminate(world, ALICE, "cart-test", Terminate())


@pytest.mark.parametrize(
    ("method", "undone", "within"),
    [
        ("create", "its machine was not made", "1s"),
        ("minion_started", "its minion was not heard of", "1s"),
        ("submit", "its highstate was not begun", "2s"),
        ("news", "the end of its highstate was not heard of", "2s"),
    ],
)
def test_a_create_during_which_salt_stays_away_says_so_and_for_what_it_waited(
    world: World, salt: Failing, method: str, undone: str, within: str
) -> None:
    salt.away[method] = NOBODY
    told = failure(world, created(world))
    assert told.title == f"cart-test-api-1: {undone} within {within}, because salt-api did not answer."
    assert (told.code, told.audience, told.explanation) == ("salt-unreachable", "ops", "Nothing listens.")
    assert "brine status" in told.action
    assert told.evidence == "connection refused"


@pytest.mark.parametrize(
    ("error", "because"),
    [
        (REFUSED, "salt-api refused our account"),
        (SLOW, "salt-api did not answer in time"),
        (NONSENSE, "salt-api answered nonsense"),
        (UNFINISHED, "the Salt master did not finish"),
    ],
)
def test_what_was_wrong_with_salt_is_told(world: World, salt: Failing, error: Unavailable, because: str) -> None:
    salt.away["create"] = error
    told = failure(world, created(world))
    assert told.title == f"cart-test-api-1: its machine was not made within 1s, because {because}."
    assert told.code == error.code


def test_records_that_cannot_be_written(world: World, salt: Failing) -> None:
    ready(world)
    salt.away["put"] = NOBODY
    told = failure(world, environments.deploy(world, ALICE, "cart-test", Deploy(what="feature/cart")))
    assert told.title == "cart-test-api-1: its record was not written within 2s, because salt-api did not answer."


def test_a_server_that_cannot_be_removed(world: World, salt: Failing) -> None:
    ready(world)
    salt.away["destroy"] = NOBODY
    told = failure(world, terminated(world))
    assert told.title == "cart-test-api-1: it was not removed within 3s, because salt-api did not answer."
    assert environments.show(world, "cart-test").status == "terminating"
    salt.away.clear()
    assert ended(world, environments.terminate(world, ALICE, "cart-test", Terminate())).state == "succeeded"


def test_what_is_left_of_a_degraded_server_cannot_be_removed(world: World, salt: Failing) -> None:
    ready(world)
    with world.store.transaction() as ledger:
        found = ledger.server("cart-test-api-1")
        assert found is not None
        changes = {"degraded": "its machine is gone", "degraded_since": world.clock.now()}
        ledger.mark_server(found.environment, found.name, ALICE, "server.degraded", **changes)
    salt.away["destroy"] = NOBODY
    told = failure(world, environments.retry(world, ALICE, "cart-test"))
    undone = "what was left of it was not removed within 1s"
    assert told.title == f"cart-test-api-1: {undone}, because salt-api did not answer."


def test_a_minion_that_never_answers(world: World, salt: Failing) -> None:
    salt.boot_logs["cart-test-api-1"] = LOG
    salt.silent.add("cart-test-api-1")
    told = failure(world, created(world))
    assert told.code == "never-started"
    assert told.title == "cart-test-api-1: the machine was made, but its minion did not answer within 1s."
    assert told.evidence == LOG


def test_a_highstate_that_takes_too_long_says_how_far_it_came_and_is_ended(world: World, salt: Failing) -> None:
    salt.returns.clear()
    creating = created(world)
    wait_until(lambda: servers.show(world, "cart-test-api-1").jid)
    with world.store.transaction() as ledger:
        operation = ledger.operation(creating.operation.id)
        assert operation is not None
        for number, state in enumerate(("checkout", "env"), 1):
            ledger.note(operation, "server.state_finished", "cart-test-api-1", state=state, n=number, of=6, ok=True)
    told = failure(world, creating)
    assert told.code == "no-return"
    assert told.title == "cart-test-api-1: its minion took the highstate and did not return within 2s."
    assert told.explanation == "The last of its steps that ended was “env” (2 of 6)."
    assert salt.killed == ["cart-test-api-1"], "nothing goes on behind our back"


def test_a_highstate_of_which_nothing_is_heard_says_so(world: World, salt: Failing) -> None:
    salt.returns.clear()
    assert failure(world, created(world)).explanation == "None of its steps ended."


def test_a_job_that_is_lost_again_and_again(world: World, salt: Failing) -> None:
    salt.lost = True
    told = failure(world, created(world))
    assert told.title == "cart-test-api-1: its minion took the highstate and did not return within three attempts."


def test_the_deadline_of_health_goes_with_the_record_to_the_minion(world: World, salt: Failing) -> None:
    ready(world)
    assert salt.records["cart-test-api-1"].health_deadline == 1


def test_a_phase_that_has_no_template_any_more_ends_all_the_same(world: World, salt: Failing) -> None:
    ready(world)
    (world.settings.site / "templates" / "shop.yaml").unlink()
    wait_until(lambda: "shop" not in world.templates.current().templates)
    assert ended(world, terminated(world)).state == "succeeded"
