"""A real Hubot with our package, against the webhook adapter: over lines of JSON, and once in Hubot's own Shell."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from orchestrator.chat.base import Answer, Incoming, Room, Undeliverable
from orchestrator.chat.replies import Button, Reply, Tone
from orchestrator.domain import signature
from orchestrator.domain.errors import Unavailable
from tests.chat.desks import EchoDesk
from tests.chat.hubot_leg import SECRET, HubotLeg
from tests.chat.leg import LOUNGE, SHOP, Shown
from tests.peers import hubot

pytestmark = pytest.mark.skipif(bool(hubot.missing()), reason=str(hubot.missing()))


@pytest.fixture
def leg() -> Iterator[HubotLeg]:
    leg = HubotLeg()
    yield leg
    leg.close()
    assert not leg.hubot.running()


@pytest.fixture
def desk(leg: HubotLeg) -> EchoDesk:
    desk = EchoDesk()
    leg.adapter.start(desk)
    return desk


def shown(leg: HubotLeg, count: int = 1, room: str = SHOP) -> list[Shown]:
    """What the bot has said in the room, once it is that much."""
    leg.hubot.wait_for(lambda: len(leg.shown(room)) >= count)
    return leg.shown(room)


def texts(leg: HubotLeg, count: int = 1, room: str = SHOP) -> list[str]:
    return [message.text for message in shown(leg, count, room)]


def answering(reply: Reply, operation: str | None = None) -> Callable[[Incoming], Answer]:
    return lambda incoming: Answer(reply, operation)


def test_what_people_say_reaches_the_desk_and_its_answer_the_room(leg: HubotLeg, desk: EchoDesk) -> None:
    leg.say("ada", "create shop feature/cart")
    assert texts(leg) == ["You said: create shop feature/cart"]
    (incoming,) = desk.received
    assert incoming == Incoming(
        service="hubot",
        user=leg.user("ada"),
        room=Room(SHOP, SHOP),
        text="create shop feature/cart",
        message=incoming.message,
        name="ada",
    )
    assert incoming.message


def test_to_the_bot_alone(leg: HubotLeg, desk: EchoDesk) -> None:
    leg.say("bob", "list environments", room="")
    assert texts(leg, room=leg.user("bob")) == ["You said: list environments"]
    assert desk.received[0].room == Room(leg.adapter.direct(leg.user("bob")), direct=True)
    leg.adapter.post(leg.adapter.direct(leg.user("ada")), Reply(title="for you"))
    assert [message.text for message in leg.shown_directly("ada")] == ["for you"]


def test_what_is_not_for_the_bot_is_not_handed_over(leg: HubotLeg, desk: EchoDesk) -> None:
    leg.overhear("ada", "brine create shop main")
    leg.overhear("ada", "hubot is nice")
    leg.say("ada", "jobs")
    assert texts(leg) == ["You said: jobs"]
    assert [incoming.text for incoming in desk.received] == ["jobs"]


def test_another_bot_is_known_as_one(leg: HubotLeg, desk: EchoDesk) -> None:
    assert leg.say_as_bot("jobs")
    assert desk.wait_for(1)
    assert desk.received[0].bot


def test_a_message_that_comes_again_has_the_same_id(leg: HubotLeg, desk: EchoDesk) -> None:
    leg.say("ada", "jobs")
    assert leg.repeat_last()
    assert desk.wait_for(2)
    assert len({incoming.message for incoming in desk.received}) == 1


def test_the_card_of_an_operation_is_said_once_and_then_how_it_ended(leg: HubotLeg, desk: EchoDesk) -> None:
    desk.answer = answering(Reply(title="create cart-test", tone=Tone.WORKING), "op-1")
    leg.say("ada", "create shop main")
    leg.hubot.wait_for(lambda: leg.shown() and desk.cards)
    (card,) = desk.cards
    assert card == ("op-1", "hubot", SHOP, card[3], leg.user("ada"))
    leg.adapter.edit(SHOP, card[3], Reply(title="half way", tone=Tone.WORKING))
    leg.adapter.edit(SHOP, card[3], Reply(title="ready", tone=Tone.GOOD, mention=(leg.user("ada"),)))
    begun, ended = shown(leg, 2)
    assert begun.text == "… create cart-test"
    assert (ended.text, ended.mentions) == ("✔ ready", ("ada",))


def test_options_are_numbered_and_buttons_say_what_to_type(leg: HubotLeg, desk: EchoDesk) -> None:
    question = Reply(
        title="Which branch?",
        tone=Tone.QUESTION,
        options=(Button(label="main", command="main"), Button(label="feature/cart", command="feature/cart")),
        buttons=(Button(label="Never mind", command="cancel"),),
    )
    leg.adapter.post(SHOP, question)
    assert "Never mind (type: hubot brine cancel)" in texts(leg)[0]
    leg.pick("ada", "feature/cart")
    leg.pick("ada", "Never mind")
    assert desk.wait_for(2)
    assert {incoming.text for incoming in desk.received} == {"2", "cancel"}


def test_what_is_private_is_said_to_one_person_only(leg: HubotLeg, desk: EchoDesk) -> None:
    desk.answer = answering(Reply(title="your code is 1234", private=True))
    leg.say("ada", "link")
    assert texts(leg, room=leg.user("ada")) == ["your code is 1234"]
    assert leg.shown() == []
    with pytest.raises(Unavailable):
        leg.adapter.post(SHOP, Reply(title="your code is 1234", private=True))
    assert leg.shown() == []


def test_rooms(leg: HubotLeg, desk: EchoDesk) -> None:
    leg.adapter.post(LOUNGE, Reply(title="hello"))
    assert texts(leg, room=LOUNGE) == ["hello"]
    with pytest.raises(Undeliverable):
        leg.adapter.post("nowhere", Reply(title="hello"))
    with pytest.raises(Undeliverable):
        leg.adapter.post(leg.adapter.direct("U-nobody"), Reply(title="hello"))


def test_while_hubot_is_down_nothing_is_lost_silently(leg: HubotLeg, desk: EchoDesk) -> None:
    assert leg.go_down()
    with pytest.raises(Unavailable):
        leg.adapter.post(SHOP, Reply(title="ready"))
    assert leg.adapter.problem()
    leg.come_back()
    leg.adapter.post(SHOP, Reply(title="ready"))
    assert texts(leg) == ["ready"]
    assert leg.adapter.problem() is None


def test_while_brinepool_is_down_people_are_told_so(leg: HubotLeg, desk: EchoDesk) -> None:
    leg.stop_brinepool()
    leg.say("ada", "jobs")
    assert texts(leg) == ["Brinepool is not running; nothing was done. Try again in a minute."]
    assert leg.hubot.running()


def test_while_brinepool_starts_people_are_told_in_its_words(leg: HubotLeg) -> None:
    leg.say("ada", "jobs")
    assert texts(leg) == ["Brinepool takes no messages just now; send it again in a few seconds."]


def test_forged_and_repeated_updates_are_refused(leg: HubotLeg, desk: EchoDesk) -> None:
    update = {"delivery": "d-1", "kind": "post", "room": SHOP, "direct": "", "message": "m", "text": "hi", "reply": {}}
    body = json.dumps(update).encode()
    forged = send(leg, body, signature.sign("another secret of that length", body, time.time()))
    first, second = (send(leg, body, signature.sign(SECRET, body, time.time())) for _ in range(2))
    assert [forged, first, second] == [401, 204, 409]
    assert texts(leg) == ["hi"]


def send(leg: HubotLeg, body: bytes, signed: str) -> int:
    headers = {"Content-Type": "application/json", signature.HEADER: signed}
    return requests.post(leg.hubot.url + hubot.UPDATES, data=body, headers=headers, timeout=10).status_code


def test_hubot_listens_on_loopback_only(leg: HubotLeg) -> None:
    port = int(leg.hubot.url.rpartition(":")[2])
    with socket.socket() as attempt, pytest.raises(ConnectionRefusedError):
        attempt.connect(("127.0.0.2", port))


def test_in_the_shell_of_hubot(leg: HubotLeg, desk: EchoDesk, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shell = hubot.Shell(tmp_path, port, leg.settings)
    try:
        shell.start()
        shell.type("brine list environments")
        shell.wait_for(lambda: "You said: list environments" in shell.shown())
        shell.type("brine")
        shell.wait_for(lambda: "You said: help" in shell.shown())
    finally:
        shell.stop()
    assert (desk.received[0].user, desk.received[0].room) == ("1", Room("Shell", "Shell"))
    assert "at async" not in shell.shown()


def test_the_package_s_own_tests() -> None:
    """With Node's test runner, against a real Robot."""
    assert shutil.which("npm")
    ran = subprocess.run(
        ["npm", "test", "--silent"],
        cwd=hubot.PACKAGE,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": os.environ["PATH"]},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_lock_names_no_registry() -> None:
    packages = json.loads((hubot.PACKAGE / "package-lock.json").read_text())["packages"]
    assert packages
    assert all("resolved" not in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)
