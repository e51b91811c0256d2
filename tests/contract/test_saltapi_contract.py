"""`SaltApi` keeps every promise of the port `Salt`, with the fake salt-api and with the real one."""

import itertools
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from orchestrator.domain.errors import NotFound, Unavailable
from orchestrator.domain.record import Record
from orchestrator.ports import JobNews, JobReturn, Machine, Salt, SaltRefused, StateProgress
from orchestrator.saltapi.adapter import SaltApi
from tests import records
from tests.contract.legs import SHOP, FakeLeg, Leg, RealLeg
from tests.fakes.salt import Durations, wait_until
from tests.fakes.saltapi import FakeSaltApi

_numbers = itertools.count(1)


@pytest.fixture(
    scope="module",
    params=["fake", pytest.param("real", marks=[pytest.mark.integration, pytest.mark.stack])],
)
def leg(request: pytest.FixtureRequest) -> Iterator[Leg]:
    if request.param == "real":
        yield RealLeg(request.getfixturevalue("running_stack"))
        return
    with FakeSaltApi() as api:
        yield FakeLeg(api)


@pytest.fixture(scope="module")
def salt(leg: Leg) -> Iterator[SaltApi]:
    salt = leg.connect()
    salt.start()
    yield salt
    salt.close()


@pytest.fixture(scope="module")
def server(leg: Leg, salt: SaltApi) -> Iterator[str]:
    """A server whose minion runs, shared by the tests that leave it as it is."""
    wanted = record("contract-api-1")
    salt.create(wanted, "small", leg.patience)
    assert salt.minion_started(wanted.server, leg.patience)
    yield wanted.server
    salt.destroy(wanted.server, records.operation_id(), leg.patience)


@pytest.fixture
def name(leg: Leg, salt: SaltApi) -> Iterator[str]:
    """A server's name that nobody has used; what bears it in the end is removed."""
    name = f"contract-web-{next(_numbers)}"
    yield name
    salt.destroy(name, records.operation_id(), leg.patience)


def record(server: str, operation: str | None = None) -> Record:
    return records.record(server, SHOP, operation=operation)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(SaltRefused) as caught:
        call()
    assert caught.value.message.endswith((".", "?")), "one sentence for people"
    assert "Traceback" not in caught.value.message
    return caught.value.code


def unavailable(call: Callable[[], object]) -> str:
    with pytest.raises(Unavailable) as caught:
        call()
    return caught.value.code


def follow(salt: Salt, server: str, jid: str, seconds: float) -> tuple[list[StateProgress], JobReturn | None]:
    """As the engine does it: in slices, again when Salt is away. None when the job is lost."""
    until, progress = time.monotonic() + seconds, []
    while time.monotonic() < until:
        try:
            news = salt.news(server, jid, 1.0)
        except Unavailable:
            news = JobNews()
        progress += news.progress
        if news.returned or news.lost:
            return progress, news.returned
    raise AssertionError("neither returned nor lost in time")


