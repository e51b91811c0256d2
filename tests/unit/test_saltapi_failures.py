"""What goes wrong with Salt, by name, and what the adapter makes of it."""

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from ruamel.yaml import YAML

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.record import Record
from orchestrator.domain.template import Template
from orchestrator.ports import Job, JobReturn, Machine, SaltRefused, StateProgress
from orchestrator.saltapi.adapter import SaltApi
from orchestrator.saltapi.suspense import Patience
from tests import programs, records
from tests.fakes import misbehaviour as bad
from tests.fakes.highstate import STATES, commit_of
from tests.fakes.salt import wait_until
from tests.fakes.saltapi import IMPATIENT, FakeSaltApi

API = "cart-test-api-1"
WEB = "cart-test-web-1"
SHOP = Template.model_validate(YAML(typ="safe").load(programs.SHOP))


def record(server: str = API, branch: str = "main") -> Record:
    return records.record(server, SHOP, branch)


def connected(fake: FakeSaltApi, patience: Patience) -> SaltApi:
    """The adapter, following the events already."""
    salt = fake.connect(patience=patience)
    salt.start()
    wait_until(lambda: salt.hub.connected)
    return salt


@pytest.fixture
def salt(fake: FakeSaltApi) -> SaltApi:
    """An adapter that soon asks for the truth."""
    return connected(fake, IMPATIENT)


@pytest.fixture
def patient(fake: FakeSaltApi) -> SaltApi:
    """An adapter that relies on events for as long as a test takes."""
    return connected(fake, Patience(first=30, longest=30, blind=30))


@pytest.fixture
def server(salt: SaltApi) -> str:
    """A server whose minion runs."""
    return started(salt)


def started(salt: SaltApi) -> str:
    salt.create(record(), "small", 5)
    assert salt.minion_started(API, 5)
    return API


def follow(salt: SaltApi, server: str, jid: str, seconds: float = 5.0) -> tuple[list[StateProgress], JobReturn | None]:
    """The job's progress and its return; None when it is lost."""
    until, progress = time.monotonic() + seconds, []
    while time.monotonic() < until:
        try:
            news = salt.news(server, jid, 0.2)
        except Unavailable:  # as the engine does: ask again
            continue
        progress += news.progress
        if news.returned or news.lost:
            return progress, news.returned
    raise AssertionError("neither returned nor lost")


def highstate(salt: SaltApi, server: str) -> tuple[list[StateProgress], JobReturn | None]:
    jid = salt.new_jid()
    salt.submit(server, jid, "highstate")
    return follow(salt, server, jid)


def refused(call: Callable[[], object]) -> SaltRefused:
    with pytest.raises(SaltRefused) as caught:
        call()
    return caught.value


def unavailable(call: Callable[[], object]) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        call()
    return caught.value


# All is well: what it costs


def test_a_highstate_costs_one_request_and_its_progress_comes_at_once(fake: FakeSaltApi, patient: SaltApi) -> None:
    server = started(patient)
    before = fake.calls.copy()
    progress, returned = highstate(patient, server)
    assert [(state.n, state.of, state.name, state.ok) for state in progress] == [
        (n, len(STATES), name, True) for n, name in enumerate(STATES, 1)
    ]
    assert returned is not None
    assert returned.retcode == 0
    assert [state["data"]["commit"] for state in returned.ret.values() if "data" in state] == [commit_of("main")]
    assert fake.calls - before == {"local_async brinepool.highstate": 1}


def test_create_and_wait_cost_one_request(fake: FakeSaltApi, patient: SaltApi) -> None:
    started(patient)
    assert fake.calls == {"runner_async brinepool.create": 1}


def test_who_waits_for_a_minion_knows_within_milliseconds(fake: FakeSaltApi, patient: SaltApi) -> None:
    fake.salt.misbehave(bad.NeverComesUp())
    patient.create(record(), "small", 5)
    latencies = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            patient.create(record(), "small", 5)  # what was heard before does not count any more
            waiter = pool.submit(lambda: patient.minion_started(API, 5) and time.monotonic())
            wait([waiter], timeout=0.05)
            fired = time.monotonic()
            fake.salt.start_minion(API)
            latencies.append(waiter.result(5) - fired)
    assert min(latencies) < 0.02, "at the best of five: the machine may be busy"


