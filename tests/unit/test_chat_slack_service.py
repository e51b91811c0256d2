"""What the adapter says in Slack, and how it fares when much is going on or Slack is away."""

import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.chat.base import Answer, Incoming, RateLimited, Undeliverable
from orchestrator.chat.replies import Reply, Tone
from orchestrator.chat.slack.adapter import BUSY
from orchestrator.domain.errors import Unavailable
from tests.chat.slack_leg import SlackLeg
from tests.chat.slack_stage import ADA, BOB, SHOP, Stage


@pytest.fixture(params=["http", "socket"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = Stage(request.param)
    try:
        yield stage.start()
        assert stage.slack.violations == []
        assert not stage.slack.rates.limited
    finally:
        stage.leg.close()


@pytest.fixture
def over_http() -> Iterator[Stage]:
    stage = Stage("http")
    try:
        yield stage.start()
    finally:
        stage.leg.close()


# --- what we say


def test_what_is_private_is_seen_by_one_person(stage: Stage) -> None:
    stage.answers(title="Your code is 1234", private=True)
    stage.slack.say(ADA, SHOP, "link")
    assert "1234" in stage.whispered(ADA)[0]
    assert stage.slack.in_room(SHOP) == []
    stage.slack.say(ADA, stage.slack.direct(ADA), "link")
    assert "1234" in stage.ours(room=stage.slack.direct(ADA))[0].text
    with pytest.raises(Undeliverable, match="one person only"):
        stage.adapter.post(SHOP, Reply(title="Your code is 1234", private=True))


def test_what_cannot_be_whispered_is_said_directly(over_http: Stage) -> None:
    over_http.slack.fail("chat.postEphemeral", {"ok": False, "error": "user_not_in_channel"})
    over_http.answers(title="Your code is 1234", private=True)
    over_http.slack.say(ADA, SHOP, "link")
    assert "1234" in over_http.ours(room=over_http.slack.direct(ADA))[0].text
    assert over_http.slack.in_room(SHOP) == []


def test_a_card_is_edited(stage: Stage) -> None:
    stage.desk.answer = lambda incoming: Answer(Reply(title="Creating", tone=Tone.WORKING), operation="op1")
    stage.slack.slash(ADA, SHOP, "create shop main")
    (card,) = stage.ours()
    assert stage.slack.wait(lambda: stage.desk.cards)
    assert stage.desk.cards == [("op1", "slack", SHOP, card.ts, ADA)]
    for _ in range(2):  # an edit may be repeated
        stage.adapter.edit(SHOP, card.ts, Reply(title="cart-test is ready", tone=Tone.GOOD))
    stage.adapter.post(SHOP, Reply(title="cart-test is ready", mention=(ADA,)), card.ts)
    card, note = stage.slack.in_room(SHOP)
    assert ("cart-test is ready" in card.text, card.edits, card.notified) == (True, 2, ())
    assert (note.thread, note.notified) == (card.ts, (ADA,))


def test_below_a_message_in_a_thread_is_that_thread(over_http: Stage) -> None:
    root = over_http.adapter.post(SHOP, Reply(title="root"))
    card = over_http.adapter.post(SHOP, Reply(title="card"), thread=root)
    over_http.adapter.post(SHOP, Reply(title="details"), thread=card)
    assert [post.thread for post in over_http.slack.in_room(SHOP)] == ["", root, root]
    assert over_http.slack.violations == []


def test_rooms_and_people_are_found(over_http: Stage) -> None:
    slack, adapter = over_http.slack, over_http.adapter
    slack.add_room("C0AWAY", "away", is_member=False)
    slack.add_room("C0OLD", "old", is_archived=True)
    slack.add_room("C0TWIN", "twin")
    slack.add_room("C1TWIN", "twin")
    slack.add_room("C0CYR", "sh\u043ep-dev")  # a Cyrillic letter looks like one of ours
    slack.add_room("C0LAST", "last")
    found = [adapter.room(name) for name in ("shop-dev", "#last", "lounge", "away", "old", "twin", "none", "SHOP-DEV")]
    assert found == [SHOP, "C0LAST", "C0LOUNGE", None, None, None, None, None]
    assert adapter.direct(ADA) == slack.direct(ADA)
    with pytest.raises(Undeliverable, match="no such account"):
        adapter.direct("U0NOBODY")


def test_what_slack_says_is_told_in_words(over_http: Stage) -> None:
    slack, adapter, reply = over_http.slack, over_http.adapter, Reply(title="t")
    slack.add_room("C0AWAY", "away", is_member=False)
    slack.add_room("C0OLD", "old", is_archived=True)
    never = [("C0AWAY", "invite it"), ("C0NONE", "invite it"), ("C0OLD", "archived")]
    for room, words in never:
        with pytest.raises(Undeliverable, match=words):
            adapter.post(room, reply)
    with pytest.raises(Undeliverable, match="cannot be changed"):
        adapter.edit(SHOP, "1.000001", reply)
    assert adapter.problem() is None


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"body": "<html>", "status": 502}, "does not answer"),
        ({"body": "<html>"}, "does not answer"),
        ({"body": "[1, 2]"}, "does not answer"),
        ({"body": "null"}, "does not answer"),
        ({"body": {"ok": False}}, "does not answer"),
        ({"body": {"ok": False, "error": "internal_error"}}, "does not answer"),
        ({"body": {"ok": False, "error": "account_inactive"}}, r"does not accept our token \(account_inactive\)"),
        ({"body": {"ok": False, "error": "missing_scope", "needed": "chat:write"}}, "lacks the permission chat:write"),
    ],
)
def test_what_passes_or_ops_can_mend_is_tried_again(over_http: Stage, fault: dict[str, Any], words: str) -> None:
    over_http.slack.fail("chat.postMessage", **fault)
    with pytest.raises(Unavailable, match=words):
        over_http.adapter.post(SHOP, Reply(title="t"))
    assert over_http.slack.calls["chat.postMessage"] == 1  # slack_sdk does not try again by itself
    assert over_http.slack.wait(over_http.ready)


