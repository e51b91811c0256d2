"""What people do in Slack, over HTTP and over Socket Mode, with a fake that keeps to the real one's rules."""

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.chat.replies import Button, Reply, Tone
from tests.chat.slack_leg import no_templates
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


# --- what people do


def test_a_mention_a_direct_message_and_a_slash_command(stage: Stage) -> None:
    stage.slack.say(ADA, SHOP, "list &amp; <http://shop.dev|shop.dev> <#C1|tax> “x”")
    stage.slack.say(BOB, stage.slack.direct(BOB), "help")
    stage.slack.slash(ADA, SHOP, "show cart-test")
    heard = {one.text: one for one in stage.heard(3)}
    mention, message = heard["list & shop.dev #tax “x”"], heard["help"]
    assert (mention.user, mention.room.name, mention.room.direct) == (ADA, "shop-dev", False)
    assert (mention.name, mention.email) == ("ada", "ada@example.org")
    assert (message.user, message.room.name, message.room.direct) == (BOB, "", True)
    assert heard["show cart-test"].room.name == "shop-dev"  # the payload says “directmessage”: Slack is asked
    assert len({one.message for one in heard.values()}) == 3
    stage.ours(2)
    assert stage.slack.shown_errors == []


def test_what_is_not_meant_for_us_is_not_heard(stage: Stage) -> None:
    stage.leg.overhear("ada", "what a day")
    stage.slack.say(ADA, SHOP, "help")
    assert [one.text for one in stage.heard()] == ["help"]


def test_a_reply_in_a_thread_stays_there(stage: Stage) -> None:
    stage.slack.say(ADA, SHOP, "help", thread="1700000000.000001")
    assert stage.heard()[0].thread == "1700000000.000001"
    assert stage.ours()[0].thread == "1700000000.000001"


def test_buttons_are_commands_and_options_are_answers(stage: Stage) -> None:
    stage.answers(
        title="Which branch?",
        options=(Button(label="main", command="main", value="q1/1"),),
        buttons=(Button(label="Help", command="help create"),),
    )
    stage.slack.say(ADA, SHOP, "create shop")
    (question,) = stage.ours()
    stage.slack.click(ADA, question, "main")
    stage.slack.click(BOB, question, "Help")
    _, option, button = sorted(stage.heard(3), key=lambda one: (one.answer, one.text == "help create"), reverse=False)[
        :3
    ]
    by_user = {one.user: one for one in stage.desk.received[1:]}
    assert (by_user[ADA].answer, by_user[ADA].text) == ("q1/1", "")
    assert (by_user[BOB].answer, by_user[BOB].text) == ("", "help create")
    assert option.room.name == button.room.name == "shop-dev"


def test_a_click_that_is_none_of_ours_does_nothing(stage: Stage) -> None:
    stage.answers(title="t", buttons=(Button(label="Help", command="help"),))
    stage.slack.say(ADA, SHOP, "first")
    (post,) = stage.ours()
    for forged in ({"action_id": "sudo:1"}, {"value": ""}, {"value": None}, {"value": {"a": 1}}):
        assert stage.slack.click(ADA, post, "Help", **forged).attempt == 1
    stage.slack.say(ADA, SHOP, "second")
    assert [one.text for one in stage.heard(2)] == ["first", "second"]


def test_the_form_says_what_a_command_would(stage: Stage) -> None:
    stage.slack.slash(ADA, SHOP, "create")
    assert stage.slack.wait(lambda: stage.slack.forms)
    (form,) = stage.slack.forms
    assert [one["value"] for one in form.view["blocks"][0]["element"]["options"]] == ["shop", "solo"]
    stage.slack.submit(form, template="shop", branch="feature/a b", name="Cart", ttl="soon")
    assert set(form.errors) == {"branch", "name", "ttl"}
    assert form.open
    stage.slack.submit(form, template="shop", branch="feature/cart", name="cart-test", ttl="2d")
    assert not form.open
    (heard,) = stage.heard()
    assert (heard.text, heard.user, heard.room.name) == (
        "create shop feature/cart as cart-test for 2d",
        ADA,
        "shop-dev",
    )
    stage.ours()


def test_the_shortcut_answers_directly(stage: Stage) -> None:
    stage.slack.shortcut(ADA)
    assert stage.slack.wait(lambda: stage.slack.forms)
    stage.slack.submit(stage.slack.forms[0], template="solo", branch="api=main web=feature/cart")
    (heard,) = stage.heard()
    assert (heard.text, heard.room.direct) == ("create solo api=main web=feature/cart", True)
    stage.ours(room=stage.slack.direct(ADA))


def test_a_form_that_comes_too_late_says_so(stage: Stage) -> None:
    stage.slack.fail("views.open", {"ok": False, "error": "expired_trigger_id"})
    stage.slack.slash(ADA, SHOP, "create")
    assert "too long ago" in stage.whispered(ADA)[0]


