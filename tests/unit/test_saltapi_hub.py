"""The hub and the thread that feeds it."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from orchestrator.saltapi.client import SaltClient
from orchestrator.saltapi.events import EventStream
from orchestrator.saltapi.hub import Hub, job_topic, minion_topic, run_topic, topic_of
from tests.fakes import misbehaviour as bad
from tests.fakes.salt import wait_until
from tests.fakes.saltapi import PASSWORD, USER, FakeSaltApi

RET = "salt/run/20261123065159654486/ret"
TOPIC = run_topic("20261123065159654486")


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


@pytest.mark.parametrize(
    ("tag", "topic"),
    [
        (RET, TOPIC),
        ("salt/job/20261123065159654486/ret/a-web-1", job_topic("20261123065159654486", "a-web-1")),
        ("salt/job/20261123065159654486/prog/a-web-1/12", job_topic("20261123065159654486", "a-web-1")),
        ("salt/minion/a-web-1/start", minion_topic("a-web-1")),
        ("salt/run/20261123065159654486/new", None),
        ("salt/job/20261123065159654486/new", None),
        ("salt/auth", None),
        ("", None),
    ],
)
def test_topics(tag: str, topic: str | None) -> None:
    assert topic_of(tag) == topic


def test_an_event_that_came_before_the_wait_counts() -> None:
    hub = Hub()
    hub.publish(RET, {"return": 1}, 10)
    assert [event.data for event in hub.wait([TOPIC], 0, soon(), 0)] == [{"return": 1}]


def test_only_what_comes_after_counts() -> None:
    hub = Hub()
    hub.publish(RET, {"return": 1}, 10)
    assert hub.wait([TOPIC], hub.seq, time.monotonic(), 0) == []


def test_a_waiter_is_woken_at_once_and_by_its_topic_only() -> None:
    hub, latencies = Hub(), []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            waiter = pool.submit(lambda: (hub.wait([TOPIC], hub.seq, soon(), 0), time.monotonic()))
            hub.publish("salt/minion/a-web-1/start", {}, 1)
            assert not wait([waiter], timeout=0.05).done
            sent = time.monotonic()
            hub.publish(RET, {}, 1)
            events, heard = waiter.result(5)
            assert [event.tag for event in events] == [RET]
            latencies.append(heard - sent)
    assert min(latencies) < 0.02, "at the best of five: the machine may be busy"


def test_events_of_several_topics_come_in_their_order() -> None:
    hub = Hub()
    for tag in ("salt/minion/b/start", RET, "salt/minion/a/start"):
        hub.publish(tag, {}, 1)
    events = hub.wait([minion_topic("a"), minion_topic("b"), TOPIC], 0, soon(), 0)
    assert [event.tag for event in events] == ["salt/minion/b/start", RET, "salt/minion/a/start"]


def test_the_oldest_are_forgotten_by_number_and_by_size() -> None:
    hub = Hub(keep_events=3, keep_bytes=100)
    for number in range(5):
        hub.publish(RET, {"n": number}, 1)
    assert [event.data["n"] for event in hub.wait([TOPIC], 0, soon(), 0)] == [2, 3, 4]
    hub.publish("salt/minion/a/start", {}, 1_000)
    assert hub.wait([TOPIC], 0, time.monotonic(), 0) == []
    assert len(hub.wait([minion_topic("a")], 0, soon(), 0)) == 1


def test_a_change_of_the_stream_wakes_everybody() -> None:
    hub = Hub()
    threading.Timer(0.02, hub.set_connected, [True]).start()
    began = time.monotonic()
    assert hub.wait([TOPIC], 0, soon(), 0) == []
    assert time.monotonic() - began < 1


@pytest.fixture
def hub(fake: FakeSaltApi) -> Iterator[Hub]:
    """A hub that is fed from the fake."""
    hub, client = Hub(), SaltClient(fake.url, USER, lambda: PASSWORD)
    stream = EventStream(client, hub, quiet_seconds=0.4)
    stream.start()
    wait_until(lambda: hub.connected)
    yield hub
    began = time.monotonic()
    stream.close()
    client.close()
    assert time.monotonic() - began < 1, "closing must not wait for an event"


def test_events_arrive_within_milliseconds(fake: FakeSaltApi, hub: Hub) -> None:
    latencies = []
    for _ in range(20):
        seq, sent = hub.seq, time.monotonic()
        fake.salt.fire(RET, {"return": 1})
        assert hub.wait([TOPIC], seq, soon(), hub.generation)
        latencies.append(time.monotonic() - sent)
    assert min(latencies) < 0.02


def test_it_comes_back_after_a_dropped_stream(fake: FakeSaltApi, hub: Hub) -> None:
    before = hub.generation
    fake.salt.end_streams()
    wait_until(lambda: hub.connected and hub.generation == before + 2)
    fake.salt.fire(RET, {"return": 2})
    assert hub.wait([TOPIC], 0, soon(), hub.generation)


def test_it_logs_in_again_after_a_restart(fake: FakeSaltApi, hub: Hub) -> None:
    before, logins = hub.generation, fake.logins
    fake.restart(0.1)
    wait_until(lambda: hub.connected and hub.generation >= before + 2)
    assert fake.logins > logins
    fake.salt.fire(RET, {})
    assert hub.wait([TOPIC], 0, soon(), hub.generation)


def test_a_new_stream_causes_an_event_so_that_salt_api_lets_go_of_the_old_one(fake: FakeSaltApi, hub: Hub) -> None:
    assert fake.calls["runner_async jobs.lookup_jid"] == 0
    fake.salt.end_streams()
    wait_until(lambda: fake.calls["runner_async jobs.lookup_jid"] == 1)


def test_a_stream_that_hangs_is_opened_anew(fake: FakeSaltApi, hub: Hub) -> None:
    before = hub.generation
    fake.salt.misbehave(bad.HangsStream())
    wait_until(lambda: hub.connected and hub.generation >= before + 2)
    fake.salt.fire(RET, {})
    assert hub.wait([TOPIC], 0, soon(), hub.generation)


@pytest.mark.parametrize("text", ["data: {not json\n\n", "data: 7\n\n", 'data: {"tag": 1}\n\n', "\xff\n\n"])
def test_nonsense_on_the_stream_does_not_end_the_following(fake: FakeSaltApi, hub: Hub, text: str) -> None:
    fake.salt.say(text)
    wait_until(lambda: not fake.salt.unsaid())
    wait_until(lambda: hub.connected)
    fake.salt.fire(RET, {})

    def heard() -> bool:  # the event may be fired while the stream is opened anew
        fake.salt.fire(RET, {})
        return bool(hub.wait([TOPIC], 0, soon(0.05), hub.generation))

    wait_until(heard)
