"""Several Brinepools on one PostgreSQL: real processes, killed, stopped and woken, over a fake salt-api."""

import dataclasses
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from orchestrator.commands import environments
from orchestrator.domain.environment import Actor
from orchestrator.engine import schedule
from orchestrator.engine.replicas import Pulse
from tests import programs, replicas
from tests.chat.webhook_leg import Bot
from tests.fakes.salt import Durations
from tests.fakes.saltapi import FakeSaltApi
from tests.postgres import Postgres
from tests.programs import BRANCHES
from tests.replicas import Fleet, Process, wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]  # a dozen processes on a machine that has much to do

ENVIRONMENTS = 10
SERVERS = 2 * ENVIRONMENTS
# Long enough to be in the middle of something, and to be taken over in the middle of it.
SLOW = Durations(create=0.3, boot=0.5, state=0.5)


@pytest.fixture
def salt() -> Iterator[FakeSaltApi]:
    with FakeSaltApi(durations=SLOW) as api:
        api.salt.branches.update(BRANCHES)
        yield api


@pytest.fixture
def fleet(postgresql: Postgres, salt: FakeSaltApi, tmp_path: Path) -> Iterator[Fleet]:
    with replicas.fleet(tmp_path, postgresql.database(), salt) as found:
        yield found


def create_all(fleet: Fleet, serve: Process) -> None:
    """Ten environments at once, of two servers each."""
    for number in range(ENVIRONMENTS):
        serve.create(f"cart-{number}", counts={"web": 1})


def busy(fleet: Fleet, *workers: Process) -> tuple[Process, list[str]]:
    """The first of these that has several highstates under way. → it, and all that it is at."""

    def found() -> tuple[Process, list[str]] | None:
        for each in workers:
            at = fleet.at_work(each)
            if len([one for one in at if "boot_and_configure" in one]) >= 2 and fleet.salt.salt.executed:
                return each, at
        return None

    return wait_for(found, fleet.said)


def made(salt: FakeSaltApi) -> Counter[str]:
    """How often each server was made."""
    ends = [
        data for tag, data in salt.salt.events if tag.endswith("/ret") and data.get("fun") == "runner.brinepool.create"
    ]
    return Counter(end["return"]["server"]["server"] for end in ends if end["return"]["created"])


def highstates(salt: FakeSaltApi) -> Counter[str]:
    """How many highstates each server has begun."""
    return Counter(server for server, function, _ in salt.salt.executed if function == "brinepool.highstate")


def assert_whole(fleet: Fleet) -> None:
    """Everything ended as it would have, and nothing was done twice."""
    fleet.await_end()
    assert fleet.states() == {"succeeded": ENVIRONMENTS}, fleet.said()
    assert {row[0] for row in fleet.rows("SELECT status FROM environments")} == {"ready"}
    assert {row[0] for row in fleet.rows("SELECT status FROM servers")} == {"ready"}
    assert set(made(fleet.salt).values()) == {1}
    assert len(made(fleet.salt)) == len(fleet.salt.salt.machines) == SERVERS
    assert set(highstates(fleet.salt).values()) == {1}, "a highstate was started anew"
    for kind in ("server.created", "server.booted", "server.ready"):
        told = Counter(row[0] for row in fleet.rows("SELECT server FROM events WHERE kind = %s", kind))
        assert set(told.values()) == {1}, (kind, told)
        assert len(told) == SERVERS


def test_a_killed_worker_is_found_dead_and_its_work_is_done_by_the_others(fleet: Fleet) -> None:
    serve, *workers = fleet.start("serve", "worker", "worker")
    assert len(fleet.replicas()) == 3
    create_all(fleet, serve)
    victim, at = busy(fleet, *workers)
    victim.signal(signal.SIGKILL)
    assert victim.ended() == -signal.SIGKILL
    assert_whole(fleet)
    assert not fleet.is_replica(victim)
    assert fleet.at_work(victim) == []
    assert any(f"-{each.process.pid}-" in executor for each in (serve, *workers) if each is not victim
               for executor in fleet.executors(at))  # fmt: skip
    told = [each.log.count("took over") for each in fleet.processes]
    assert sum(told) == 1, "one replica, once"