# Events that lie or are missing


def test_dropped_events_cost_time_only(fake: FakeSaltApi, salt: SaltApi) -> None:
    fake.salt.misbehave(bad.DropsEvents())
    assert salt.create(record(), "small", 5).state == "running"
    assert salt.minion_started(API, 5)
    progress, returned = highstate(salt, API)
    assert progress == []
    assert returned is not None
    assert returned.retcode == 0
    assert salt.destroy(API, records.operation_id(), 5)


def test_a_lost_return_event_is_found_in_the_cache_with_its_retcode(
    fake: FakeSaltApi, salt: SaltApi, server: str
) -> None:
    fake.salt.misbehave(bad.DropsEvents("salt/job/*/ret/*"), bad.FailsDuringHighstate(branch="gone"))
    progress, returned = highstate(salt, server)
    assert [state.ok for state in progress] == [False] * len(STATES)
    assert returned is not None
    assert returned.retcode == 2


def test_a_lost_start_event_is_made_up_for_by_a_ping(fake: FakeSaltApi, salt: SaltApi) -> None:
    fake.salt.misbehave(bad.DropsEvents("salt/minion/*"))
    salt.create(record(), "small", 5)
    assert salt.minion_started(API, 5)
    assert fake.calls["local_async test.ping"] >= 1


def test_repeated_events_are_told_once(fake: FakeSaltApi, salt: SaltApi, server: str) -> None:
    fake.salt.misbehave(bad.RepeatsEvents())
    progress, returned = highstate(salt, server)
    assert [state.n for state in progress] == list(range(1, len(STATES) + 1))
    assert returned is not None


def test_a_dropped_stream_makes_the_waiter_ask_the_cache(fake: FakeSaltApi, patient: SaltApi) -> None:
    started(patient)
    fake.salt.misbehave(bad.DropsStream(times=1), bad.DropsEvents("*ret*", times=1))
    jid = patient.new_jid()
    patient.submit(API, jid, "highstate")
    _, returned = follow(patient, API, jid)
    assert returned is not None
    assert fake.calls["runner jobs.lookup_jid"] >= 1


def test_after_a_gap_the_minion_itself_is_asked_whether_it_started(fake: FakeSaltApi, patient: SaltApi) -> None:
    """Its start event was in the gap, and nobody would say it again."""
    fake.salt.durations = fake.salt.durations.__class__(boot=0.3)
    patient.create(record(), "small", 5)
    fake.salt.misbehave(bad.DropsStream(times=1), bad.DropsEvents("salt/minion/*"))
    assert patient.minion_started(API, 5)
    assert fake.calls["local_async test.ping"] >= 1


def test_after_a_gap_the_cache_is_asked_for_the_end_of_a_runner(fake: FakeSaltApi, patient: SaltApi) -> None:
    fake.salt.misbehave(bad.DropsEvents("salt/run/*/ret"))
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(patient.create, record(), "small", 20)
        wait_until(lambda: [tag for tag, _ in fake.salt.events if re.fullmatch(r"salt/run/\d+/ret", tag)])
        fake.salt.end_streams()
        assert creating.result(10).server == API
    assert fake.calls["runner jobs.lookup_jid"] >= 1


def test_an_event_that_makes_no_sense_is_none(fake: FakeSaltApi, salt: SaltApi, server: str) -> None:
    jid = salt.new_jid()
    for data in ({}, {"return": None, "retcode": "x"}, {"ret": {"__run_num__": 1}, "len": "many"}, {"ret": 7}):
        fake.salt.fire(f"salt/job/{jid}/prog/{server}/1", data)
        fake.salt.fire(f"salt/run/{jid}/ret", data)
        fake.salt.fire(f"salt/minion/{server}/start", data)
    salt.submit(server, jid, "highstate")
    _, returned = follow(salt, server, jid)
    assert returned is not None
    assert returned.retcode == 0


