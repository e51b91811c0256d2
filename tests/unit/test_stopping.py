"""A Brinepool that is told to end: what runs pauses, what is new is refused in one sentence, and nothing is lost."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient

from orchestrator.commands import World, cancelling, environments, health, leaks, operations, reaper, servers
from orchestrator.commands.views import CreateServer, Deploy, Extend, Terminate
from orchestrator.domain.environment import Actor
from orchestrator.domain.errors import Unavailable
from orchestrator.web import serve
from orchestrator.web.app import create_app
from orchestrator.web.serve import Server
from tests import programs
from tests.fakes import misbehaviour as bad
from tests.fakes.salt import wait_until
from tests.fakes.saltapi import FakeSaltApi
from tests.programs import ALICE, BOB, ended, shop
from tests.unit.doors import TOKEN, Stage

OLGA = Actor("olga", "cli")
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def test_nothing_new_is_begun_and_what_was_accepted_is_told_again(world: World, fake: FakeSaltApi) -> None:
    fake.salt.misbehave(bad.NeverComesUp())
    known = environments.create(world, ALICE, shop(), key="k")
    world.stopping.set()
    assert environments.create(world, ALICE, shop(), key="k").operation.id == known.operation.id
    for begin in (
        lambda: environments.create(world, ALICE, shop("other", branch="feature/cart")),
        lambda: environments.create(world, ALICE, shop("other"), key="new"),
        lambda: servers.create(world, ALICE, CreateServer(template="shop", role="api", name="other")),
        lambda: environments.deploy(world, ALICE, "cart-test", Deploy(what="main")),
        lambda: environments.retry(world, ALICE, "cart-test"),
        lambda: environments.terminate(world, ALICE, "cart-test", Terminate()),
        lambda: servers.terminate(world, ALICE, "cart-test-api-1", Terminate()),
        lambda: cancelling.cancel(world, BOB, "cart-test"),
        lambda: reaper.reap_now(world, OLGA),
        lambda: leaks.sweep_now(world, OLGA),
    ):
        with pytest.raises(Unavailable, match="is about to stop") as refused:
            begin()
        assert refused.value.code == "stopping"
    assert [each.name for each in environments.list_all(world)] == ["cart-test"]
    assert fake.calls["runner brinepool.branches"] == 0, "what is refused costs nobody anything"
    environments.extend(world, BOB, "cart-test", Extend())


def test_it_is_not_ready_any_more(world: World) -> None:
    assert health.ready(world).missing == []
    world.stopping.set()
    assert health.ready(world).missing == ["Brinepool is about to stop, or to be started anew."]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path, threads=4)
    made.play = made.begin
    return made


@pytest.fixture
def client(stage: Stage) -> FlaskClient:
    made = create_app(stage.world).test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    return made


def test_over_http_it_is_a_problem_document_that_says_when_to_come_again(stage: Stage, client: FlaskClient) -> None:
    stage.world.stopping.set()
    answer = client.post("/api/v1/environments", json={"template": "shop", "name": "cart"})
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert answer.headers["Retry-After"] == "5"
    problem = answer.get_json()
    assert (problem["code"], problem["retry_after_s"]) == ("stopping", 5)
    assert problem["detail"] == "Brinepool is about to stop, or to be started anew; ask again in a few seconds."
    assert client.get("/api/v1/environments").status_code == 200, "looking is no work"
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["code"]) == (503, "not-ready")
    assert client.get("/healthz").status_code == 200


class Ending:
    """A server in a thread, with work behind it. `stop()` is the signal."""

    def __init__(self, world: World) -> None:
        self.idle, self._world = threading.Event(), world
        self.server = Server(create_app(world), "127.0.0.1", 0, world.settings.threads)
        self.thread = threading.Thread(target=self.server.run, args=(world.stopping, self.idle.is_set), daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.port}"

    def create(self) -> requests.Response:
        body = {"template": "shop", "name": "cart"}
        return requests.post(f"{self.url}/api/v1/environments", json=body, headers=HEADERS, timeout=5)


@pytest.fixture
def ending(stage: Stage) -> Iterator[Ending]:
    found = Ending(stage.world)
    yield found
    stage.world.stopping.set()
    found.idle.set()
    found.thread.join(5)
    assert not found.thread.is_alive()


def test_while_work_pauses_it_goes_on_answering(stage: Stage, ending: Ending) -> None:
    stage.world.stopping.set()
    for _ in range(3):
        assert ending.create().status_code == 503
    ending.idle.set()
    ending.thread.join(serve.DRAIN_S)
    assert not ending.thread.is_alive(), "it ends as soon as the work has paused"
    with pytest.raises(requests.ConnectionError):
        ending.create()


def test_work_that_does_not_pause_is_not_waited_for_without_end(
    stage: Stage, ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "DRAIN_S", 0.3)
    stage.world.stopping.set()
    ending.thread.join(5)
    assert not ending.thread.is_alive()


@pytest.mark.parametrize("moment", ["machines", "boots", "highstates"])
def test_what_runs_pauses_in_any_phase_and_ends_ready_after_the_next_start(
    fake: FakeSaltApi, tmp_path: Path, moment: str
) -> None:
    slow = {"machines": {"create": 0.5}, "boots": {"boot": 1.0}, "highstates": {"state": 0.3}}[moment]
    fake.salt.durations = replace(fake.salt.durations, **slow)
    begun = {
        "machines": lambda: fake.calls["runner_async brinepool.create"],
        "boots": lambda: len(fake.salt.machines) == 3,
        "highstates": lambda: fake.salt.executed,
    }[moment]
    settings = programs.settings_for(tmp_path)
    with programs.whole_brinepool(settings, fake.connect()) as running:
        creating = environments.create(running.world, ALICE, shop())
        wait_until(begun, 10)
        running.world.stopping.set()
        wait_until(running.idle, 3)
        assert not operations.show(running.world, creating.operation.id).state.ended
    with programs.brinepool(settings, fake.connect()) as world:
        assert ended(world, creating).state == "succeeded"
        assert environments.show(world, "cart-test").status == "ready"
    highstates = Counter(server for server, function, _ in fake.salt.executed if function == "brinepool.highstate")
    assert set(highstates.values()) == {1}, highstates
    assert len(fake.salt.machines) == 3
