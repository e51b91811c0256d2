"""What becomes of the words that Slack sends, and of a form that is filled in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.chat.slack.form import command
from orchestrator.chat.slack.inbox import from_click, from_event, from_form, plain


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        ("deploy &lt;x&gt; &amp; y", "deploy <x> & y"),
        ("see <http://shop.dev|shop.dev>", "see shop.dev"),
        ("see <https://shop.dev/a?b=1&amp;c=2>", "see https://shop.dev/a?b=1&c=2"),
        ("mail <mailto:ada@example.org|ada@example.org>", "mail ada@example.org"),
        ("in <#C0SHOP|shop-dev>", "in #shop-dev"),
        ("of <@U0BOB|bob> and <@U0EVE>", "of @bob and @U0EVE"),
        ("<!here> <!subteam^S1|@ops>", "@here @@ops"),
        ("  `main`  ", "`main`"),
        ("a < b > c", "a < b > c"),
    ],
)
def test_what_slack_made_of_the_words_is_undone(sent: str, typed: str) -> None:
    assert plain(sent) == typed


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("<@U0BRINE> list", "list"),
        ("<@U0BRINE>: list", "list"),
        ("hey <@U0BRINE>, list", "hey  , list"),
        ("list <@U0BRINE|brinepool>", "list"),
        ("<@U0BRINE>", ""),
        ("<@U0BOB> <@U0BRINE> list", "@U0BOB   list"),
    ],
)
def test_our_name_is_left_out(text: str, typed: str) -> None:
    heard = from_event({"type": "app_mention", "text": text, "user": "U", "channel": "C", "ts": "1"}, "U0BRINE")
    assert heard is not None
    assert heard.text == typed


def test_before_we_know_our_name_the_first_one_is_ours() -> None:
    heard = from_event({"text": "<@U0BRINE> list <@U0BOB>", "user": "U", "channel": "C", "ts": "1"}, "")
    assert heard is not None
    assert heard.text == "list @U0BOB"


@pytest.mark.parametrize("subtype", ["channel_join", "message_deleted", "channel_topic", "reminder_add"])
def test_news_of_a_room_is_not_said_by_anybody(subtype: str) -> None:
    event = {"type": "message", "subtype": subtype, "text": "x", "user": "U", "channel": "C", "ts": "1"}
    assert from_event(event, "U0BRINE") is None


data = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5)
keys = st.sampled_from([
    "subtype", "message", "text", "user", "bot_id", "channel", "ts", "edited", "thread_ts", "previous_message",
    "actions", "action_id", "value", "container", "id", "view", "state", "values", "selected_option", "branch",
    "template",
])  # fmt: skip
payloads = st.recursive(data, lambda inner: st.dictionaries(keys, inner, max_size=6) | st.lists(inner, max_size=2))


@given(st.dictionaries(keys, payloads))
def test_no_payload_is_stumbled_over(payload: dict[str, Any]) -> None:
    from_event(payload, "U0BRINE")
    from_click(payload)
    from_form(payload, "x")
    command(payload)


def filled(**values: str) -> dict[str, Any]:
    chosen = {"template": {"value": {"selected_option": {"value": values.pop("template", "shop")}}}}
    return {"values": chosen | {name: {"value": {"value": value}} for name, value in values.items()}}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"branch": "main"}, "create shop main"),
        (
            {"branch": " feature/cart ", "name": "cart-test", "ttl": "2d"},
            "create shop feature/cart as cart-test for 2d",
        ),
        ({"branch": "api=main  web=feature/cart"}, "create shop api=main web=feature/cart"),
        ({"branch": "main", "ttl": "1d 12h"}, "create shop main for 1d 12h"),
    ],
)
def test_a_form_is_a_command(values: dict[str, str], text: str) -> None:
    assert command(filled(**values)) == (text, {})


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"branch": ""}, "branch", "Write one branch"),
        ({"branch": "main as mine"}, "branch", "Write one branch"),
        ({"branch": "main", "template": ""}, "template", "Pick"),
        ({"branch": "main", "template": "shop; terminate all"}, "template", "Pick"),
        ({"branch": "main", "name": "My Env"}, "name", "cannot be a name"),
        ({"branch": "main", "name": "x" * 41}, "name", "at most 40"),
        ({"branch": "main", "ttl": "soon"}, "ttl", "not a duration"),
        ({"branch": "main", "ttl": "2y"}, "ttl", "not a duration"),
    ],
)
def test_a_form_says_which_field_is_wrong(values: dict[str, str], field: str, words: str) -> None:
    _, wrong = command(filled(**values))
    assert set(wrong) == {field}
    assert words in wrong[field]