def test_a_hanging_stream_is_found_by_whoever_waits(fake: FakeSaltApi, salt: SaltApi, server: str) -> None:
    before = salt.hub.generation
    fake.salt.misbehave(bad.HangsStream())
    for _ in range(2):  # one silence may be an event that is late, two are not
        assert highstate(salt, server)[1] is not None
    wait_until(lambda: salt.hub.connected and salt.hub.generation > before)
    assert len(highstate(salt, server)[0]) == len(STATES), "progress comes again"


# Jobs


def test_a_lost_return_is_told_as_lost(fake: FakeSaltApi, salt: SaltApi, server: str) -> None:
    fake.salt.misbehave(bad.LosesReturns())
    progress, returned = highstate(salt, server)
    assert returned is None
    assert len(progress) == len(STATES)


def test_a_minion_that_forgot_its_job_makes_it_lost(fake: FakeSaltApi, salt: SaltApi, server: str) -> None:
    fake.salt.misbehave(bad.ForgetsJobs(times=1))
    assert highstate(salt, server) == ([], None)
    assert highstate(salt, server)[1] is not None, "and it can be submitted again"


def test_a_dead_minion_says_nothing_so_its_job_is_not_called_lost(
    fake: FakeSaltApi, salt: SaltApi, server: str
) -> None:
    fake.salt.misbehave(bad.Dies())
    jid = salt.new_jid()
    salt.submit(server, jid, "highstate")
    assert not salt.news(server, jid, 2).lost
    assert not salt.minion_started(server, 0.5)


def test_a_long_silent_state_is_not_lost(fake: FakeSaltApi, salt: SaltApi, server: str) -> None:
    fake.salt.durations = fake.salt.durations.__class__(state=0.8)
    fake.salt.script(server, ["checkout", "build"])
    progress, returned = highstate(salt, server)
    assert progress[0].name == "checkout"
    assert returned is not None
    assert fake.calls["local_async saltutil.find_job"] >= 1


def test_another_process_learns_of_a_job_that_ended_before_it_began(
    fake: FakeSaltApi, salt: SaltApi, server: str
) -> None:
    jid = salt.new_jid()
    salt.submit(server, jid, "highstate")
    _, returned = follow(salt, server, jid)
    assert follow(fake.connect(), server, jid) == ([], returned)


def test_another_process_learns_that_a_minion_runs(fake: FakeSaltApi, server: str) -> None:
    assert fake.connect().minion_started(server, 2)


def test_render_errors_come_as_the_list_that_they_are(fake: FakeSaltApi, salt: SaltApi, server: str) -> None:
    fake.salt.misbehave(bad.RenderError())
    assert highstate(salt, server) == ([], JobReturn([bad.RenderError.MESSAGE], 1))


def test_a_failure_of_one_server_is_not_that_of_another(fake: FakeSaltApi, salt: SaltApi) -> None:
    fake.salt.misbehave(bad.FailsDuringHighstate(WEB, state="build", comment="npm is missing"))
    results = {}
    for server in (API, WEB):
        salt.create(record(server), "small", 5)
        assert salt.minion_started(server, 5)
        results[server] = highstate(salt, server)
    assert [state.ok for state in results[API][0]] == [True] * len(STATES)
    assert [state.ok for state in results[WEB][0]] == [True, True, False, False, False, False]


# Servers


def test_a_minion_that_never_comes_up(fake: FakeSaltApi, salt: SaltApi) -> None:
    fake.salt.misbehave(bad.NeverComesUp(API))
    salt.create(record(), "small", 5)
    began = time.monotonic()
    assert not salt.minion_started(API, 0.5)
    assert 0.5 <= time.monotonic() - began < 1.5


def test_a_minion_that_never_comes_up_can_leave_a_log(fake: FakeSaltApi, salt: SaltApi) -> None:
    said = "\n".join(f"line {number}" for number in range(50))
    fake.salt.misbehave(bad.NeverComesUp(API, log=said))
    salt.create(record(), "small", 5)
    assert salt.boot_log(API).splitlines() == said.splitlines()[-40:]


