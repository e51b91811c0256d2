"""Errbot with our plugin: in Errbot's own test bot, and over a real IRC server through the webhook adapter."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.chat.base import Answer, Room, Undeliverable
from orchestrator.chat.replies import Button, Fact, Progress, Reply, Step, Table, Tone
from orchestrator.domain.errors import Unavailable
from tests.chat.desks import EchoDesk
from tests.chat.errbot_leg import ErrbotLeg
from tests.chat.leg import LOUNGE, SHOP, Shown
from tests.peers import errbot, install

pytestmark = pytest.mark.skipif(errbot.missing() is not None, reason=str(errbot.missing()))

NASTY = "a_b *c* <i>d</i> `e` [f](http://g.example.org/h_i) 1. j\r\nQUIT :bye\x00\x01\x0304,05k l\u202em"


def test_the_plugin_in_errbots_own_test_bot(tmp_path: Path) -> None:
    """Its tests run where Errbot is installed."""
    options = ["-q", "-p", "no:cacheprovider", "--show-capture=no"]
    ran = subprocess.run(
        [str(install.python(errbot.PEER)), "-m", "pytest", *options, "tests"],
        cwd=errbot.PLUGIN, env={**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-4000:]


@pytest.fixture(scope="module")
def running() -> Iterator[ErrbotLeg]:
    leg = ErrbotLeg()
    yield leg
    leg.close()


@pytest.fixture
def leg(running: ErrbotLeg) -> Iterator[ErrbotLeg]:
    """The one IRC server with nothing said in it yet."""
    for person in running.people.values():
        person.heard.clear()
    yield running
    running.adapter.stop()


@pytest.fixture
def desk(leg: ErrbotLeg) -> EchoDesk:
    desk = EchoDesk()
    leg.adapter.start(desk)
    return desk


def wait_for(leg: ErrbotLeg, count: int, shown: Callable[[], list[Shown]] | None = None) -> list[Shown]:
    """Wait until the bot has said so many messages (in the shop's room)."""
    look = shown or leg.shown
    errbot.wait_until(lambda: len(look()) >= count, lambda: f"only {look()} was said:\n{leg.errbot.log()}")
    return look()


def test_a_command_in_a_room(leg: ErrbotLeg, desk: EchoDesk) -> None:
    leg.say("ada", "create shop feature/cart")
    assert wait_for(leg, 1)[0].text == "You said: create shop feature/cart"
    (incoming,) = desk.received
    assert (incoming.service, incoming.user, incoming.name) == ("errbot", leg.user("ada"), "ada")
    assert incoming.room == Room("#shop-dev", SHOP)
    assert incoming.text == "create shop feature/cart"
    assert not incoming.bot


def test_addressed_without_the_prefix(leg: ErrbotLeg, desk: EchoDesk) -> None:
    leg.overhear("ada", "brine: list environments")
    wait_for(leg, 1)
    assert desk.received[0].text == "list environments"


def test_what_is_not_for_the_bot_is_not_handed_over(leg: ErrbotLeg, desk: EchoDesk) -> None:
    leg.overhear("ada", "the brine is salty: list environments")
    leg.say("ada", "list")
    wait_for(leg, 1)
    assert [incoming.text for incoming in desk.received] == ["list"]


def test_a_command_in_private(leg: ErrbotLeg, desk: EchoDesk) -> None:
    leg.say("bob", "list", room="")
    said = wait_for(leg, 1, lambda: leg.shown_directly("bob"))
    assert said[0].text == "You said: list"
    assert desk.received[0].room == Room(f"direct:{leg.user('bob')}", direct=True)
    assert leg.shown() == []


def test_what_is_for_one_person_is_said_to_them_alone(leg: ErrbotLeg, desk: EchoDesk) -> None:
    desk.answer = lambda incoming: Answer(Reply(title="Your code is 1234", private=True))
    leg.say("ada", "link me")
    assert wait_for(leg, 1, lambda: leg.shown_directly("ada"))[0].text == "Your code is 1234"
    assert leg.shown() == []


def test_a_card_arrives_whole_and_nothing_in_it_gets_out_of_its_line(leg: ErrbotLeg, desk: EchoDesk) -> None:
    rows = tuple((f"cart-test-web-{number}", "ready", f"http://127.78.1.{number}:8000/a_b") for number in range(1, 9))
    desk.answer = lambda incoming: Answer(
        Reply(
            title=f"cart-test is ready {NASTY}", tone=Tone.GOOD, lines=(NASTY,),
            facts=(Fact(label="owner", value=NASTY),),
            tables=(Table(columns=("server", "status", "address"), rows=rows),), code=NASTY,
            buttons=(Button(label="Extend", command="extend cart-test"),), mention=(incoming.user,),
        )
    )  # fmt: skip
    leg.say("ada", "show cart-test")
    (card,) = wait_for(leg, 1)
    title, *lines = card.text.splitlines()
    clean = "a_b *c* <i>d</i> `e` [f](http://g.example.org/h_i) 1. j QUIT :bye04,05k lm"
    assert title == f"ada: ✔ cart-test is ready {clean}"
    assert card.mentions == ("ada",)
    assert "cart-test-web-8: status ready, address http://127.78.1.8:8000/a_b" in lines
    assert lines[-1] == "Extend (type: !brine extend cart-test)"
    assert errbot.NICK in {nick for nick, _ in leg.people["ada"].there}


def test_options_are_picked_by_their_number_and_buttons_by_typing(leg: ErrbotLeg, desk: EchoDesk) -> None:
    options = (Button(label="main", command="x"), Button(label="feature/my_cart", command="y"))
    buttons = (Button(label="Help", command="help create"),)
    desk.answer = lambda incoming: Answer(Reply(title="Which?", options=options, buttons=buttons))
    leg.say("ada", "create shop")
    wait_for(leg, 1)
    leg.pick("ada", "feature/my_cart")
    wait_for(leg, 2)
    leg.pick("ada", "Help")
    wait_for(leg, 3)
    assert [incoming.text for incoming in desk.received] == ["create shop", "2", "help create"]


def test_another_bot_is_known_as_one(leg: ErrbotLeg, desk: EchoDesk) -> None:
    desk.answer = lambda incoming: None if incoming.bot else Answer(Reply(title="heard"))
    leg.say_as_bot("terminate cart-test")
    leg.say("ada", "list")
    assert [message.text for message in wait_for(leg, 1)] == ["heard"]
    assert desk.wait_for(2)
    assert {incoming.text: incoming.bot for incoming in desk.received} == {"terminate cart-test": True, "list": False}


def test_the_card_of_an_operation_and_how_it_ended(leg: ErrbotLeg, desk: EchoDesk) -> None:
    """IRC cannot edit: what is said is that it began, and how it ended."""
    steps = (Step(server="cart-test-web-1", phase="configuring", state="build", n=3, of=8),)
    card = Reply(title="Creating cart-test", tone=Tone.WORKING, progress=Progress(steps=steps, elapsed_s=12, rest_s=40))
    desk.answer = lambda incoming: Answer(card, "operation-1")
    leg.say("ada", "create shop as cart-test")
    wait_for(leg, 1)
    errbot.wait_until(lambda: desk.cards, lambda: "the card was not reported")
    _, _, room, message, user = desk.cards[0]
    leg.adapter.edit(room, message, card)
    leg.adapter.edit(room, message, Reply(title="cart-test is ready", tone=Tone.GOOD, mention=(user,)))
    first, last = wait_for(leg, 2)
    assert first.text.splitlines() == [
        "… Creating cart-test",
        "12s, about 40s to go: cart-test-web-1 configuring build 3/8",
    ]
    assert (last.text, last.mentions) == ("ada: ✔ cart-test is ready", ("ada",))


def test_notices_arrive_in_order(leg: ErrbotLeg, desk: EchoDesk) -> None:
    for number in range(20):
        leg.adapter.post("#lounge", Reply(title=f"notice {number}"))
    said = wait_for(leg, 20, lambda: leg.shown(LOUNGE))
    assert [message.text for message in said] == [f"notice {number}" for number in range(20)]


def test_a_notice_for_one_person_and_rooms_that_are_not_there(leg: ErrbotLeg, desk: EchoDesk) -> None:
    leg.say("eve", "list")
    wait_for(leg, 1)
    leg.adapter.post(leg.adapter.direct(leg.user("eve")), Reply(title="it expires soon"))
    assert wait_for(leg, 1, lambda: leg.shown_directly("eve"))[0].text == "it expires soon"
    with pytest.raises(Undeliverable):
        leg.adapter.post("#nowhere", Reply(title="lost"))


def test_that_brinepool_takes_nothing_now_is_said(leg: ErrbotLeg) -> None:
    leg.say("ada", "list")
    assert wait_for(leg, 1)[0].text == "Brinepool takes no messages just now; send it again in a few seconds."


def test_when_the_irc_server_is_away_updates_wait_for_it(leg: ErrbotLeg, desk: EchoDesk) -> None:
    leg.go_down()

    def refused() -> bool:
        try:
            leg.adapter.post("#shop-dev", Reply(title="news"))
        except Unavailable:
            return True
        return False

    errbot.wait_until(refused, lambda: "Errbot takes updates without a chat")
    leg.come_back()
    errbot.wait_until(lambda: not refused(), lambda: "Errbot takes no updates any more")
    assert wait_for(leg, 1)[-1].text == "news"
    leg.say("ada", "list")
    wait_for(leg, 2)
