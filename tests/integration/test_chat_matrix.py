"""The Matrix adapter with a real Synapse: what it hears there, and in which rooms."""

import threading

import pytest

from orchestrator.chat.base import Answer, Incoming, Undeliverable
from orchestrator.chat.matrix import Matrix
from orchestrator.chat.matrix import session as matrix_session
from orchestrator.chat.replies import Reply
from tests.chat.desks import EchoDesk
from tests.chat.leg import LOUNGE, SHOP
from tests.chat.matrix_fixtures import *  # noqa: F403
from tests.chat.matrix_fixtures import begin, restarted, texts, until
from tests.chat.matrix_leg import MatrixLeg


def test_what_is_said_to_the_bot_is_answered_and_what_is_not_is_not(
    leg: MatrixLeg, adapter: Matrix, desk: EchoDesk
) -> None:
    leg.overhear("ada", "create shop main")
    leg.say("ada", "help")
    assert until(lambda: texts(leg)) == ["You said: help"]
    [told] = desk.received
    assert (told.user, told.room.id, told.room.name, told.room.direct) == (
        leg.user("ada"),
        leg.rooms[SHOP],
        SHOP,
        False,
    )
    assert (told.text, told.edited, told.bot) == ("help", False, False)
    assert f"@{told.name}:" in told.user


def test_directly_everything_is_said_to_the_bot(leg: MatrixLeg, adapter: Matrix, desk: EchoDesk) -> None:
    leg.say("bob", "list", room="")
    [shown] = until(lambda: leg.shown_directly("bob"))
    assert shown.text == "You said: list"
    assert desk.received[0].room.direct


def test_an_edit_and_another_bot_are_told_as_such(leg: MatrixLeg, adapter: Matrix, desk: EchoDesk) -> None:
    leg.say("ada", "list")
    leg.edit_last("ada", "terminate everything")
    leg.say_as_bot("list")
    assert desk.wait_for(3)
    assert [(told.text, told.edited, told.bot) for told in desk.received] == [
        ("list", False, False),
        ("terminate everything", True, False),
        ("list", False, True),
    ]
    assert len({told.message for told in desk.received}) == 3


def test_what_was_said_before_the_bot_first_started_is_not_acted_on(leg: MatrixLeg, desk: EchoDesk) -> None:
    leg.say("ada", "terminate everything")
    begin(leg.adapter, desk)
    leg.say("ada", "list")
    until(lambda: texts(leg))
    assert [told.text for told in desk.received] == ["list"]


def test_what_was_said_before_the_bot_was_invited_is_not_acted_on(
    leg: MatrixLeg, adapter: Matrix, desk: EchoDesk
) -> None:
    ada = leg.people["ada"]
    room = ada.create_room(invite=(leg.user("bob"),), preset="public_chat")
    ada.say(room, f"{leg.bot.user}: terminate everything")
    ada.call("POST", f"rooms/{room}/invite", {"user_id": leg.bot.user})
    ada.say(room, f"{leg.bot.user}: list")
    assert desk.wait_for(1)
    ada.say(room, f"{leg.bot.user}: help")
    assert desk.wait_for(2)
    assert [told.text for told in desk.received] == ["list", "help"]


def test_an_invitation_from_another_homeserver_is_not_accepted(
    leg: MatrixLeg, adapter: Matrix, caplog: pytest.LogCaptureFixture
) -> None:
    adapter._listening._welcome = frozenset({"other.example"})
    leg.people["ada"].create_room(invite=(leg.bot.user,))
    until(lambda: "another homeserver" in caplog.text)
    assert set(leg.bot.joined()) == set(leg.rooms.values())


def test_while_the_bot_was_away_nothing_is_lost_and_nothing_done_twice(
    leg: MatrixLeg, adapter: Matrix, desk: EchoDesk
) -> None:
    leg.say("ada", "number 0")
    until(lambda: texts(leg))
    adapter.stop()
    for number in range(1, 121):  # more than a homeserver sends by itself
        leg.say("ada", f"number {number}")
    restarted(leg, desk)
    assert desk.wait_for(121, 60)
    until(lambda: len(texts(leg)) == 121, 60)
    restarted(leg, desk)
    leg.say("bob", "the last")
    until(lambda: "You said: the last" in texts(leg))
    assert [told.text for told in desk.received] == [*(f"number {number}" for number in range(121)), "the last"]


def test_what_was_broken_off_comes_again(leg: MatrixLeg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_session, "GRACE_S", 0.1)
    gate = threading.Event()
    slow = EchoDesk(lambda incoming: Answer(Reply(title="too late")) if gate.wait(30) else None)
    begin(leg.adapter, slow)
    leg.say("ada", "create shop main")
    assert slow.wait_for(1)
    stopping = threading.Thread(target=leg.adapter.stop)
    stopping.start()
    until(lambda: not [one for one in threading.enumerate() if one.name == "matrix"])
    gate.set()
    stopping.join()
    quick = EchoDesk()
    restarted(leg, quick)
    assert quick.wait_for(1)
    assert quick.received[0].message == slow.received[0].message