def test_a_job_whose_minion_died_has_no_return(fake: FakeSaltApi, salt: SaltApi, server: str) -> None:
    fake.salt.misbehave(bad.Dies())
    jid = salt.new_jid()
    salt.submit(server, jid, "highstate")
    assert salt.job(jid) == Job(jid, {server: None})


def test_the_job_of_a_runner_tells_what_was_asked(fake: FakeSaltApi, salt: SaltApi, server: str) -> None:
    jid = next(jid for jid, job in fake.salt.jobs.items() if job.fun == "brinepool.create")
    job = salt.job(jid)
    assert (job.function, job.arguments[0]["profile"]) == ("runner.brinepool.create", "small")
    assert job.returns["fake_master"] == JobReturn(
        {"ok": True, "created": True, "server": job.returns["fake_master"].ret["server"]}, 0
    )


def test_an_answer_that_is_nested_for_ever_is_no_answer(fake: FakeSaltApi, salt: SaltApi) -> None:
    salt.health()
    fake.salt.misbehave(bad.AnswersNonsense("[" * 100_000 + "]" * 100_000))
    assert unavailable(lambda: salt.job(salt.new_jid())).code == "salt-unanswered"


def test_the_start_of_an_earlier_server_of_that_name_does_not_count(
    fake: FakeSaltApi, salt: SaltApi, server: str
) -> None:
    salt.destroy(server, records.operation_id(), 5)
    fake.salt.misbehave(bad.NeverComesUp())
    salt.create(record(), "small", 5)
    assert not salt.minion_started(server, 0.5)


def test_create_takes_effect_but_times_out_and_is_safe_to_repeat(fake: FakeSaltApi, salt: SaltApi) -> None:
    fake.salt.misbehave(bad.CreateTakesEffectButTimesOut(times=1))
    wanted = record()
    error = unavailable(lambda: salt.create(wanted, "small", 0.5))
    assert (error.code, error.extra) == ("salt-unanswered", {"unfinished": True, "out_for_s": 0.5})
    made = fake.salt.machines[API]
    assert salt.create(wanted, "small", 5).address == made.address
    assert fake.salt.machines[API] is made


def test_create_fails(fake: FakeSaltApi, salt: SaltApi) -> None:
    fake.salt.misbehave(bad.CreateFails(detail="no space left"))
    error = refused(lambda: salt.create(record(), "small", 5))
    assert (error.code, error.detail) == ("create-failed", "no space left")
    assert salt.inventory() == []


def test_destroy_fails_and_the_server_still_counts(fake: FakeSaltApi, salt: SaltApi, server: str) -> None:
    fake.salt.misbehave(bad.DestroyFails(times=1))
    assert refused(lambda: salt.destroy(server, records.operation_id(), 5)).code == "destroy-failed"
    assert [machine.server for machine in salt.inventory()] == [server]
    assert salt.destroy(server, records.operation_id(), 5)


@pytest.mark.parametrize(
    "call",
    [
        lambda salt: salt.create(record(), "small", 5),
        lambda salt: salt.destroy(API, records.operation_id(), 5),
        lambda salt: salt.inventory(),
        lambda salt: salt.branches("shop", "api"),
    ],
)
def test_a_crashed_runner_is_one_sentence_with_the_traceback_as_detail(
    fake: FakeSaltApi, salt: SaltApi, call: Callable[[SaltApi], object]
) -> None:
    fake.salt.misbehave(bad.RunnerCrashes())
    error = refused(lambda: call(salt))
    assert error.code == "runner-crashed"
    assert "Traceback" not in error.message
    assert "Traceback" in error.detail


def test_many_servers_at_once(fake: FakeSaltApi, salt: SaltApi) -> None:
    def make(number: int) -> tuple[Machine, int]:
        server = f"cart-test-web-{number}"
        machine = salt.create(record(server), "small", 10)
        assert salt.minion_started(server, 10)
        return machine, len(highstate(salt, server)[0])

    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(make, range(1, 13)))
    assert len({machine.address for machine, _ in made}) == 12
    assert {states for _, states in made} == {len(STATES)}
    assert fake.logins == 1


