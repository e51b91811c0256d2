"""The Matrix adapter with a real Synapse: what people there see, and what it does when something fails."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.chat.base import Answer, Incoming, RateLimited, Undeliverable
from orchestrator.chat.matrix import Matrix, html
from orchestrator.chat.matrix import session as matrix_session
from orchestrator.chat.replies import Button, Reply, Tone
from orchestrator.domain.errors import Unavailable
from tests.chat.desks import EchoDesk
from tests.chat.leg import SHOP
from tests.chat.matrix_fixtures import *  # noqa: F403
from tests.chat.matrix_fixtures import begin, reactions, restarted, texts, until
from tests.chat.matrix_leg import MatrixLeg

BRANCHES = tuple(Button(label=name, command="", value=f"q/{place}") for place, name in enumerate(("main", "cart"), 1))
QUESTION = Reply(title="Which branch for web?", tone=Tone.QUESTION, options=BRANCHES)


def test_twenty_edits_are_seen_in_order(leg: MatrixLeg, adapter: Matrix) -> None:
    message = adapter.post(leg.rooms[SHOP], Reply(title="0 of 20", tone=Tone.WORKING))
    for number in range(1, 21):
        adapter.edit(leg.rooms[SHOP], message, Reply(title=f"{number} of 20", tone=Tone.WORKING))
    events = leg.people["eve"].events(leg.rooms[SHOP])
    edits = [event["content"]["m.new_content"]["body"] for event in events if "m.new_content" in event["content"]]
    assert edits == [f"… {number} of 20" for number in range(1, 21)]
    [shown] = leg.shown()
    assert (shown.text, shown.edits) == ("… 20 of 20", 20)
    # What a client that comes later is told by the server itself.
    event = leg.people["eve"].call("GET", f"rooms/{leg.rooms[SHOP]}/event/{message}")
    assert event["unsigned"]["m.relations"]["m.replace"]["content"]["m.new_content"]["body"] == "… 20 of 20"


def test_only_who_is_mentioned_is_notified(leg: MatrixLeg, adapter: Matrix) -> None:
    room = leg.rooms[SHOP]
    before = {name: notifications(leg, name) for name in ("ada", "bob")}
    message = adapter.post(room, Reply(title="ada: bob: working", tone=Tone.WORKING))
    adapter.edit(room, message, Reply(title="still working @room", tone=Tone.WORKING))
    adapter.edit(room, message, Reply(title="ready", tone=Tone.GOOD, mention=(leg.user("ada"),)))
    until(lambda: notifications(leg, "ada") == before["ada"] + 1)
    adapter.post(room, Reply(title="failed", mention=(leg.user("ada"),)))
    until(lambda: notifications(leg, "ada") == before["ada"] + 2)
    assert [shown.mentions for shown in leg.shown()] == [["ada"], ["ada"]]
    assert notifications(leg, "bob") == before["bob"] + 1, "a message with a mention is one like another for the rest"
    assert highlights(leg, "bob") == 0


def notifications(leg: MatrixLeg, person: str) -> int:
    return len(notified(leg, person))


def highlights(leg: MatrixLeg, person: str) -> int:
    return sum({"set_tweak": "highlight"} in one["actions"] for one in notified(leg, person))


def notified(leg: MatrixLeg, person: str) -> list[dict[str, Any]]:
    found = leg.people[person].call("GET", "notifications", limit="100")["notifications"]
    return [one for one in found if one["room_id"] == leg.rooms[SHOP] and one["event"]["sender"] == leg.bot.user]


def test_what_is_private_is_said_directly(leg: MatrixLeg, adapter: Matrix, desk: EchoDesk) -> None:
    desk.answer = lambda incoming: Answer(Reply(title="Your code is 1234", private=True))
    leg.say("ada", "link")
    [shown] = until(lambda: leg.shown_directly("ada"))
    assert shown.text == "Your code is 1234"
    assert leg.shown() == []
    with pytest.raises(Undeliverable):
        adapter.post(leg.rooms[SHOP], Reply(title="Your code is 1234", private=True))
    assert leg.shown() == []


def test_threads(leg: MatrixLeg, adapter: Matrix, desk: EchoDesk) -> None:
    card = adapter.post(leg.rooms[SHOP], Reply(title="failed"))
    details = adapter.post(leg.rooms[SHOP], Reply(title="details"), thread=card)
    adapter.post(leg.rooms[SHOP], Reply(title="more"), thread=details)
    relation = {"rel_type": "m.thread", "event_id": card}
    leg.people["ada"].say(leg.rooms[SHOP], f"{leg.bot.user}: why", **{"m.relates_to": relation})
    until(lambda: len(leg.shown()) == 4)
    assert [shown.thread for shown in leg.shown()] == ["", card, card, card]
    assert desk.received[0].thread == card


def test_a_reaction_answers_and_a_button_says_its_command(leg: MatrixLeg, adapter: Matrix, desk: EchoDesk) -> None:
    room = leg.rooms[SHOP]
    question = adapter.post(
        room, QUESTION.model_copy(update={"buttons": (Button(label="Never mind", command="help"),)})
    )
    until(lambda: reactions(leg, question) == ["1️⃣", "2️⃣", "🇦"])
    leg.react(leg.people["ada"], room, question, "👍")
    leg.pick("ada", "cart")
    leg.pick("bob", "Never mind")
    assert desk.wait_for(2)
    found = {(told.user, told.text, told.answer, told.room.name) for told in desk.received}
    assert found == {(leg.user("ada"), "", "q/2", SHOP), (leg.user("bob"), "help", "", SHOP)}


def test_what_a_message_does_not_offer_any_more_cannot_be_picked(
    leg: MatrixLeg, adapter: Matrix, desk: EchoDesk
) -> None:
    room, ada = leg.rooms[SHOP], leg.people["ada"]
    question = adapter.post(room, QUESTION)
    until(lambda: len(reactions(leg, question)) == 2)
    adapter = restarted(leg, desk)
    adapter.edit(room, question, Reply(title="cart it is", buttons=(Button(label="Undo", command="undo it"),)))
    until(lambda: reactions(leg, question) == ["🇦"])
    leg.react(ada, room, question, "1️⃣")
    offered = {"1\u20e3": {"command": "terminate everything", "value": ""}}
    theirs = ada.say(room, "looks like one of the bot's", **{html.BUTTONS: offered})
    leg.react(leg.people["bob"], room, theirs, "1️⃣")
    leg.pick("ada", "Undo")
    assert desk.wait_for(1)
    assert [(told.text, told.answer) for told in desk.received] == [("undo it", "")]


def test_a_reaction_that_was_taken_back_meanwhile_does_not_count(
    leg: MatrixLeg, adapter: Matrix, desk: EchoDesk
) -> None:
    room, ada = leg.rooms[SHOP], leg.people["ada"]
    question = adapter.post(room, QUESTION)
    adapter.stop()
    reaction = leg.react(ada, room, question, "1️⃣")
    ada.call("PUT", f"rooms/{room}/redact/{reaction}/1")
    leg.adapter = leg.another_adapter()
    begin(leg.adapter, desk)
    leg.say("ada", "list")
    assert desk.wait_for(1)
    assert [told.text for told in desk.received] == ["list"]


def test_what_is_too_long_arrives_shortened(leg: MatrixLeg, adapter: Matrix) -> None:
    long = Reply(title="log", lines=tuple(f"line {number} {'€' * 400}" for number in range(2000)), code="x\n" * 50_000)
    message = adapter.post(leg.rooms[SHOP], long)
    adapter.edit(leg.rooms[SHOP], message, long)
    [shown] = leg.shown()
    assert "… " in shown.text
    assert shown.edits == 1


def test_what_can_never_arrive_is_said_so(leg: MatrixLeg, adapter: Matrix) -> None:
    theirs = leg.people["ada"].say(leg.rooms[SHOP], "mine")
    with pytest.raises(Undeliverable, match="invite"):
        adapter.post(leg.people["ada"].create_room(), Reply(title="x"))
    with pytest.raises(Undeliverable):
        adapter.edit(leg.rooms[SHOP], "$nothing", Reply(title="x"))
    with pytest.raises(Undeliverable, match="not the bot's"):
        adapter.edit(leg.rooms[SHOP], theirs, Reply(title="x"))


# Trouble


def test_a_pause_that_the_homeserver_wants_is_passed_on_and_kept(leg: MatrixLeg, adapter: Matrix) -> None:
    with leg.synapse.limited(leg.bot.user, per_second=1, burst=2):
        with pytest.raises(RateLimited) as wanted:  # noqa: PT012
            for _ in range(10):
                adapter.post(leg.rooms[SHOP], Reply(title="much"))
        assert 0 < wanted.value.retry_after <= 5
        leg.say("ada", "help")
        until(lambda: "You said: help" in texts(leg))


def test_what_perhaps_arrived_does_not_arrive_twice(
    leg: MatrixLeg, desk: EchoDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix_session, "REQUEST_S", 1.0)
    adapter = begin(leg.adapter, desk)
    leg.wire.deaf = True
    with pytest.raises(Unavailable):
        adapter.post(leg.rooms[SHOP], Reply(title="ready"))
    leg.wire.deaf = False
    adapter.post(leg.rooms[SHOP], Reply(title="ready"))
    assert texts(leg) == ["ready"]
    adapter.post(leg.rooms[SHOP], Reply(title="ready"))
    assert texts(leg) == ["ready", "ready"], "the same can be said again"


def test_the_homeserver_stops_and_starts(leg: MatrixLeg, adapter: Matrix, desk: EchoDesk) -> None:
    room = leg.rooms[SHOP]
    message = adapter.post(room, Reply(title="working", tone=Tone.WORKING))
    leg.synapse.stop()
    try:
        with pytest.raises(Unavailable):
            adapter.post(room, Reply(title="lost"))
        with pytest.raises(Unavailable):
            adapter.edit(room, message, Reply(title="lost"))
        assert "does not answer" in until(adapter.problem)
    finally:
        leg.synapse.start()
    until(lambda: adapter.problem() is None)
    adapter.edit(room, message, Reply(title="ready", tone=Tone.GOOD))
    leg.say("ada", "list")
    until(lambda: texts(leg) == ["✔ ready", "You said: list"])


def test_that_the_homeserver_is_back_is_known_at_once(leg: MatrixLeg, adapter: Matrix) -> None:
    for _ in range(2):  # the second time, nothing has happened that it could be told of
        leg.go_down()
        until(adapter.problem)
        leg.come_back()
        until(lambda: adapter.problem() is None, 10)


def test_an_answer_waits_until_the_homeserver_is_back(leg: MatrixLeg, adapter: Matrix, desk: EchoDesk) -> None:
    def answer(incoming: Incoming) -> Answer:
        leg.go_down()
        return Answer(Reply(title="made"))

    desk.answer = answer
    leg.say("ada", "create shop main")
    until(adapter.problem)
    leg.say("ada", "and this was said meanwhile")
    desk.answer = lambda incoming: Answer(Reply(title="heard"))
    leg.come_back()
    until(lambda: texts(leg) == ["made", "heard"], 60)


def test_it_starts_without_the_homeserver(leg: MatrixLeg, desk: EchoDesk) -> None:
    leg.go_down()
    begun = time.monotonic()
    leg.adapter.start(desk)
    assert time.monotonic() - begun < 0.5
    until(lambda: "does not answer" in (leg.adapter.problem() or ""))
    with pytest.raises(Unavailable):
        leg.adapter.post(leg.rooms[SHOP], Reply(title="x"))
    leg.say("ada", "said after the start")
    leg.come_back()
    until(lambda: texts(leg) == ["You said: said after the start"], 60)


def test_signed_out_it_signs_in_again(leg: MatrixLeg, adapter: Matrix) -> None:
    state = leg.folder / "state" / "matrix.json"
    before = json.loads(state.read_text())
    leg.bot.call("POST", "logout/all")
    with pytest.raises(Unavailable):
        adapter.post(leg.rooms[SHOP], Reply(title="x"))
    until(lambda: adapter.problem() is None and not failed(lambda: adapter.post(leg.rooms[SHOP], Reply(title="back"))))
    leg.say("ada", "list")
    until(lambda: texts(leg) == ["back", "You said: list"])
    after = json.loads(state.read_text())
    assert after["token"] != before["token"]


def failed(work: Callable[[], object]) -> bool:
    try:
        work()
    except Unavailable:
        return True
    return False


def test_a_password_that_is_not_accepted_is_told_and_can_be_mended(leg: MatrixLeg, desk: EchoDesk) -> None:
    leg.password_file.write_text("wrong")
    leg.adapter.start(desk)
    assert str(leg.password_file) in until(lambda: (said := leg.adapter.problem()) and "password" in said and said)
    leg.password_file.write_text(leg.bot.password)
    until(lambda: leg.adapter.problem() is None, 60)


def test_with_an_access_token(leg: MatrixLeg, desk: EchoDesk) -> None:
    file = leg.folder / "token"
    adapter = leg.adapter = leg.another_adapter(password_file=None, token_file=file)
    adapter.start(desk)
    until(lambda: "cannot be read" in (adapter.problem() or ""))
    file.write_text("not a token")
    until(lambda: "does not accept the access token" in (adapter.problem() or ""))
    file.write_text(leg.people["ada"].token)
    until(lambda: f"belongs to {leg.user('ada')}" in (adapter.problem() or ""))
    file.write_text(leg.bot.token)
    until(lambda: adapter.problem() is None, 60)
    leg.say("ada", "list")
    until(lambda: texts(leg))
    assert leg.bot.token not in (leg.folder / "state" / "matrix.json").read_text()


def test_a_place_that_the_homeserver_does_not_know_is_a_new_beginning(
    leg: MatrixLeg, adapter: Matrix, desk: EchoDesk
) -> None:
    adapter.stop()
    state = leg.folder / "state" / "matrix.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"since": "nonsense"}))
    leg.say("ada", "before")
    leg.adapter = leg.another_adapter()
    begin(leg.adapter, desk)
    leg.say("ada", "after")
    until(lambda: texts(leg) == ["You said: after"])