def test_one_that_was_thought_dead_and_wakes_does_nothing_twice(fleet: Fleet) -> None:
    serve, *workers = fleet.start("serve", "worker", "worker")
    create_all(fleet, serve)
    sleeper, _ = busy(fleet, *workers)
    sleeper.signal(signal.SIGSTOP)
    assert_whole(fleet)
    assert not fleet.is_replica(sleeper)
    sleeper.signal(signal.SIGCONT)
    wait_for(lambda: fleet.is_replica(sleeper), fleet.said)
    wait_for(lambda: "was thought dead" in sleeper.log, fleet.said)
    # What it was doing ends where it would write down the next step.
    wait_for(lambda: "no longer owned by this execution" in sleeper.log, fleet.said)
    assert_whole(fleet)
    assert fleet.at_work(sleeper) == []
    # And it is one of them again: the only one that is left does the rest.
    for each in (serve, *workers):
        if each is not sleeper and each is not serve:
            each.signal(signal.SIGKILL)
    fleet.salt.salt.durations = Durations()
    serve.create("later", counts={"web": 1})
    fleet.await_end()
    assert fleet.states() == {"succeeded": ENVIRONMENTS + 1}, fleet.said()


def test_one_that_is_asked_to_stop_hands_over_at_once(fleet: Fleet) -> None:
    serve, *workers = fleet.start("serve", "worker", "worker")
    create_all(fleet, serve)
    leaver, _ = busy(fleet, *workers)
    leaver.signal(signal.SIGTERM)
    assert leaver.ended() == 0
    since = time.monotonic()
    assert not fleet.is_replica(leaver)
    wait_for(lambda: not fleet.at_work(leaver), fleet.said)
    assert time.monotonic() - since < Pulse().dead_after, "nobody waits until it counts as dead"
    assert_whole(fleet)


def test_what_was_written_down_and_never_started_is_started_once_by_several(fleet: Fleet, tmp_path: Path) -> None:
    """As after a kill between the rows of a request and the start of its workflow."""
    settings = programs.settings_for(tmp_path, database_url=fleet.database)
    with (
        mock.patch.object(schedule, "start_forgotten", return_value=0),
        programs.brinepool(settings, fleet.salt.connect()) as world,
    ):
        dying = dataclasses.replace(world, start=lambda operation: None)
        for number in range(ENVIRONMENTS):
            environments.create(dying, Actor("ada", "cli"), programs.shop(f"cart-{number}", counts={"web": 1}))
    assert fleet.states() == {"pending": ENVIRONMENTS}
    fleet.start("serve", "worker", "worker")
    assert_whole(fleet)
    assert fleet.rows("SELECT count(*) FROM dbos.workflow_status WHERE name = 'create_environment'") == [
        (ENVIRONMENTS,)
    ]


def test_two_that_serve_tell_every_notice_once_and_a_card_as_one(fleet: Fleet) -> None:
    bot = Bot()
    try:
        one, two, _ = fleet.start("serve", "serve", "worker", settings=settings_of(bot))
        for number in range(ENVIRONMENTS):
            (one, two)[number % 2].create(f"cart-{number}", counts={"web": 1})
        assert_whole(fleet)
        wait_for(lambda: not untold(fleet), fleet.said)
        told = Counter((update["kind"], update["text"].splitlines()[0]) for update in bot.updates)
        assert set(told.values()) == {1}, told
        assert len(told) == 2 * ENVIRONMENTS
        by_chat(fleet, bot, two, "by-chat")
        one.signal(signal.SIGKILL)
        wait_for(lambda: not fleet.is_replica(one), fleet.said)
        by_chat(fleet, bot, two, "by-chat-too")
    finally:
        bot.close()
    assert bot.refused == []


def settings_of(bot: Bot) -> str:
    return f'[bots.beacon]\nsecret = "{bot.secret}"\ncallback_url = "{bot.callback_url}"\nrooms = {{shop-dev = "C1"}}\n'


def untold(fleet: Fleet) -> list[tuple[str, ...]]:
    return fleet.rows("SELECT workflow_uuid FROM dbos.workflow_status WHERE name = 'tell' AND status <> 'SUCCESS'")


def by_chat(fleet: Fleet, bot: Bot, serve: Process, name: str) -> None:
    """Create an environment in a chat: its card shows progress, and then its outcome and nothing else."""
    bot.endpoint = f"{serve.url}/api/v1/chat/beacon"
    bot.say(user="ada", room={"id": "C2", "name": "elsewhere"}, text=f"create shop feature/cart as {name}")
    wait_for(
        lambda: [each for each in bot.updates if f"{name} is ready" in each["text"]],
        lambda: [fleet.said(), [(each.status_code, each.text) for each in bot.answers]],
    )
    wait_for(lambda: not untold(fleet), fleet.said)
    edits = [each["text"] for each in bot.updates if each["kind"] == "edit" and each["room"] == "C2"]
    mine = [text for text in edits if name in text]
    assert len(mine) > 1, "no progress was shown"
    assert "is ready" in mine[-1]