def follow_to(salt: Salt, server: str, jid: str, seconds: float) -> JobNews:
    """The first news of a job."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        news = salt.news(server, jid, 1.0)
        if news != JobNews():
            return news
    raise AssertionError("no news in time")


# Health and the account


def test_health(salt: SaltApi) -> None:
    salt.health()


def test_a_wrong_password_is_refused(leg: Leg) -> None:
    salt = leg.connect("wrong")
    assert unavailable(salt.health) == "salt-login-refused"
    assert unavailable(salt.inventory) == "salt-login-refused"
    salt.close()


def test_nobody_there() -> None:
    with socket.socket() as unused:  # bound, but not listening
        unused.bind(("127.0.0.1", 0))
        salt = SaltApi(f"http://127.0.0.1:{unused.getsockname()[1]}", "brinepool", lambda: "secret")
        assert unavailable(salt.health) == "salt-unreachable"
        assert unavailable(lambda: salt.create(record("a-web-1"), "small", 1)) == "salt-unreachable"
        assert unavailable(lambda: salt.news("a-web-1", salt.new_jid(), 0.5)) == "salt-unreachable"
        salt.close()


# Branches


def test_branches(salt: SaltApi) -> None:
    branches = salt.branches("shop", "api")
    assert branches.default == "main"
    assert "main" in branches.names
    assert list(branches.names) == sorted(branches.names)
    assert "@" not in branches.repository
    every = salt.all_branches("shop")
    assert set(every) == {"api", "web"}
    assert every["api"] == branches


def test_branches_of_what_is_not_there(salt: SaltApi) -> None:
    assert refused(lambda: salt.branches("nothing", "api")) == "template-unknown"
    assert refused(lambda: salt.all_branches("nothing")) == "template-unknown"
    assert refused(lambda: salt.branches("shop", "nothing")) == "role-unknown"


# Servers


def of_name(salt: SaltApi, name: str) -> Machine | None:
    return next((machine for machine in salt.inventory() if machine.server == name), None)


def test_create_is_idempotent_by_name(leg: Leg, salt: SaltApi, name: str) -> None:
    wanted = record(name)
    made = salt.create(wanted, "small", leg.patience)
    assert (made.server, made.profile, made.key, made.record) == (name, "small", "accepted", True)
    assert made.address
    assert salt.create(wanted, "small", leg.patience).address == made.address
    listed = of_name(salt, name)
    assert listed is not None
    assert (listed.address, listed.key, listed.record) == (made.address, "accepted", True)


def test_what_an_earlier_bearer_of_the_name_left_is_not_used(leg: Leg, salt: SaltApi, name: str) -> None:
    salt.create(record(name), "small", leg.patience)
    since = records.operation_id()
    made = salt.create(record(name), "small", leg.patience, since)
    assert (made.server, made.key, made.record) == (name, "accepted", True)
    assert salt.minion_started(name, leg.patience), "its minion has the key that the master accepted"
    assert salt.create(record(name), "small", leg.patience, since).address == made.address


def test_the_provider_of_every_profile(salt: SaltApi) -> None:
    assert salt.providers()["small"] == "sandbox"


def test_create_at_the_same_time_makes_one(leg: Leg, salt: SaltApi, name: str) -> None:
    wanted, made = record(name), []
    threads = [
        threading.Thread(target=lambda: made.append(salt.create(wanted, "small", leg.patience).address))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    assert len(set(made)) == 1


def test_create_with_an_unknown_profile(leg: Leg, salt: SaltApi, name: str) -> None:
    assert refused(lambda: salt.create(record(name), "enormous", leg.patience)) == "profile-unknown"
    assert of_name(salt, name) is None


def test_destroy_is_idempotent_and_leaves_nothing(leg: Leg, salt: SaltApi, name: str) -> None:
    salt.create(record(name), "small", leg.patience)
    assert salt.destroy(name, records.operation_id(), leg.patience) is True
    assert salt.destroy(name, records.operation_id(), leg.patience) is False
    assert of_name(salt, name) is None


def test_a_create_of_an_older_operation_is_superseded(leg: Leg, salt: SaltApi, name: str) -> None:
    older = record(name)
    salt.destroy(name, records.operation_id(), leg.patience)
    assert refused(lambda: salt.create(older, "small", leg.patience)) == "superseded"
    assert of_name(salt, name) is None


def test_put(salt: SaltApi, server: str, name: str) -> None:
    address = of_name(salt, server)
    assert address is not None
    salt.put([record(server).model_copy(update={"address": address.address})])
    salt.put([])
    assert refused(lambda: salt.put([record(name)])) == "record-invalid"


# Minions


def test_a_minion_that_runs_has_started_whoever_asks_and_however_often(leg: Leg, salt: SaltApi, server: str) -> None:
    assert salt.minion_started(server, 10)
    assert salt.minion_started(server, 10)
    other = leg.connect()
    assert other.minion_started(server, 10)
    other.close()


def test_a_minion_that_is_not_there_has_not_started(salt: SaltApi, name: str) -> None:
    began = time.monotonic()
    assert not salt.minion_started(name, 0.5)
    assert time.monotonic() - began < 5


# Jobs


def test_which_of_many_answer_is_told_in_one_call(salt: SaltApi, server: str) -> None:
    assert salt.answering([], 1.0) == frozenset()
    assert salt.answering([server], 30.0) == {server}
    assert salt.answering([server, "nobody-api-1"], 3.0) == {server}
    assert salt.answering(["nobody-api-1"], 1.0) == frozenset()


def test_job_ids_are_of_salts_form_unique_and_ascending(salt: SaltApi) -> None:
    jids = [salt.new_jid() for _ in range(1_000)]
    assert jids == sorted(set(jids))
    assert all(re.fullmatch(r"20\d{18}", jid) for jid in jids)


def test_a_highstate_tells_its_progress_and_returns(leg: Leg, salt: SaltApi, server: str) -> None:
    jid = salt.new_jid()
    salt.submit(server, jid, "highstate")
    progress, returned = follow(salt, server, jid, leg.patience)
    assert returned is not None
    assert returned.retcode == 0, returned.ret
    assert isinstance(returned.ret, dict)
    assert any(state.get("data", {}).get("commit") for state in returned.ret.values())
    assert {"checkout", "env", "build", "service", "health"} <= {state.name for state in progress}
    assert [state.n for state in progress] == sorted(state.n for state in progress)
    assert all(1 <= state.n <= state.of and state.ok for state in progress)


def test_a_job_that_ended_is_told_again_and_to_others(leg: Leg, salt: SaltApi, server: str) -> None:
    jid = salt.new_jid()
    salt.submit(server, jid, "logs")
    _, returned = follow(salt, server, jid, leg.patience)
    assert returned is not None
    assert follow(salt, server, jid, leg.patience)[1] == returned
    other = leg.connect()
    assert follow(other, server, jid, leg.patience) == ([], returned)
    other.close()


def test_a_job_id_is_run_once(leg: Leg, salt: SaltApi, server: str) -> None:
    jid, later = salt.new_jid(), salt.new_jid()
    salt.submit(server, jid, "logs")
    _, returned = follow(salt, server, jid, leg.patience)
    seen = salt.hub.seq
    salt.submit(server, jid, "logs")
    salt.submit(server, later, "logs")
    assert follow(salt, server, later, leg.patience)[1] is not None
    again = salt.hub.wait([f"job/{jid}/{server}"], seen, time.monotonic(), salt.hub.generation)
    assert again == [], "the minion took the later job, and not the repeated one before it"
    assert follow(salt, server, jid, leg.patience)[1] == returned


def test_a_job_for_a_server_that_is_not_there(salt: SaltApi, name: str) -> None:
    assert refused(lambda: salt.submit(name, salt.new_jid(), "highstate")) == "server-unknown"


def test_a_job_that_nobody_runs_is_lost(leg: Leg, salt: SaltApi, server: str) -> None:
    assert follow(salt, server, salt.new_jid(), leg.patience) == ([], None)


def test_no_news_is_an_empty_answer_in_time(leg: Leg, salt: SaltApi, name: str) -> None:
    """Nobody can answer for a server that is not there: that is silence, not a loss."""
    began = time.monotonic()
    assert salt.news(name, salt.new_jid(), 0.5) == JobNews()
    assert time.monotonic() - began < 5


def test_a_highstate_that_is_killed_returns_nothing_and_makes_room_for_the_next(
    leg: Leg, salt: SaltApi, server: str
) -> None:
    machine = of_name(salt, server)
    assert machine is not None
    leg.dawdle(0.2)
    # A highstate that has nothing to do would end before the kill arrives.
    salt.put([record(server).model_copy(update={"address": machine.address, "build": ("sleep 100",)})])
    assert killed(leg, salt, server)
    leg.dawdle(Durations.state)
    salt.put([record(server).model_copy(update={"address": machine.address})])
    _, returned = follow_highstate(leg, salt, server)
    assert returned is not None
    assert isinstance(returned.ret, dict), returned


def killed(leg: Leg, salt: SaltApi, server: str) -> bool:
    """Begin a highstate and kill it. → whether it returned nothing."""
    jid = salt.new_jid()
    salt.submit(server, jid, "highstate")
    follow_to(salt, server, jid, leg.patience)
    salt.kill(server, jid)
    return follow(salt, server, jid, leg.patience)[1] is None


def test_there_may_be_nothing_to_kill(leg: Leg, salt: SaltApi, server: str, name: str) -> None:
    jid = salt.new_jid()
    salt.submit(server, jid, "highstate")
    _, returned = follow(salt, server, jid, leg.patience)
    for _ in range(2):
        salt.kill(server, jid)
    salt.kill(server, salt.new_jid())
    salt.kill(name, jid)
    assert salt.job(jid).returns == {server: returned}


def test_the_whole_of_a_job(leg: Leg, salt: SaltApi, server: str) -> None:
    jid = salt.new_jid()
    salt.submit(server, jid, "highstate")
    _, returned = follow(salt, server, jid, leg.patience)
    assert returned is not None
    job = salt.job(jid)
    assert (job.jid, dict(job.returns)) == (jid, {server: returned})


def test_a_job_that_salt_does_not_know(salt: SaltApi) -> None:
    with pytest.raises(NotFound) as caught:
        salt.job(salt.new_jid())
    assert caught.value.code == "job-unknown"


def test_the_boot_log_of_a_server(leg: Leg, salt: SaltApi, server: str, name: str) -> None:
    assert isinstance(salt.boot_log(server), str)
    assert salt.boot_log(name) == "", "there is no such server"
    salt.create(record(name), "small", leg.patience)
    assert isinstance(salt.boot_log(name), str), "one that has hardly begun"
    salt.destroy(name, records.operation_id(), leg.patience)
    assert salt.boot_log(name) == "", "it is gone"


# What happens to salt-api


def test_expired_tokens_are_not_noticed(leg: Leg, salt: SaltApi, server: str) -> None:
    salt.health()
    leg.expire_tokens()
    salt.health()
    leg.expire_tokens()
    assert of_name(salt, server) is not None
    leg.expire_tokens()
    jid = salt.new_jid()
    salt.submit(server, jid, "logs")
    assert follow(salt, server, jid, leg.patience)[1] is not None


def test_a_restart_of_salt_api_in_the_middle_loses_nothing(leg: Leg, salt: SaltApi, server: str) -> None:
    wait_until(lambda: salt.hub.connected, leg.patience)
    before, jid = salt.hub.generation, salt.new_jid()
    salt.submit(server, jid, "highstate")
    leg.restart()
    _, returned = follow(salt, server, jid, leg.patience)
    assert returned is not None
    assert returned.retcode == 0
    wait_until(lambda: salt.hub.connected and salt.hub.generation >= before + 2, leg.patience)
    progress, _ = follow_highstate(leg, salt, server)
    assert progress, "events come again"


def follow_highstate(leg: Leg, salt: SaltApi, server: str) -> tuple[list[StateProgress], JobReturn | None]:
    jid = salt.new_jid()
    salt.submit(server, jid, "highstate")
    return follow(salt, server, jid, leg.patience)
