"""The webhook: what is let in, what is answered, what is told later, and what becomes of it."""

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.chat import webhook
from orchestrator.chat.base import Answer, Incoming, RateLimited, Room, Undeliverable
from orchestrator.chat.replies import Progress, Reply, Step, Tone
from orchestrator.chat.webhook import BotConfig, Webhook
from orchestrator.domain import signature
from orchestrator.domain.errors import Unavailable
from tests.chat.desks import EchoDesk
from tests.chat.leg import SHOP
from tests.chat.webhook_leg import NAME, SECRET, Bot, Seen, Served, WebhookLeg

ROOT = Path(__file__).resolve().parents[2]

CARD = Reply(title="Creating cart-test", tone=Tone.WORKING)


@pytest.fixture
def leg() -> Iterator[WebhookLeg]:
    leg = WebhookLeg()
    yield leg
    leg.close()


@pytest.fixture
def desk(leg: WebhookLeg) -> EchoDesk:
    desk = EchoDesk()
    leg.adapter.start(desk)
    return desk


@pytest.fixture
def bot(leg: WebhookLeg, desk: EchoDesk) -> Bot:
    return leg.bot


def said(**more: Any) -> dict[str, Any]:
    return {"delivery": "delivery-1", "user": "U1", "room": {"id": "C1", "name": "shop-dev"}, "text": "help", **more}


def ask(bot: Bot, **more: Any) -> Any:
    return bot.send(json.dumps(said(**more)).encode()).result(20)


# What is answered


def test_a_message_is_handed_to_the_desk_as_it_was_said(bot: Bot, desk: EchoDesk) -> None:
    answer = ask(bot, name="Ada", message="m-1", thread="t-1", email="ada@example.org")
    assert answer.status_code == 200
    assert desk.received == [
        Incoming(NAME, "U1", Room("C1", ""), "help", message="m-1", thread="t-1", name="Ada", email="")
    ]
    body = answer.json()
    assert set(body) == {"message", "text", "reply", "thread"}
    assert (body["text"], body["thread"], body["reply"]["title"]) == ("You said: help", "t-1", "You said: help")
    assert len(body["message"]) == 26


def test_without_an_id_of_its_own_a_message_is_known_by_its_delivery(bot: Bot, desk: EchoDesk) -> None:
    ask(bot)
    assert desk.received[0].message == "delivery-1"


def test_a_click_comes_without_text(bot: Bot, desk: EchoDesk) -> None:
    ask(bot, answer="q1/2")
    assert (desk.received[0].answer, desk.received[0].text) == ("q1/2", "")


def test_a_direct_conversation_has_a_room_of_its_own(bot: Bot, desk: EchoDesk, leg: WebhookLeg) -> None:
    ask(bot, room={"direct": True, "name": "shop-dev"})
    assert desk.received[0].room == Room("direct:U1", direct=True)
    assert leg.adapter.direct("U1") == "direct:U1"


def test_nothing_to_say_is_204(bot: Bot, desk: EchoDesk) -> None:
    desk.answer = lambda incoming: None
    assert ask(bot).status_code == 204


def test_an_email_counts_only_when_the_bot_is_trusted_with_it() -> None:
    leg = WebhookLeg(trust_email=True)
    desk = EchoDesk()
    leg.adapter.start(desk)
    ask(leg.bot, email="ada@example.org")
    leg.close()
    assert desk.received[0].email == "ada@example.org"


@pytest.mark.parametrize(
    ("room", "name"),
    [
        ({"id": f"C-{SHOP}", "name": "renamed"}, SHOP),  # the settings know it by its id
        ({"id": "C9", "name": SHOP}, ""),  # it passes itself off as another
        ({"id": "C9", "name": SHOP.upper()}, ""),
        ({"id": "C9", "name": "kitchen"}, "kitchen"),  # nobody else has this name: the bot's word counts
    ],
)
def test_no_room_passes_for_one_that_the_settings_know(bot: Bot, desk: EchoDesk, room: dict, name: str) -> None:
    ask(bot, room=room)
    assert desk.received[0].room.name == name


def test_only_rooms_of_the_settings_are_spoken_to_by_name(leg: WebhookLeg) -> None:
    assert leg.adapter.room(SHOP) == f"C-{SHOP}"
    assert leg.adapter.room("kitchen") is None