def test_a_pause_that_slack_wants_is_passed_on(over_http: Stage) -> None:
    headers = {"Retry-After": "7"}
    over_http.slack.fail("chat.postMessage", {"ok": False, "error": "ratelimited"}, 429, **headers)
    with pytest.raises(RateLimited) as limited:
        over_http.adapter.post(SHOP, Reply(title="t"))
    assert limited.value.retry_after == 7
    over_http.slack.fail("chat.update", {"ok": False, "error": "ratelimited"}, 429)
    with pytest.raises(RateLimited) as limited:
        over_http.adapter.edit(SHOP, "1.1", Reply(title="t"))
    assert limited.value.retry_after == 30


def test_an_answer_waits_as_long_as_slack_wants(over_http: Stage) -> None:
    began = time.monotonic()
    over_http.slack.fail("chat.postMessage", {"ok": False, "error": "ratelimited"}, 429, **{"Retry-After": "1"})
    over_http.slack.slash(ADA, SHOP, "list")
    over_http.ours()
    assert time.monotonic() - began >= 1
    assert over_http.slack.calls["chat.postMessage"] == 2


# --- when much is going on, or something is down


@pytest.mark.parametrize("mode", ["http", "socket"])
def test_fifty_commands_at_once_are_acknowledged_in_time(mode: str, record_property: Any) -> None:
    """Each takes the desk two seconds, which is more than all of them together may take."""
    stage = Stage(mode, threads=4)
    free = threading.Event()
    try:
        stage.start()
        stage.busy(free, 2)
        sent = [stage.slack.slash_soon(ADA, SHOP, f"create shop main as e{n}") for n in range(50)]
        taken = sorted(one.result(30).seconds for one in sent)
        assert all(one.result().attempt == 1 for one in sent)
        assert stage.slack.shown_errors == []
        record_property("ack_p99_ms", round(taken[-1] * 1000))
        print(f"{mode}: acknowledged in {statistics.median(taken) * 1000:.0f} ms, slowest {taken[-1] * 1000:.0f} ms")
        assert taken[-1] < 1.5
        free.set()
        assert len({one.message for one in stage.heard(50)}) == 50
    finally:
        free.set()
        stage.leg.close()


