"""Replies as Slack shows them: whatever they hold, Slack takes it, and nobody is notified but who is meant."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.chat.replies import Button, Fact, Progress, Reply, Step, Table, Tone
from orchestrator.chat.slack.blocks import MAX_JSON, render
from orchestrator.chat.slack.form import form
from tests.fakes.slack_rules import Refused, check_message, check_view, readable


def shown(reply: Reply) -> str:
    message = render(reply)
    check_message({"text": message.text, "blocks": message.blocks})
    return readable(message.blocks)


def texts(reply: Reply) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("text"), str):
                found.append(node)
            for each in node.values():
                walk(each)
        elif isinstance(node, list):
            for each in node:
                walk(each)

    walk(render(reply).blocks)
    return found


def test_a_card_says_everything() -> None:
    card = Reply(
        title="cart-test is being made",
        tone=Tone.WORKING,
        lines=("The branch feature/cart is on shop-web only.", "Everything else is on main."),
        facts=(Fact(label="owner", value="ada"), Fact(label="expires in", value="1d")),
        tables=(Table(columns=("server", "address"), rows=(("cart-test-web-1", "http://127.23.0.6:8000"),)),),
        progress=Progress(
            steps=(
                Step(server="cart-test-api-1", phase="ready"),
                Step(server="cart-test-web-1", phase="configuring", state="build", n=3, of=8),
            ),
            elapsed_s=12,
            rest_s=40,
        ),
        code="line 1\n  line 2",
        options=(Button(label="main", command="main", value="q1/1"),),
        buttons=(Button(label="Terminate", command="terminate cart-test", style="danger"),),
        mention=("U0ADA",),
    )
    text = shown(card)
    expected = [
        "⏳ cart-test is being made", "feature/cart is on shop-web only", "owner", "ada", "12s, about 40s to go",
        "cart-test-web-1  configuring  ▰▰▰▱▱▱▱▱ 3/8 build", "server", "http://127.23.0.6:8000", "line 1\n  line 2",
        "main", "Terminate", "<@U0ADA>",
    ]  # fmt: skip
    at = [text.find(each) for each in expected]
    assert -1 not in at, expected[at.index(-1)]
    assert render(card).text.startswith("⏳ cart-test is being made\nThe branch")


def test_buttons_carry_what_they_do() -> None:
    blocks = render(
        Reply(
            title="Which branch?",
            options=(Button(label="main", command="create shop main", value="q1/1"),),
            buttons=(Button(label="Help", command="help create", style="primary"),),
        )
    ).blocks
    option, button = blocks[-1]["elements"]
    assert (option["action_id"], option["value"]) == ("answer:0", "q1/1")
    assert (button["action_id"], button["value"], button["style"]) == ("command:1", "help create", "primary")


def test_two_hundred_rows_and_ten_thousand_characters_of_code() -> None:
    rows = tuple((f"env-{n}", "ready", "ada") for n in range(200))
    text = shown(
        Reply(
            title="All environments",
            tables=(Table(columns=("name", "status", "owner"), rows=rows),),
            code="\n".join(f"{n:4} {'x' * 45}" for n in range(200)),
        )
    )
    assert "env-0 " in text
    assert "env-150 " in text
    left = re.findall(r"… (\d+) more rows", text)
    assert not left or int(left[0]) == 200 - len(re.findall(r"^env-\d+", text, re.MULTILINE))
    before = re.search(r"… (\d+) lines before", text)
    assert before is not None
    assert int(before[1]) == 200 - len(re.findall(r"^ *\d+ x{45}$", text, re.MULTILINE))
    assert "199 xxx" in text  # the end of an output says what went wrong


def test_one_line_of_ten_thousand_characters() -> None:
    assert "xxx…" in shown(Reply(title="t", code="x" * 10_000))
    assert "&&&…" in shown(Reply(title="t", code="&" * 10_000))


def test_a_wide_table_has_a_line_for_each_row() -> None:
    table = Table(columns=("name", "why"), rows=(("cart", "because " * 20), ("tax", "")))
    assert "cart: why because because" in shown(Reply(title="t", tables=(table,)))
    assert "\ntax" in shown(Reply(title="t", tables=(table,)))


def test_too_many_buttons_are_counted() -> None:
    many = tuple(Button(label=f"branch {n}", command=f"c{n}", value=f"q/{n}") for n in range(120))
    text = shown(Reply(title="Which?", options=many))
    count = len(re.findall(r"^branch \d+$", text, re.MULTILINE))
    assert f"… {120 - count} more; type the command instead." in text
    assert 20 <= count <= 50


def test_a_command_that_is_too_long_for_a_button_does_not_hide_the_others() -> None:
    buttons = (Button(label="long", command="x" * 2001), Button(label="short", command="help"))
    text = shown(Reply(title="t", buttons=buttons))
    assert "short" in text
    assert "… 1 more" in text


@pytest.mark.parametrize(
    "outside", ["<!channel>", "<@U0EVE>", "<!subteam^S1>", "@here", "@channel", "<#C1|x>", "&lt;!here&gt;", "@Everyone"]
)
def test_nothing_from_outside_notifies(outside: str) -> None:
    reply = Reply(
        title=outside, lines=(outside, f"*{outside}*"), facts=(Fact(label=outside, value=outside),),
        tables=(Table(columns=(outside,), rows=((outside,), ("x" * 100,))), Table(columns=("a",), rows=((outside,),))),
        progress=Progress(steps=(Step(server=outside, phase=outside, state=outside),), elapsed_s=1),
        code=f"{outside}\n```\n{outside}", options=(Button(label=outside, command=outside, value="v"),),
        mention=("U0ADA", outside, "U0ADA>"),
    )  # fmt: skip
    message = render(reply)
    for text in [message.text, *(one["text"] for one in texts(reply))]:
        assert set(re.findall(r"<[@!#][^>]*>", text)) <= {"<@U0ADA>"}
        assert not re.search(r"@(channel|here|everyone)", text, re.IGNORECASE)
    assert outside in shown(reply)  # and yet it is shown as it is


def test_what_slack_would_format_is_plain_text() -> None:
    for formatted in ("a *b* c", "_x_", "use `git`", "> quoted", ":fire: down", "~gone~"):
        (text,) = [one for one in texts(Reply(title="t", lines=(formatted,))) if one["text"] == formatted]
        assert text["type"] == "plain_text"
    for harmless in ("feature/my_branch_2", "at 18:00:05", "2 > 1", "a-b"):
        (line,) = texts(Reply(title="t", lines=(harmless,)))[1:]
        assert line["type"] == "mrkdwn"


def test_code_cannot_leave_its_block() -> None:
    (text,) = texts(Reply(title="t", code="```\n*loud* <!here>\n```"))[1:]
    assert text["text"].count("```") == 2


def test_addresses_are_links_and_nothing_else_is() -> None:
    (line,) = texts(Reply(title="t", lines=("See http://127.0.0.1:80/?a=1&b=<2>, or shop.dev.",)))[1:]
    assert line["text"] == "See <http://127.0.0.1:80/?a=1&amp;b=>&lt;2&gt;, or shop.dev."
    assert line["verbatim"] is True  # or Slack would look for links and names itself


def test_the_fake_refuses_what_slack_refuses() -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}
    button = {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "x"}, "value": "v"}
    bad = [
        [section] * 51,
        [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}],
        [{"type": "section"}],
        [{"type": "section", "text": {"type": "mrkdwn", "text": ""}}],
        [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}],
        [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}],
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
        [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
        [{"type": "unheard-of"}],
        [section | {"colour": "red"}],
        [{"type": "section", "text": {"type": "mrkdwn", "text": "x", "bold": True}}],
        [{"type": "actions", "elements": [button] * 2}],
        [{"type": "actions", "elements": [button | {"action_id": str(n)} for n in range(26)]}],
        [{"type": "actions", "elements": [button | {"value": "v" * 2001}]}],
        [{"type": "actions", "elements": [button | {"text": {"type": "plain_text", "text": "x" * 76}}]}],
        [{"type": "actions", "elements": [button | {"text": {"type": "mrkdwn", "text": "x"}}]}],
        [{"type": "actions", "elements": [button | {"style": "loud"}]}],
        [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2900}}] * 5,
    ]
    check_message({"text": "t", "blocks": [section]})
    for blocks in bad:
        with pytest.raises(Refused):
            check_message({"text": "t", "blocks": blocks})
    for text in ("", "x" * 4001):
        with pytest.raises(Refused):
            check_message({"text": text, "blocks": [section]})


# --- whatever a reply holds

words = st.text(max_size=60)
nasty = st.sampled_from(
    [
        "<!channel>",
        "<@U0EVE>",
        "```",
        "*b*",
        "\x00\x1b[31m",
        "‮",
        "🙂" * 40,
        "&" * 400,
        "x" * 5000,
        "http://a.b/" + "c" * 4000,
    ]
)
line = st.one_of(words, nasty, st.tuples(words, nasty).map("".join))
short = st.lists(line, max_size=6).map(tuple)
numbers = st.one_of(st.none(), st.integers(-5, 10**9))
button = st.builds(
    Button, label=line, command=st.one_of(line, st.just("x" * 2001)), value=st.one_of(st.just(""), words),
    style=st.sampled_from(["", "primary", "danger"]),
)  # fmt: skip
step = st.builds(Step, server=line, phase=line, state=line, n=numbers, of=numbers)
table = st.builds(Table, columns=short, rows=st.lists(short, max_size=60).map(tuple))
replies = st.builds(
    Reply,
    title=line,
    tone=st.sampled_from(Tone),
    lines=st.lists(line, max_size=60).map(tuple),
    facts=st.lists(st.builds(Fact, label=line, value=line), max_size=30).map(tuple),
    tables=st.lists(table, max_size=4).map(tuple),
    progress=st.one_of(
        st.none(),
        st.builds(
            Progress,
            steps=st.lists(step, max_size=30).map(tuple),
            elapsed_s=st.floats(),
            rest_s=st.one_of(st.none(), st.floats()),
        ),
    ),
    code=st.one_of(line, st.lists(line, max_size=80).map("\n".join)),
    buttons=st.lists(button, max_size=40).map(tuple),
    options=st.lists(button, max_size=40).map(tuple),
    mention=st.lists(st.one_of(words, st.just("U0ADA")), max_size=40).map(tuple),
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(replies)
def test_slack_takes_every_reply(reply: Reply) -> None:
    message = render(reply)
    check_message({"text": message.text, "blocks": message.blocks})
    assert len(json.dumps(message.blocks)) < 10 * MAX_JSON
    said = [message.text, *(one["text"] for one in texts(reply))]
    assert {name for text in said for name in re.findall(r"<[@!#][^>]*>", text)} <= {
        f"<@{one}>" for one in reply.mention
    }


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,39}", fullmatch=True), line, min_size=1, max_size=130))
def test_slack_takes_every_form(templates: dict[str, str]) -> None:
    check_view(form(templates, "{}"))