def test_the_card_of_an_operation_is_reported_once_the_answer_was_sent(bot: Bot, desk: EchoDesk) -> None:
    desk.answer = lambda incoming: Answer(CARD, "operation-1")
    answer = ask(bot)
    assert bot.wait_until(lambda: desk.cards)
    assert desk.cards == [("operation-1", NAME, "C1", answer.json()["message"], "U1")]


# What takes longer


def test_what_takes_longer_follows_as_an_update(bot: Bot, desk: EchoDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "ANSWER_S", 0.1)
    go_on = threading.Event()
    desk.answer = lambda incoming: Answer(CARD, "operation-1") if go_on.wait(20) else None
    answer = ask(bot)
    assert answer.status_code == 202
    go_on.set()
    assert bot.wait_until(lambda: bot.messages and desk.cards)
    assert bot.messages[0].id == answer.json()["message"]
    assert bot.messages[0].text == "… Creating cart-test"
    assert desk.cards == [("operation-1", NAME, "C1", answer.json()["message"], "U1")]


def test_a_late_answer_for_one_person_goes_to_them_alone(
    bot: Bot, desk: EchoDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "ANSWER_S", 0.0)
    go_on = threading.Event()
    desk.answer = lambda incoming: Answer(Reply(title="a code", private=True)) if go_on.wait(20) else None
    ask(bot)
    go_on.set()
    assert bot.wait_until(lambda: bot.messages)
    assert bot.messages[0].room == "direct:U1"


def test_a_late_answer_is_sent_until_it_arrives(bot: Bot, desk: EchoDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "ANSWER_S", 0.0)
    monkeypatch.setattr(webhook, "RETRIES_S", (0.05,) * 200)
    bot.status = 500
    desk.answer = lambda incoming: Answer(CARD, "operation-1")
    desk_began = threading.Event()
    desk.answer = lambda incoming: Answer(CARD, "operation-1") if desk_began.wait(20) else None
    ask(bot)
    desk_began.set()
    assert bot.wait_until(lambda: len(bot.updates) >= 2)
    assert desk.cards == []
    bot.status = 204
    assert bot.wait_until(lambda: bot.messages)
    assert len({update["message"] for update in bot.updates}) == 1
    assert len({update["delivery"] for update in bot.updates}) == len(bot.updates)


def test_a_slow_desk_does_not_take_the_threads_of_the_web(bot: Bot, desk: EchoDesk) -> None:
    """Only a few requests wait for their answers; who comes meanwhile is acknowledged at once."""
    go_on = threading.Event()
    desk.answer = lambda incoming: Answer(CARD) if go_on.wait(30) else None
    sent = [bot.send(json.dumps(said(delivery=f"delivery-{number}")).encode()) for number in range(webhook.PATIENT)]
    began = time.monotonic()
    answers = [ask(bot, delivery=f"meanwhile-{number}") for number in range(10)]
    assert {answer.status_code for answer in answers} == {202}
    assert time.monotonic() - began < webhook.ANSWER_S
    go_on.set()
    assert bot.wait_until(lambda: len(bot.answers) == len(sent) + 10, 30)


def test_too_much_at_once_is_told_to_come_again(bot: Bot, desk: EchoDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(webhook, "ANSWER_S", 0.0)
    desk.answer = lambda incoming: Answer(CARD) if go_on.wait(60) else None
    answers = [bot.send(json.dumps(said(delivery=f"delivery-{number}")).encode()) for number in range(webhook.PENDING)]
    assert {answer.result(30).status_code for answer in answers} == {202}
    refused = ask(bot, delivery="one-too-many")
    assert (refused.status_code, refused.json()["code"]) == (503, "chat-busy")
    assert refused.headers["Retry-After"] == "5"
    desk.answer = lambda incoming: None
    bot.status = 404  # so that nothing is sent again
    go_on.set()
    assert bot.wait_until(lambda: len(bot.updates) > 0, 30)


# What is refused


def problem(answer: Any) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json() if callable(answer.json) else answer.json
    assert set(body) == {"type", "title", "status", "detail", "code"}
    assert body["status"] == answer.status_code
    assert body["detail"].endswith(".")
    return answer.status_code, body["code"]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "signature-missing"),
        ("t=1,v1=00", "signature-wrong"),
        (signature.sign(SECRET, json.dumps(said()).encode(), 1_000_000), "signature-stale"),
    ],
)
def test_what_is_not_signed_well_is_refused(bot: Bot, desk: EchoDesk, header: str, code: str) -> None:
    answer = bot.send(json.dumps(said()).encode(), header).result(20)
    assert problem(answer) == (401, code)
    assert answer.headers["WWW-Authenticate"] == signature.HEADER
    assert desk.received == []