def test_without_templates_there_is_no_form() -> None:
    stage = Stage("http", templates=no_templates).start()
    try:
        stage.slack.slash(ADA, SHOP, "create")
        assert "no template" in stage.whispered(ADA)[0]
    finally:
        stage.leg.close()


# --- what is ignored, and by whom


def test_edited_messages_are_marked(stage: Stage) -> None:
    direct = stage.slack.direct(BOB)
    for user, room in ((ADA, SHOP), (BOB, direct)):
        ts = stage.slack.say(user, room, "terminate cart")
        stage.slack.edit(ts, "terminate tax")
    edited = [one for one in stage.heard(4) if one.edited]
    assert {(one.user, one.text) for one in edited} == {(ADA, "terminate tax"), (BOB, "terminate tax")}
    assert len({one.message for one in stage.desk.received}) == 4


def test_other_bots_are_marked(stage: Stage) -> None:
    stage.leg.say_as_bot("terminate cart")
    (heard,) = stage.heard()
    assert heard.bot
    assert heard.email == ""


def test_our_own_words_are_never_heard(stage: Stage) -> None:
    """A direct conversation tells us everything that is said in it, and each change of a card."""
    direct = stage.slack.direct(ADA)
    message = stage.adapter.post(direct, Reply(title="working", tone=Tone.WORKING))
    stage.adapter.edit(direct, message, Reply(title="done"))
    echoes = lambda: [one for one in stage.slack.deliveries if one.payload["event"]["channel"] == direct]  # noqa: E731
    assert stage.slack.wait(lambda: len(echoes()) == 2 and all(one.attempt for one in echoes()))
    stage.slack.say(ADA, direct, "help")
    assert [one.text for one in stage.heard()] == ["help"]


def test_a_preview_that_slack_adds_is_no_edit(stage: Stage) -> None:
    direct = stage.slack.direct(ADA)
    ts = stage.slack.say(ADA, direct, "help")
    stage.slack.edit(ts, "help")
    stage.slack.say(ADA, direct, "list")
    assert {one.text for one in stage.heard(2)} == {"help", "list"}
    assert not any(one.edited for one in stage.desk.received)


def test_what_slack_sends_again_has_the_same_id(stage: Stage) -> None:
    stage.slack.say(ADA, SHOP, "create shop main")
    stage.leg.repeat_last()
    stage.slack.slash(ADA, SHOP, "list")
    stage.leg.repeat_last()
    ids = [one.message for one in stage.heard(4)]
    assert sorted(ids.count(each) for each in set(ids)) == [2, 2]


# --- who and where


@pytest.mark.parametrize(
    "flags",
    [
        {"is_restricted": True},
        {"is_ultra_restricted": True},
        {"is_stranger": True},
        {"is_email_confirmed": False},
        {"team_id": "T0OTHER"},
        {"deleted": True},
    ],
)
def test_only_full_members_have_a_verified_address(over_http: Stage, flags: dict[str, Any]) -> None:
    over_http.slack.add_user("U0GUEST", "guest", "ada@example.org", **flags)
    over_http.slack.say("U0GUEST", SHOP, "help")
    (heard,) = over_http.heard()
    assert (heard.user, heard.name, heard.email) == ("U0GUEST", "guest", "")


def test_without_the_permission_there_is_no_address(over_http: Stage) -> None:
    over_http.slack.scopes.remove("users:read.email")
    over_http.slack.say(ADA, SHOP, "help")
    assert over_http.heard()[0].email == ""


def test_people_and_rooms_are_not_asked_for_each_time(over_http: Stage) -> None:
    for number in range(3):
        over_http.slack.slash(ADA, SHOP, f"help {number}")
        over_http.heard(number + 1)
    assert over_http.slack.calls["users.info"] == 1
    assert over_http.slack.calls["conversations.info"] == 1


@pytest.mark.parametrize("flags", [{"is_member": False}, {"is_member": False, "is_private": True}, {"name": None}])
def test_nothing_is_done_from_a_room_that_we_are_not_in(over_http: Stage, flags: dict[str, Any]) -> None:
    over_http.slack.add_room("C0SECRET", **{"name": "secret", **flags})
    over_http.slack.slash(ADA, "C0SECRET", "list")
    over_http.slack.slash(ADA, "C0SECRET", "create")
    assert all("invite it there with /invite @Brinepool" in text for text in over_http.whispered(ADA, 2))
    assert over_http.desk.received == []
    assert over_http.slack.forms == []


def test_nothing_is_done_while_slack_does_not_say_who_that_is(over_http: Stage) -> None:
    over_http.slack.fail("users.info", "<html>oops</html>", status=500)
    over_http.slack.slash(ADA, SHOP, "terminate cart-test")
    assert "does not answer" in over_http.whispered(ADA)[0]
    assert over_http.desk.received == []
