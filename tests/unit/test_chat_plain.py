"""Replies as lines and as Markdown: complete, short, and nothing from outside gets out of its place."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from orchestrator.chat import plain
from orchestrator.chat.replies import Button, Fact, Progress, Reply, Step, Table, Tone

NASTY = "\r\nQUIT\x00\x01\x02\x0304,05red\x1b[31m\u2028\u202e\u200b"
TEXTS = (
    st.text(max_size=60)
    | st.text(st.sampled_from("ab `*_[]<>|~#-+=1.)\\\n\r\x00\u2028@!&;:/"), max_size=60)
    | st.sampled_from([NASTY, "**b**", "# h", "- i", "1. n", "[a](http://e.org)", "<b>", "@channel", "```", "&lt;"])
    | st.text(min_size=300, max_size=3000)
)
BUTTONS = st.builds(Button, label=TEXTS, command=TEXTS, value=TEXTS)
NUMBERS = st.none() | st.integers()
TABLES = st.builds(
    Table,
    columns=st.lists(TEXTS, max_size=4).map(tuple),
    rows=st.lists(st.lists(TEXTS, max_size=5).map(tuple), max_size=40).map(tuple),
)
STEPS = st.builds(Step, server=TEXTS, phase=TEXTS, state=TEXTS, n=NUMBERS, of=NUMBERS)
PROGRESS = st.builds(
    Progress, steps=st.lists(STEPS, max_size=30).map(tuple), elapsed_s=st.floats(), rest_s=st.none() | st.floats()
)
REPLIES = st.builds(
    Reply,
    title=TEXTS,
    tone=st.sampled_from(list(Tone)),
    lines=st.lists(TEXTS, max_size=30).map(tuple),
    facts=st.lists(st.builds(Fact, label=TEXTS, value=TEXTS), max_size=10).map(tuple),
    tables=st.lists(TABLES, max_size=3).map(tuple),
    progress=st.none() | PROGRESS,
    code=TEXTS | st.lists(TEXTS, max_size=60).map("\n".join),
    buttons=st.lists(BUTTONS, max_size=8).map(tuple),
    options=st.lists(BUTTONS, max_size=40).map(tuple),
    mention=st.lists(TEXTS, max_size=4).map(tuple),
)

CARD = Reply(
    title="cart-test is ready",
    tone=Tone.GOOD,
    lines=("web runs feature/cart.", "api has no branch feature/cart and runs main."),
    facts=(Fact(label="owner", value="ada"), Fact(label="expires in", value="1d")),
    tables=(
        Table(
            columns=("server", "status", "url"),
            rows=(
                ("cart-test-api-1", "ready", "http://127.78.1.1:8000"),
                ("cart-test-web-1", "ready", "http://127.78.1.2:8000"),
                ("cart-test-web-2", "booting", "-"),
            ),
        ),
    ),
    buttons=(
        Button(label="Extend by 1d", command="extend cart-test by 1d"),
        Button(label="Terminate", command="terminate cart-test"),
    ),
    mention=("ada",),
)


def test_a_card_in_lines() -> None:
    assert plain.lines(CARD) == [
        "ada: ✔ cart-test is ready",
        "web runs feature/cart.",
        "api has no branch feature/cart and runs main.",
        "owner: ada, expires in: 1d",
        "cart-test-api-1: status ready, url http://127.78.1.1:8000",
        "cart-test-web-1: status ready, url http://127.78.1.2:8000",
        "cart-test-web-2: status booting",
        "Extend by 1d (type: extend cart-test by 1d) | Terminate (type: terminate cart-test)",
    ]


def test_a_card_in_markdown() -> None:
    assert plain.markdown(CARD).splitlines() == [
        "@ada **✔ cart-test is ready**",
        "",
        "web runs feature/cart.",
        "",
        "api has no branch feature/cart and runs main.",
        "",
        "* owner: ada",
        "* expires in: 1d",
        "",
        "| server | status | url |",
        "| --- | --- | --- |",
        "| cart-test-api-1 | ready | <http://127.78.1.1:8000> |",
        "| cart-test-web-1 | ready | <http://127.78.1.2:8000> |",
        "| cart-test-web-2 | booting | \\- |",
        "",
        "* Extend by 1d: `extend cart-test by 1d`",
        "* Terminate: `terminate cart-test`",
    ]


def test_a_question_is_numbered_so_that_the_number_is_an_answer() -> None:
    question = Reply(
        title="Which branch for web?",
        tone=Tone.QUESTION,
        options=tuple(Button(label=name, command=f"create shop {name}") for name in ("main", "feature/my_cart")),
    )
    assert plain.lines(question) == ["? Which branch for web?", "1) main", "2) feature/my_cart"]
    assert plain.markdown(question) == "**? Which branch for web?**\n\n1. main\n2. feature/my\\_cart"


def test_progress_is_one_line_that_begins_with_the_time() -> None:
    steps = (
        Step(server="cart-test-api-1", phase="ready"),
        Step(server="cart-test-web-1", phase="configuring", state="build", n=3, of=8),
    )
    reply = Reply(
        title="Creating cart-test", tone=Tone.WORKING, progress=Progress(steps=steps, elapsed_s=12, rest_s=40)
    )
    assert plain.lines(reply) == [
        "… Creating cart-test",
        "12s, about 40s to go: cart-test-api-1 ready, cart-test-web-1 configuring build 3/8",
    ]


def test_many_servers_still_make_one_line_of_progress() -> None:
    steps = tuple(Step(server=f"cart-test-web-{number}", phase="configuring") for number in range(1, 41))
    _title, line = plain.lines(Reply(title="t", progress=Progress(steps=steps, elapsed_s=5)))
    assert line.startswith("5s: cart-test-web-1 configuring, cart-test-web-2 configuring")
    assert re.search(r", \.\.\. \d+ more$", line)


def test_what_does_not_fit_is_counted_and_the_answers_stay() -> None:
    reply = Reply(
        title="Which?",
        lines=tuple(f"line {number}" for number in range(100)),
        options=(Button(label="main", command="x"),),
    )
    shown = plain.lines(reply, limit=6)
    assert shown == ["Which?", "line 0", "line 1", "line 2", "... 97 more", "1) main"]


def test_of_an_output_the_end_is_shown() -> None:
    reply = Reply(title="It failed", code="\n".join(f"line {number}" for number in range(20)))
    assert plain.lines(reply)[1:3] == ["| ... 12 lines before", "| line 12"]
    assert plain.lines(reply)[-1] == "| line 19"


def test_a_long_sentence_is_broken_between_words() -> None:
    _, *wrapped = plain.lines(Reply(title="t", lines=("word " * 200,)))
    assert len(wrapped) > 1
    assert all(line.split() == ["word"] * len(line.split()) for line in wrapped)
    assert sum(len(line.split()) for line in wrapped) == 200


def test_details_are_left_to_whoever_posts_them() -> None:
    reply = Reply(title="t", details=Reply(title="the details"))
    assert "details" not in plain.text(reply)
    assert "details" not in plain.markdown(reply)


@given(TEXTS | st.text(st.characters(categories=["Cc", "Zl", "Zp", "Cf", "Cs"])))
def test_clean_text_is_one_line_and_stays_as_it_is(text: str) -> None:
    """By itself, whatever the reply has dropped already."""
    cleaned = plain.clean(text)
    assert not [character for character in cleaned if unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs")]
    assert plain.clean(cleaned) == cleaned
    assert plain.clean("a\r\nb\u2028c\td\u202ee") == "a b c de"


@settings(max_examples=120)
@given(REPLIES, st.integers(-1, 40), st.integers(0, 500))
def test_lines_keep_their_limits_and_nothing_gets_out_of_a_line(reply: Reply, limit: int, width: int) -> None:
    shown = plain.lines(reply, limit=limit, width=width)
    assert 1 <= len(shown) <= max(3, limit)
    for line in shown:
        assert line.strip()
        assert len(line.encode()) <= max(40, width)
        assert not [character for character in line if unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs")]
        assert "\u202e" not in line


@settings(max_examples=120)
@given(REPLIES, st.integers(0, 5000))
def test_markdown_keeps_its_limit(reply: Reply, limit: int) -> None:
    shown = plain.markdown(reply, limit=limit)
    assert 0 < len(shown) <= max(200, limit)
    shown.encode()
    assert not re.search(r"[^\n\P{Cc}]".replace(r"\P{Cc}", r"\x20-\x7e\x80-\U0010ffff"), shown)


@settings(max_examples=200)
@given(TEXTS)
def test_escaped_text_reads_as_it_was_written(text: str) -> None:
    """A CommonMark parser finds one paragraph of text in it, links to pages apart, and no formatting."""
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(plain.escape(text))
    assert [token.type for token in parsed] in ([], ["paragraph_open", "inline", "paragraph_close"])
    for token in (token for block in parsed for token in block.children or []):
        assert token.type in ("text", "text_special", "link_open", "link_close"), token
        assert token.type != "link_open" or token.info == "auto"
    shown = "".join(token.content for block in parsed for token in block.children or [])
    assert shown.replace("\u200b", "").strip() == plain.clean(text)


@settings(max_examples=120)
@given(TEXTS)
def test_code_stays_code(text: str) -> None:
    inline = MarkdownIt("commonmark").parse(f"do {plain.inline_code(text)} now")
    assert [child.type for child in inline[1].children or []] == ["text", "code_inline", "text"]
    fenced = MarkdownIt("commonmark").parse(plain.markdown(Reply(title="t", code=f"{text}\nend"), limit=100_000))
    assert [token.type for token in fenced] == ["paragraph_open", "inline", "paragraph_close", "fence"]


@settings(max_examples=200)
@given(st.builds(Table, columns=st.lists(TEXTS, min_size=1, max_size=4).map(tuple), rows=st.just((("a|b", NASTY),))))
def test_a_cell_stays_in_its_cell(table: Table) -> None:
    parsed = MarkdownIt("commonmark").enable("table").parse(plain.markdown(Reply(title="t", tables=(table,))))
    if any(token.type == "table_open" for token in parsed):
        assert len([token for token in parsed if token.type == "th_open"]) == len(table.columns)
        assert len([token for token in parsed if token.type == "tr_open"]) == 2


def test_nobody_is_notified_by_a_branch_name() -> None:
    shown = plain.markdown(Reply(title="Deployed @channel", code="@all", lines=("mail ops@example.org",)))
    assert "@channel" not in shown
    assert "ops@example" not in shown


@pytest.mark.parametrize("account", ["ada lovelace", "a\nb", "`x", "", "x" * 3000])
def test_an_account_that_is_no_name_is_not_addressed(account: str) -> None:
    shown = plain.markdown(Reply(title="t", mention=(account,)))
    assert shown.splitlines()[0].endswith("**t**")
    assert "\n" not in shown


def test_the_title_is_there_however_many_are_mentioned() -> None:
    reply = Reply(title="cart-test is ready", mention=tuple(f"person-{number}" for number in range(200)))
    assert plain.lines(reply) == ["cart-test is ready"]
    assert plain.markdown(reply, limit=200) == "**cart-test is ready**"