def test_what_was_changed_on_the_way_is_refused(bot: Bot, desk: EchoDesk) -> None:
    header = bot.sign(json.dumps(said()).encode())
    forged = json.dumps(said(user="U2")).encode()
    assert problem(bot.send(forged, header).result(20)) == (401, "signature-wrong")
    assert desk.received == []


def test_what_was_recorded_and_sent_again_is_refused(bot: Bot, desk: EchoDesk) -> None:
    assert ask(bot).status_code == 200
    assert problem(ask(bot)) == (409, "delivery-repeated")
    assert len(desk.received) == 1


def test_a_refused_message_does_not_use_up_its_delivery(bot: Bot, desk: EchoDesk) -> None:
    assert bot.send(json.dumps(said()).encode(), "t=1,v1=00").result(20).status_code == 401
    assert ask(bot, txet="help").status_code == 422
    assert ask(bot).status_code == 200


def test_what_is_too_large_is_refused(bot: Bot, desk: EchoDesk) -> None:
    assert problem(ask(bot, text="x" * 70_000)) == (413, "too-large")
    assert desk.received == []


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "Send a JSON object; docs/chat-webhook.md has an example."),
        (b"\xff\xfe", "Send a JSON object; docs/chat-webhook.md has an example."),
        (b"[]", "Send a JSON object; docs/chat-webhook.md has an example."),
        (json.dumps({"user": "U1"}).encode(), "The field “delivery” is missing."),
        (json.dumps({**said(), "txet": ""}).encode(), "There is no field “txet”."),
        (json.dumps({**said(), "user": ""}).encode(), "The field “user” is wrong: string should have at least 1"),
        (json.dumps({**said(), "delivery": "a b c d e"}).encode(), "The field “delivery” is wrong: "),
        (
            json.dumps({**said(), "room": {"name": "shop-dev"}}).encode(),
            "The field “room” is wrong: a room needs an id",
        ),
        (json.dumps({**said(), "room": {"id": "direct:U2"}}).encode(), "The field “room” is wrong: a room needs an id"),
        (b'{"delivery": "delivery-1", "user": "\\ud800", "room": {"id": "C1"}}', ""),
    ],
)
def test_what_is_malformed_is_refused_with_one_sentence(bot: Bot, desk: EchoDesk, body: bytes, detail: str) -> None:
    answer = bot.send(body).result(20)
    assert problem(answer) == (422, "message-invalid")
    assert answer.json()["detail"].startswith(detail)
    assert desk.received == []


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200), st.text(st.characters(max_codepoint=255, exclude_categories=["Cc", "Cs"]), max_size=100)
)
def test_nothing_that_is_sent_makes_it_fail(body: bytes, header: str) -> None:
    client = client_of(Webhook(BotConfig(name="beacon", secret=SECRET), Seen()))
    for sent in (header, signature.sign(SECRET, body, time.time())):
        answer = client.post("/api/v1/chat/beacon", data=body, headers={signature.HEADER: sent})
        assert answer.status_code in (401, 422)


def client_of(*adapters: Webhook) -> Any:
    app = Flask("brinepool")
    for adapter in adapters:
        app.register_blueprint(adapter.blueprint())
    app.register_blueprint(webhook.unknown_bot())
    return app.test_client()


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {signature.HEADER: signature.sign(secret, body, time.time())}