# salt-api


def test_a_restart_of_salt_api_during_a_create_costs_time_only(fake: FakeSaltApi, salt: SaltApi) -> None:
    fake.salt.durations = fake.salt.durations.__class__(create=0.3)
    restart = threading.Timer(0.1, fake.restart, [0.2])
    restart.start()
    assert salt.create(record(), "small", 5).state == "running"
    restart.join()
    assert salt.minion_started(API, 5)


def test_a_restart_that_swallows_the_answer_is_safe_to_repeat(fake: FakeSaltApi, salt: SaltApi) -> None:
    fake.salt.misbehave(bad.Restarts("brinepool.create", seconds=0.3))
    wanted = record()

    def made() -> bool:
        try:
            return salt.create(wanted, "small", 5).server == API
        except Unavailable:
            return False

    wait_until(made)
    assert fake.calls["runner_async brinepool.create"] >= 2
    assert [machine.server for machine in salt.inventory()] == [API]


def test_a_restart_during_a_highstate_costs_progress_only(fake: FakeSaltApi, salt: SaltApi, server: str) -> None:
    fake.salt.durations = fake.salt.durations.__class__(state=0.1)
    jid = salt.new_jid()
    salt.submit(server, jid, "highstate")
    fake.restart(0.3)
    _, returned = follow(salt, server, jid)
    assert returned is not None


def test_news_says_so_when_salt_api_stays_away(fake: FakeSaltApi, salt: SaltApi, server: str) -> None:
    fake.salt.durations = fake.salt.durations.__class__(state=30)
    jid = salt.new_jid()
    salt.submit(server, jid, "highstate")
    fake.stop()
    assert unavailable(lambda: salt.news(server, jid, 1)).code == "salt-unreachable"


def test_an_outage_while_waiting_is_told_when_it_lasts(fake: FakeSaltApi) -> None:
    fake.salt.durations = fake.salt.durations.__class__(create=30)
    salt = fake.connect(patience=Patience(first=0.1, longest=0.1, blind=0.1, outage=0.5))
    threading.Timer(0.2, fake.stop).start()
    began = time.monotonic()
    assert unavailable(lambda: salt.create(record(), "small", 30)).code == "salt-unreachable"
    assert time.monotonic() - began < 5


def test_tokens_that_expire_after_each_request_cost_logins_only(fake: FakeSaltApi, salt: SaltApi) -> None:
    fake.salt.misbehave(bad.ExpiresTokens(after=1))
    salt.create(record(), "small", 5)
    assert salt.minion_started(API, 5)
    assert highstate(salt, API)[1] is not None
    assert fake.logins > 2


def test_slow_answers_are_waited_for(fake: FakeSaltApi, salt: SaltApi) -> None:
    fake.salt.misbehave(bad.AnswersSlowly(0.2))
    assert salt.create(record(), "small", 5).server == API


@pytest.mark.parametrize(
    ("misbehaviour", "code"),
    [
        (bad.AnswersNonsense(), "salt-unanswered"),
        (bad.MasterDown(), "salt-unreachable"),
        (bad.ExpiresTokens(after=0), "salt-login-refused"),
    ],
)
def test_health_tells_what_is_wrong(
    fake: FakeSaltApi, salt: SaltApi, misbehaviour: bad.Misbehaviour, code: str
) -> None:
    salt.health()
    fake.salt.misbehave(misbehaviour)
    assert unavailable(salt.health).code == code
    fake.salt.behave()
    salt.health()


def test_health_tells_when_the_login_is_refused(fake: FakeSaltApi) -> None:
    fake.salt.misbehave(bad.RefusesLogin())
    assert unavailable(fake.connect().health).code == "salt-login-refused"


def test_nothing_connects_before_the_first_call(fake: FakeSaltApi) -> None:
    fake.connect()
    assert fake.connections == 0


def test_impatience_of_the_tests_is_not_that_of_the_product() -> None:
    assert Patience().first > 10 * IMPATIENT.first