def test_one_person_is_answered_in_order(leg: MatrixLeg, adapter: Matrix, desk: EchoDesk) -> None:
    first = threading.Event()

    def answer(incoming: Incoming) -> Answer:
        if incoming.text == "slow":
            first.wait(10)
        if incoming.user == leg.user("bob"):
            first.set()
        return Answer(Reply(title=f"{incoming.name}: {incoming.text}"))

    desk.answer = answer
    leg.say("ada", "slow")
    leg.say("ada", "quick")
    leg.say("bob", "hello")
    until(lambda: len(texts(leg)) == 3)
    said = [text.rpartition(": ")[2] for text in texts(leg)]
    assert said == ["hello", "slow", "quick"], "others need not wait"


def test_an_error_of_the_desk_is_not_repeated_for_ever(leg: MatrixLeg, adapter: Matrix, desk: EchoDesk) -> None:
    def answer(incoming: Incoming) -> Answer:
        if incoming.text == "bad":
            raise RuntimeError("a bug")
        return Answer(Reply(title="fine"))

    desk.answer = answer
    leg.say("ada", "bad")
    leg.say("ada", "good")
    until(lambda: texts(leg))
    restarted(leg, desk)
    leg.say("ada", "good again")
    assert desk.wait_for(3)
    assert [told.text for told in desk.received] == ["bad", "good", "good again"]


# Rooms


def test_rooms_are_known_by_their_alias(leg: MatrixLeg, adapter: Matrix) -> None:
    leg.people["ada"].create_room(f"not-ours-{id(leg)}")
    assert adapter.room(SHOP) == leg.rooms[SHOP]
    assert adapter.room(f"{SHOP}:{leg.synapse.name}") == leg.rooms[SHOP]
    assert adapter.room(f"not-ours-{id(leg)}") is None
    assert [adapter.room(name) for name in ("nowhere", "", "sh op", "#", "a:b:c", "x" * 300)] == [None] * 6


def test_a_room_that_claims_another_one_s_name_does_not_get_it(leg: MatrixLeg, adapter: Matrix, desk: EchoDesk) -> None:
    alias = f"directory/room/%23{LOUNGE}:{leg.synapse.name}"
    # By somebody who is not in the room: that goes on to say that it is called so.
    leg.synapse.admin.call("DELETE", alias)
    leg.people["ada"].call("PUT", alias, {"room_id": leg.rooms[SHOP]})
    leg.say("eve", "list", LOUNGE)
    assert desk.wait_for(1)
    assert desk.received[0].room.name == ""
    assert adapter.room(LOUNGE) == leg.rooms[SHOP]


def test_a_direct_room_is_begun_once_and_found_again(leg: MatrixLeg, adapter: Matrix, desk: EchoDesk) -> None:
    room = adapter.direct(leg.user("bob"))
    assert adapter.direct(leg.user("bob")) == room
    adapter.post(room, Reply(title="for you only", private=True))
    assert [shown.text for shown in leg.shown_directly("bob")] == ["for you only"]
    again = restarted(leg, desk)
    assert again.direct(leg.user("bob")) == room
    leg.people["bob"].call("POST", f"rooms/{room}/leave")
    until(lambda: again.direct(leg.user("bob")) != room)


@pytest.mark.parametrize("user", ["@nobody:brine.test", "bob", "", "@x:other.example"])
def test_there_is_no_direct_room_with_nobody(adapter: Matrix, user: str) -> None:
    with pytest.raises(Undeliverable):
        adapter.direct(user)


def test_a_room_with_others_is_not_direct(leg: MatrixLeg, adapter: Matrix, desk: EchoDesk) -> None:
    room = adapter.direct(leg.user("ada"))
    leg.say("ada", "list", room="")
    assert desk.wait_for(1)
    leg.bot.call("POST", f"rooms/{room}/invite", {"user_id": leg.user("eve")})
    leg.people["ada"].say(room, f"{leg.bot.user}: list")
    assert desk.wait_for(2)
    assert [told.room.direct for told in desk.received] == [True, False]
    assert adapter.direct(leg.user("ada")) != room


def test_encrypted_rooms_are_told_why_there_is_no_answer(leg: MatrixLeg, adapter: Matrix, desk: EchoDesk) -> None:
    ada = leg.people["ada"]
    secret = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    room = ada.create_room(invite=(leg.bot.user,), initial_state=[secret])
    for _ in range(2):
        ada.send(room, {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"}, "m.room.encrypted")
    [shown] = until(lambda: leg.shown(room))
    assert "encrypted" in shown.text
    with pytest.raises(Undeliverable, match="encrypted"):
        adapter.post(room, Reply(title="x"))
    assert adapter.direct(leg.user("ada")) != room
    assert desk.received == []
    assert len(leg.shown(room)) == 1