def test_two_bots_have_secrets_of_their_own_and_unknown_ones_are_told_nothing() -> None:
    one = Webhook(BotConfig(name="one", secret="the secret of one"), Seen())
    two = Webhook(BotConfig(name="two", secret="the secret of two"), Seen())
    client, desk, body = client_of(one, two), EchoDesk(), json.dumps(said()).encode()
    one.start(desk)
    two.start(desk)
    assert client.post("/api/v1/chat/one", data=body, headers=signed(body, "the secret of one")).status_code == 200
    assert client.post("/api/v1/chat/two", data=body, headers=signed(body, "the secret of one")).status_code == 401
    assert client.post("/api/v1/chat/two", data=body, headers=signed(body, "the secret of two")).status_code == 200
    unknown = client.post("/api/v1/chat/three", data=body, headers=signed(body))
    assert problem(unknown) == (404, "bot-unknown")
    assert "one" not in unknown.json["detail"]
    assert [incoming.service for incoming in desk.received] == ["one", "two"]
    one.stop()
    two.stop()


def test_before_it_is_started_and_after_it_was_stopped_nothing_is_taken_or_told() -> None:
    adapter = Webhook(BotConfig(name="beacon", secret=SECRET, callback_url="http://127.0.0.1:9/"), Seen())
    client, body = client_of(adapter), json.dumps(said()).encode()

    def is_refused() -> bool:
        with pytest.raises(Unavailable, match="takes no messages"):
            adapter.post("C1", CARD)
        return problem(client.post("/api/v1/chat/beacon", data=body, headers=signed(body))) == (503, "chat-not-running")

    adapter.stop()
    assert is_refused()
    adapter.start(EchoDesk())
    adapter.stop()
    adapter.stop()
    assert is_refused()
    adapter.start(EchoDesk())
    assert client.post("/api/v1/chat/beacon", data=body, headers=signed(body)).status_code == 200
    adapter.stop()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("chat-beacon")] == []


def test_a_secret_is_not_shown_and_not_short() -> None:
    config = BotConfig(name="beacon", secret=SECRET, callback_url="http://127.0.0.1/hooks/a-password")
    assert SECRET not in repr(config)
    assert "a-password" not in repr(config)
    with pytest.raises(ValidationError):
        BotConfig(name="beacon", secret="short")


# What is told later


def test_a_post_and_its_changes(bot: Bot, leg: WebhookLeg) -> None:
    message = leg.adapter.post("C1", CARD, thread="t-1")
    leg.adapter.edit("C1", message, Reply(title="cart-test is ready", tone=Tone.GOOD, mention=("U1",)))
    assert [(shown.id, shown.text, shown.thread, shown.edits) for shown in bot.messages] == [
        (message, "U1: ✔ cart-test is ready", "t-1", 1)
    ]
    assert bot.updates[0]["reply"] == CARD.model_dump(mode="json", exclude={"details"})


def test_a_direct_message_names_the_person(bot: Bot, leg: WebhookLeg) -> None:
    leg.adapter.post(leg.adapter.direct("U1"), CARD)
    assert (bot.updates[0]["room"], bot.updates[0]["direct"]) == ("direct:U1", "U1")


def test_people_are_addressed_as_they_are_called(bot: Bot, leg: WebhookLeg) -> None:
    ask(bot, user="ada!~ada@host", name="ada")
    leg.adapter.post("C1", Reply(title="cart-test is ready", mention=("ada!~ada@host", "bob!~bob@host")))
    assert bot.updates[0]["text"] == "ada, bob!~bob@host: cart-test is ready"
    assert bot.updates[0]["reply"]["mention"] == ["ada!~ada@host", "bob!~bob@host"]


@pytest.mark.parametrize(
    ("status", "headers", "error", "pause"),
    [
        (404, {}, Undeliverable, None),
        (410, {}, Undeliverable, None),
        (429, {"Retry-After": "7"}, RateLimited, 7),
        (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, RateLimited, 30),
        (429, {}, RateLimited, 30),
        (302, {"Location": "/elsewhere"}, Unavailable, None),
        (401, {}, Unavailable, None),
        (500, {}, Unavailable, None),
    ],
)
def test_what_the_bot_answers(
    bot: Bot, leg: WebhookLeg, status: int, headers: dict[str, str], error: type[Exception], pause: float | None
) -> None:
    bot.status, bot.headers = status, headers
    with pytest.raises(error) as raised:
        leg.adapter.post("C1", CARD)
    assert getattr(raised.value, "retry_after", None) == pause
    assert len(bot.updates) == 1  # once: the caller repeats it, if it is of use
    assert (leg.adapter.problem() is None) == (error in (Undeliverable, RateLimited))


