"""The console: our own chat service, as an adapter and over HTTP."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from sseclient import Event, SSEClient
from ulid import ULID

from orchestrator.chat.base import Answer, Incoming, Room, Undeliverable
from orchestrator.chat.console import Console
from orchestrator.chat.console_views import CAUGHT_UP, Say
from orchestrator.chat.replies import Button, Reply, Tone
from orchestrator.commands import World, environments, tokens
from orchestrator.domain.conversation import Card, Place
from orchestrator.domain.environment import Actor
from tests.chat.console_leg import ConsoleLeg
from tests.chat.desks import EchoDesk
from tests.programs import shop
from tests.unit.doors import TOKEN, Stage, served

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
BOB = "bob-" + "b" * 40
CARD = Reply(title="ada is creating cart", tone=Tone.WORKING)


@pytest.fixture
def world(tmp_path: Path) -> World:
    stage = Stage(tmp_path, threads=4)
    stage.play = lambda _: None
    tokens.ensure(stage.world, BOB, "bob", "bob's")
    return stage.world


@pytest.fixture
def console(world: World) -> Console:
    return Console(world.store, world.hub)


@pytest.fixture
def desk() -> EchoDesk:
    return EchoDesk()


@pytest.fixture
def url(world: World, console: Console, desk: EchoDesk) -> Iterator[str]:
    with served(world, chats=SimpleNamespace(blueprints=list, problems=list, desk=desk, console=console)) as found:
        yield f"{found}/api/v1/chat"


def titles(console: Console, person: str, after: int = 0) -> list[str]:
    """What is there now."""
    found = []
    for message in console.messages(person, after):
        if message is None:
            return found
        found.append(message.reply.title)
    raise AssertionError("messages never ends by itself")


def first_of(console: Console, person: str, count: int) -> list[Any]:
    messages = console.messages(person)
    return [next(messages) for _ in range(count)]


def start_operation(world: World, person: str = "ada") -> str:
    return environments.create(world, Actor(person, "api"), shop(None)).operation.id


def show_card(world: World, desk: EchoDesk) -> str:
    """Let the desk answer with the card of a running operation, as the real one keeps it."""
    operation = start_operation(world)

    def answer(incoming: Incoming) -> Answer:
        with world.store.transaction() as ledger:
            ledger.chat.add_card(Card(operation, Place("console", incoming.room.id), incoming.user))
        return Answer(CARD, operation)

    def posted(operation: str, service: str, room: str, message: str, user: str) -> None:
        with world.store.transaction() as ledger:
            ledger.chat.change_card(operation, Place(service, room), message=message)

    desk.answer, desk.posted = answer, posted  # type: ignore[method-assign]
    return operation


# The adapter


def test_everybody_has_a_room_of_their_own_and_there_are_no_others(console: Console) -> None:
    assert (console.direct("ada"), console.room("shop-dev"), console.problem()) == ("ada", None, None)
    console.post("ada", Reply(title="for ada"))
    console.post("bob", Reply(title="for bob"))
    assert (titles(console, "ada"), titles(console, "bob"), titles(console, "eve")) == (["for ada"], ["for bob"], [])


def test_an_edited_message_stays_the_same_and_comes_again(console: Console) -> None:
    first = console.post("ada", Reply(title="one"))
    console.post("ada", Reply(title="two"))
    assert titles(console, "ada") == ["one", "two"]
    console.edit("ada", first, Reply(title="one, changed"))
    assert titles(console, "ada") == ["two", "one, changed"]
    console.edit("ada", first, Reply(title="one, changed"))
    assert titles(console, "ada", after=3) == []


def test_a_message_below_another_keeps_its_place_when_it_is_edited(console: Console) -> None:
    top = console.post("ada", Reply(title="top"))
    below = console.post("ada", Reply(title="below"), thread=top)
    console.edit("ada", below, Reply(title="below, changed"))
    found = {each.message: each.thread for each in first_of(console, "ada", 2)}
    assert found == {top: "", below: top}


def test_what_is_not_there_cannot_be_edited(console: Console) -> None:
    message = console.post("ada", Reply(title="ada's"))
    for room, wanted in (("ada", str(ULID())), ("bob", message)):
        with pytest.raises(Undeliverable, match="There is no message"):
            console.edit(room, wanted, Reply(title="other"))
    with pytest.raises(Undeliverable):
        console.post("", Reply(title="to nobody"))
    assert titles(console, "ada") == ["ada's"]


def test_details_are_not_part_of_a_message(console: Console) -> None:
    console.post("ada", Reply(title="top", details=Reply(title="the whole return")))
    assert first_of(console, "ada", 1)[0].reply.details is None


def test_what_comes_later_is_heard_at_once(console: Console) -> None:
    messages = console.messages("ada")
    assert next(messages) is None
    threading.Thread(target=console.post, args=("ada", Reply(title="later"))).start()
    assert next(each for each in messages if each).reply.title == "later"


def test_what_was_read_stays_read(console: Console) -> None:
    for name in ("one", "two"):
        console.post("ada", Reply(title=name))
    assert console.read("ada").model_dump() == {"person": "ada", "seq": 0, "unread": True}
    console.have_read("ada", 2)
    console.have_read("ada", 1)
    assert console.read("ada").model_dump() == {"person": "ada", "seq": 2, "unread": False}
    assert console.read("a" * 200).seq == 0


# Talking


def test_the_desk_hears_the_person_alone(console: Console, desk: EchoDesk) -> None:
    said = console.converse(desk, "ada", Say(text="list"))
    assert said is not None
    assert said.reply.title == "You said: list"
    heard = desk.received[0]
    assert (heard.service, heard.user, heard.room, heard.text) == ("console", "ada", Room("ada", direct=True), "list")
    assert (heard.bot, heard.edited, heard.message) == (False, False, said.message)
    console.converse(desk, "ada", Say(answer="01ARZ3/2"))
    assert (desk.received[1].text, desk.received[1].answer) == ("", "01ARZ3/2")


def test_the_same_message_is_done_once_and_answered_again(console: Console, desk: EchoDesk) -> None:
    say = Say(text="create shop", message=str(ULID()))
    first, again = console.converse(desk, "ada", say), console.converse(desk, "ada", say)
    assert first == again
    assert len(desk.received) == 1
    assert len(titles(console, "ada")) == 1


def test_somebody_else_s_message_of_the_same_id_is_another_one(console: Console, desk: EchoDesk) -> None:
    say = Say(text="create shop", message=str(ULID()))
    mine, theirs = console.converse(desk, "ada", say), console.converse(desk, "bob", say)
    assert mine is not None
    assert theirs is not None
    assert mine.message != theirs.message
    assert (titles(console, "ada"), titles(console, "bob")) == (["You said: create shop"],) * 2


def test_what_is_ignored_leaves_nothing(console: Console, desk: EchoDesk) -> None:
    desk.answer = lambda _: None
    assert console.converse(desk, "ada", Say(text="hm")) is None
    assert titles(console, "ada") == []


def test_a_card_is_known_as_one_while_its_operation_runs(world: World, console: Console, desk: EchoDesk) -> None:
    operation = show_card(world, desk)
    say = Say(text="create shop", message=str(ULID()))
    said = console.converse(desk, "ada", say)
    assert said is not None
    assert said.operation == operation
    assert first_of(console, "ada", 1)[0].live
    console.edit("ada", said.message, Reply(title="cart is ready", tone=Tone.GOOD))
    again = console.converse(desk, "ada", say)
    assert again is not None
    assert (again.reply.title, again.operation) == ("cart is ready", operation)
    assert not first_of(console, "ada", 1)[0].live


def test_nobody_sees_a_card_before_it_is_known_as_one(world: World, console: Console, desk: EchoDesk) -> None:
    show_card(world, desk)
    keep, seen = desk.posted, []

    def posted(*about: str) -> None:
        seen.append(first_of(console, "ada", 1)[0].live)
        keep(*about)

    desk.posted = posted  # type: ignore[method-assign]
    console.converse(desk, "ada", Say(text="create shop"))
    assert seen == [True]


def test_details_of_an_answer_come_below_it(console: Console, desk: EchoDesk) -> None:
    desk.answer = lambda _: Answer(Reply(title="why", details=Reply(title="the whole return")))
    said = console.converse(desk, "ada", Say(text="why cart"))
    assert said is not None
    top, below = first_of(console, "ada", 2)
    assert (top.message, below.thread, below.reply.title) == (said.message, said.message, "the whole return")


# Over HTTP


def post(url: str, token: str = TOKEN, **body: Any) -> requests.Response:
    return requests.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=10)


def stream(url: str, token: str = TOKEN, **headers: str) -> Iterator[Event]:
    answer = requests.get(
        f"{url}/messages", headers={"Authorization": f"Bearer {token}", **headers}, stream=True, timeout=10
    )
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    return SSEClient(answer.iter_content(None)).events()  # type: ignore[no-any-return]


def test_saying_something_answers_with_the_reply(url: str, desk: EchoDesk) -> None:
    answer = post(url, text="help")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["reply"]["title"], body["operation"], body["done"]) == ("You said: help", None, True)
    assert desk.received[0].user == "ada"
    desk.answer = lambda _: None
    answer = post(url, text="again")
    assert (answer.status_code, answer.content) == (204, b"")


def test_nobody_speaks_for_somebody_else(url: str, desk: EchoDesk) -> None:
    post(url, token=BOB, text="help")
    assert desk.received[0].user == "bob"
    assert post(url, token="unknown", text="help").status_code == 401
    answer = post(url, text="help", user="bob")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "user")
    assert len(desk.received) == 1


@pytest.mark.parametrize(
    "body", [{"text": "x" * 5000}, {"text": 7}, {"text": "x", "message": "not a ULID"}, {"answer": "x" * 500}]
)
def test_what_makes_no_sense_is_refused(url: str, desk: EchoDesk, body: dict[str, Any]) -> None:
    assert post(url, **body).status_code == 422
    assert desk.received == []


def test_messages_come_as_they_are_posted_and_edited(url: str, console: Console) -> None:
    console.post("ada", Reply(title="before", buttons=(Button(label="Show", command="show cart"),)))
    events = stream(url)
    first = next(events)
    shown = json.loads(first.data)
    assert set(shown) == {"seq", "at", "message", "thread", "reply", "operation"}
    assert (first.id, shown["reply"]["buttons"][0]["command"]) == (str(shown["seq"]), "show cart")
    assert next(events).event == CAUGHT_UP
    message = console.post("ada", Reply(title="now"))
    console.post("bob", Reply(title="not for ada"))
    assert json.loads(next(events).data)["reply"]["title"] == "now"
    console.edit("ada", message, Reply(title="now, changed"))
    assert json.loads(next(events).data)["reply"]["title"] == "now, changed"


def test_a_stream_is_resumed_where_it_broke_off(url: str, console: Console) -> None:
    for number in range(3):
        console.post("ada", Reply(title=str(number)))
    events = stream(url)
    second = [next(events) for _ in range(2)][-1]
    rest = stream(url, **{"Last-Event-ID": str(second.id)})
    assert [json.loads(next(rest).data)["reply"]["title"], next(rest).event] == ["2", CAUGHT_UP]


def test_streams_of_the_console_are_capped_as_well(url: str) -> None:
    held = [stream(url) for _ in range(3)]  # three quarters of four threads
    for each in held:
        next(each)
    answer = requests.get(f"{url}/messages", headers=HEADERS, timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (503, "too-many-streams")
    assert post(url, text="help").status_code == 200


def test_how_far_somebody_has_read_is_kept(url: str, console: Console) -> None:
    console.post("ada", Reply(title="one"))
    assert requests.get(f"{url}/read", headers=HEADERS, timeout=5).json()["unread"] is True
    answer = requests.put(f"{url}/read", json={"seq": 1}, headers=HEADERS, timeout=5)
    assert answer.json() == {"person": "ada", "seq": 1, "unread": False}
    assert requests.put(f"{url}/read", json={"seq": -1}, headers=HEADERS, timeout=5).status_code == 422


def test_without_chats_the_paths_say_so(world: World) -> None:
    with served(world) as found:
        answer = post(f"{found}/api/v1/chat", text="help")
    assert (answer.status_code, answer.json()["code"]) == (503, "chat-off")


# As a leg of the contract suite


def test_the_leg_speaks_and_reads_as_people_do(world: World) -> None:
    leg, desk = ConsoleLeg(world), EchoDesk()
    leg.adapter.start(desk)
    try:
        leg.say("bob", "help", room="")
        assert [shown.text for shown in leg.shown_directly("bob")] == ["You said: help"]
        assert leg.shown_directly("ada") == []
        assert leg.repeat_last()
        assert len(desk.received) == 1
        options = (Button(label="Leave it", command="no", value="q/2"),)
        asked = leg.adapter.post("bob", Reply(title="Sure?", options=options))
        leg.adapter.edit("bob", asked, Reply(title="Really sure?", options=options))
        leg.pick("bob", "Leave it", room="")
        assert desk.received[-1].answer == "q/2"
        leg.adapter.edit("bob", asked, Reply(title="Answered."))
        shown = leg.shown_directly("bob")
        assert [(each.text, each.edits) for each in shown] == [
            ("You said: help", 0), ("Answered.", 1), ("You said: q/2", 0),
        ]  # fmt: skip
        leg.say("eve", "help", room="")
        assert [shown.text for shown in leg.shown_directly("eve")] == [
            "Brinepool does not know eve; ask ops to add you to access.yaml."
        ]
    finally:
        leg.close()