def test_who_comes_when_too_many_wait_is_told() -> None:
    stage = Stage("http", threads=1, waiting=1)
    free = threading.Event()
    try:
        stage.start()
        stage.busy(free, 20)
        for number in range(2):
            stage.slack.slash(ADA, SHOP, f"list {number}")
        assert stage.slack.slash(ADA, SHOP, "list 2").answer["text"] == BUSY
        stage.slack.say(BOB, SHOP, "list 3")
        assert BUSY in stage.whispered(BOB)[0]
        free.set()
        assert [one.text for one in stage.heard(2)] == ["list 0", "list 1"]
    finally:
        free.set()
        stage.leg.close()


def test_a_desk_that_fails_takes_nothing_with_it(over_http: Stage) -> None:
    def fail(incoming: Incoming) -> Answer:
        raise RuntimeError("a mistake of ours")

    over_http.desk.answer = fail
    over_http.slack.slash(ADA, SHOP, "one")
    over_http.heard()
    over_http.answers(title="two")
    over_http.slack.slash(ADA, SHOP, "two")
    assert "two" in over_http.ours()[0].text


@pytest.mark.parametrize("politely", [True, False])
def test_a_socket_that_breaks_is_made_again(politely: bool) -> None:
    stage = Stage("socket")
    try:
        stage.start()
        for number in range(2):
            stage.slack.drop_sockets(politely)
            stage.slack.say(ADA, SHOP, f"list {number}")
            assert stage.heard(number + 1)[-1].text == f"list {number}"
            assert (stage.slack.deliveries[-1].attempt, stage.slack.deliveries[-1].seconds < 2) == (1, True)
        assert stage.slack.shown_errors == []
        assert stage.slack.wait(stage.ready)
    finally:
        stage.leg.close()


@pytest.mark.parametrize("mode", ["http", "socket"])
def test_slack_may_be_down_at_the_start_and_later(mode: str) -> None:
    stage = Stage(mode)
    try:
        stage.slack.vanish()
        began = time.monotonic()
        stage.adapter.start(stage.desk)
        assert time.monotonic() - began < 0.5
        assert stage.adapter.problem()
        for number in range(2):
            stage.slack.listen()
            assert stage.slack.wait(stage.ready, 20), stage.adapter.problem()
            stage.slack.say(ADA, SHOP, f"list {number}")
            stage.ours(number + 1)
            stage.slack.vanish()
            with pytest.raises(Unavailable):
                stage.adapter.post(SHOP, Reply(title="t"))
            assert stage.adapter.problem()
    finally:
        stage.leg.close()


def test_an_event_without_an_answer_comes_again() -> None:
    """Over a socket an acknowledgement can get lost."""
    stage = Stage("socket")
    try:
        stage.start()
        stage.slack.drops_acknowledgements = 1
        stage.slack.say(ADA, SHOP, "create shop main")
        assert len({one.message for one in stage.heard(2)}) == 1
        assert stage.slack.deliveries[-1].attempt == 2
    finally:
        stage.leg.close()


def test_nothing_is_left_behind() -> None:
    before = set(threading.enumerate())
    for mode in ("http", "socket"):
        leg = SlackLeg(mode)
        with pytest.raises(Unavailable):
            leg.adapter.post(SHOP, Reply(title="t"))
        leg.adapter.stop()  # safe before the start
        leg.close()
        stage = Stage(mode).start()
        stage.slack.say(ADA, SHOP, "help")
        stage.ours()
        stage.adapter.stop()
        stage.leg.close()
        with pytest.raises(Unavailable):
            stage.adapter.edit(SHOP, "1.1", Reply(title="t"))
    assert set(threading.enumerate()) <= before
