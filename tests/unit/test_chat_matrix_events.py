"""What Matrix events say to us; no server."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.chat.matrix import html
from orchestrator.chat.matrix.events import Me, Reacted, Said, heard, joined_at, root_of

ADA, BRINE = "@ada:example.org", "@brine:example.org"
ME = Me(BRINE, ("brine", "Brinepool"))


def message(body: str, sender: str = ADA, **content: Any) -> dict[str, Any]:
    said = {"msgtype": "m.text", "body": body, **content}
    return {"type": "m.room.message", "event_id": "$e", "sender": sender, "content": said}


def said(event: dict[str, Any], direct: bool = False) -> str | None:
    found = heard(event, ME, direct)
    return found.text if isinstance(found, Said) else None


@pytest.mark.parametrize(
    "body",
    [
        "brine: list", "Brine, list", "brinepool: list", "@brine list", "@brine: list", "!brine list",
        "@brine:example.org list", "@brine:example.org: list", "  brine:list ",
    ],
)  # fmt: skip
def test_these_are_said_to_us(body: str) -> None:
    assert said(message(body)) == "list"


@pytest.mark.parametrize(
    "body",
    [
        "list",
        "brine is salty",
        "brines: list",
        "@brine2 list",
        "@brine:evil.example list",
        "> brine: list",
        "!brinex",
        "about brine:",
    ],
)
def test_these_are_not(body: str) -> None:
    assert said(message(body)) is None


@pytest.mark.parametrize(
    "body", ["Brinepool: list", "Brinepool list", "list @brine", "list Brinepool", "@brine:example.org list"]
)
def test_a_mention_is_said_to_us_wherever_it_stands(body: str) -> None:
    assert said(message(body, **{"m.mentions": {"user_ids": [BRINE]}})) == "list"


def test_a_link_of_an_older_client_is_a_mention() -> None:
    link = '<a href="https://matrix.to/#/%40brine%3Aexample.org?via=x">B</a> list'
    assert said(message("list", formatted_body=link)) == "list"
    assert said(message("list", formatted_body=link.replace("brine", "other"))) is None
    assert said(message("list", formatted_body=f"<mx-reply>{link}</mx-reply>")) is None, "somebody else's"
    assert said(message("list", formatted_body=link, **{"m.mentions": {}})) is None, "it says that it mentions nobody"


def test_everything_in_a_direct_room_is_said_to_us() -> None:
    assert said(message("list"), direct=True) == "list"
    assert said(message("brine: list"), direct=True) == "list"
    assert said(message("show brine"), direct=True) == "show brine", "an environment may be called that"


def test_our_own_words_are_not_heard() -> None:
    assert heard(message("brine: list", sender=BRINE), ME, direct=True) is None


def test_what_is_quoted_in_a_reply_is_left_out() -> None:
    reply = {"m.in_reply_to": {"event_id": "$x"}}
    assert said(message("> <@bob:x> brine: terminate it\n\nbrine: list", **{"m.relates_to": reply})) == "list"


def test_an_edit_a_notice_and_a_thread_are_told_as_such() -> None:
    newer = {"msgtype": "m.text", "body": "brine: b"}
    replaces = {"rel_type": "m.replace", "event_id": "$a"}
    edit = message("* brine: b", **{"m.new_content": newer, "m.relates_to": replaces})
    assert heard(edit, ME, False) == Said("$e", ADA, "b", edited=True)
    assert heard(message("brine: x", msgtype="m.notice"), ME, False) == Said("$e", ADA, "x", bot=True)
    thread = {"rel_type": "m.thread", "event_id": "$root", "is_falling_back": True, "m.in_reply_to": {"event_id": "$y"}}
    assert heard(message("brine: x", **{"m.relates_to": thread}), ME, False) == Said("$e", ADA, "x", thread="$root")


def test_a_reaction_is_heard() -> None:
    relation = {"rel_type": "m.annotation", "event_id": "$m", "key": "1️⃣"}
    event = {"type": "m.reaction", "event_id": "$r", "sender": ADA, "content": {"m.relates_to": relation}}
    assert heard(event, ME, False) == Reacted("$r", ADA, "$m", "1️⃣")
    assert heard(event | {"content": {}}, ME, False) is None, "taken back"


KEYS = st.sampled_from(
    ["content", "body", "msgtype", "m.relates_to", "rel_type", "m.new_content", "key", "m.mentions", "user_ids"]
) | st.sampled_from(["formatted_body", "m.in_reply_to", "unsigned", "m.relations", "m.replace", html.BUTTONS])
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["brine: x", BRINE, "<a href='"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(KEYS, anything, max_size=6),
    st.sampled_from(["m.room.message", "m.reaction", "m.room.member", "x"]),
    st.booleans(),
)
def test_no_event_is_too_strange(event: dict[str, Any], kind: str, direct: bool) -> None:
    event |= {"type": kind, "sender": ADA}
    heard(event, ME, direct)
    joined_at([event], BRINE)
    root_of(event)
    html.pressed(event, "1️⃣")


def member(membership: str, before: str = "") -> dict[str, Any]:
    event = {"type": "m.room.member", "state_key": BRINE, "content": {"membership": membership}}
    return event | ({"unsigned": {"prev_content": {"membership": before}}} if before else {})


def test_what_was_said_before_we_were_invited_does_not_count() -> None:
    events = [message("old"), member("invite"), message("between"), member("join", "invite"), message("new")]
    assert joined_at(events, BRINE) == 1
    assert joined_at(events, BRINE, invited=False) == 3
    assert joined_at([message("a"), member("join", "join")], BRINE) is None, "a new display name"