def test_a_bot_that_is_away_is_a_problem_until_it_is_back(bot: Bot, leg: WebhookLeg) -> None:
    leg.go_down()
    with pytest.raises(Unavailable) as raised:
        leg.adapter.post("C1", CARD)
    assert bot.callback_url not in raised.value.message
    assert leg.adapter.problem() == "The bot beacon does not answer at its callback URL."
    leg.come_back()
    leg.adapter.post("C1", CARD)
    assert leg.adapter.problem() is None


def test_a_bot_that_does_not_answer_in_time_is_away(bot: Bot, leg: WebhookLeg, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(webhook, "CALL_S", 0.1)
    monkeypatch.setattr(bot, "take", lambda body, header: 204 if not answered.wait(3) else 500)
    with pytest.raises(Unavailable):
        leg.adapter.post("C1", CARD)
    answered.set()


def test_a_bot_without_a_callback_only_answers() -> None:
    adapter = Webhook(BotConfig(name="beacon", secret=SECRET), Seen())
    adapter.start(EchoDesk())
    with pytest.raises(Undeliverable, match="no callback URL"):
        adapter.post("C1", CARD)
    adapter.stop()


# Bots that cannot edit


def working(phase: str, n: int = 1) -> Reply:
    steps = (Step(server="cart-test-web-1", phase=phase, state="build", n=n, of=8),)
    return Reply(title="Creating cart-test", tone=Tone.WORKING, progress=Progress(steps=steps, elapsed_s=n))


@pytest.mark.parametrize(
    ("progress_s", "said"),
    [
        (0, ["✔ cart-test is ready"]),
        (0.001, ["booting", "configuring", "✔ cart-test is ready"]),
        (600, ["booting", "✔ cart-test is ready"]),
    ],
)
def test_how_much_a_bot_that_cannot_edit_is_told(progress_s: float, said: list[str]) -> None:
    leg = WebhookLeg(edits=False, progress_s=progress_s)
    leg.adapter.start(EchoDesk())
    for phase, n in (("booting", 1), ("booting", 2), ("configuring", 3), ("configuring", 4)):
        due = time.monotonic() + 0.01
        leg.bot.wait_until(lambda due=due: time.monotonic() > due, 0.02)
        leg.adapter.edit("C1", "card-1", working(phase, n))
    leg.adapter.edit("C1", "card-1", Reply(title="cart-test is ready", tone=Tone.GOOD))
    shown = [message.text for message in leg.bot.messages]
    leg.close()
    assert len(shown) == len(said)
    assert all(part in text for part, text in zip(said, shown, strict=True))
    assert {update["kind"] for update in leg.bot.updates} == {"post"}


def test_the_examples_of_the_docs_work() -> None:
    page = (ROOT / "docs" / "chat-webhook.md").read_text()
    shell, python = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL)[1] for kind in ("sh", "python"))
    adapter = Webhook(BotConfig(name="irc", secret="the secret of the bot"), Seen())
    app = Flask("brinepool")
    app.register_blueprint(adapter.blueprint())
    served, desk = Served(app), EchoDesk()
    adapter.start(desk)
    try:
        environment = {**os.environ, "URL": served.url, "no_proxy": "127.0.0.1"}
        said = subprocess.run(["bash", "-euc", shell], env=environment, capture_output=True, check=True, timeout=60)
        names: dict[str, Any] = {}
        exec(python, names)  # noqa: S102  (our own page)
        answer = names["ask"](f"{served.url}/api/v1/chat/irc", "the secret of the bot", "ada", "#shop-dev", "help")
    finally:
        adapter.stop()
        served.close()
    assert json.loads(said.stdout)["text"] == "You said: list environments"
    assert answer == "You said: help"
    assert [incoming.room for incoming in desk.received] == [Room("#shop-dev", "shop-dev")] * 2


def test_markdown_when_the_bot_wants_it() -> None:
    leg = WebhookLeg(format="markdown")
    leg.adapter.start(EchoDesk())
    answer = ask(leg.bot)
    leg.close()
    assert answer.json()["text"] == "**You said: help**"
