"""How replies look in Matrix, what is remembered, and the adapter unconnected; no server."""

import asyncio
import json
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nio import MatrixRoom

from orchestrator.chat.matrix import Matrix, html
from orchestrator.chat.matrix.account import Account, Bookmark, Memory
from orchestrator.chat.matrix.events import root_of
from orchestrator.chat.matrix.rooms import Rooms
from orchestrator.chat.replies import Button, Fact, Progress, Reply, Step, Table, Tone
from orchestrator.domain.errors import BadInput, Unavailable

ADA, BRINE = "@ada:example.org", "@brine:example.org"
EVENT_LIMIT = 65_536
SERVER_ADDS = 3_000  # hashes, signatures, and the events before it

# What the Matrix specification lets clients show.
ALLOWED = {"p", "br", "strong", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "a"}


class Checker(HTMLParser):
    """Knows what somebody sees, and that it was well formed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen, self.open, self.links = "", list[str](), list[str]()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.seen += data


def seen(content: dict[str, Any]) -> str:
    return Checker(content["formatted_body"]).seen


# Replies


def test_everything_in_a_reply_is_shown() -> None:
    reply = Reply(
        title="cart-test is being made",
        tone=Tone.WORKING,
        lines=("Branch feature/cart for both roles.",),
        facts=(Fact(label="owner", value="ada"),),
        tables=(Table(columns=("server", "status"), rows=(("cart-test-api-1", "ready"),)),),
        progress=Progress(
            steps=(Step(server="cart-test-web-1", phase="configuring", state="build", n=3, of=6),), elapsed_s=12
        ),
        code="  indented\nline two",
        buttons=(Button(label="Cancel", command="cancel cart-test"),),
        options=(Button(label="main", command="", value="q1/1"),),
    )
    content = html.message(reply)
    for text in (seen(content), content["body"]):
        for part in (
            "… cart-test is being made", "Branch feature/cart for both roles.", "owner: ada", "status", "▰▰▰▰▱▱▱▱",
            "cart-test-api-1", "cart-test-web-1 configuring build 3/6", "12s", "  indented\nline two", "1️⃣ main",
            "🇦 Cancel (cancel cart-test)",
        ):  # fmt: skip
            assert part in text
    assert content["msgtype"] == "m.notice"
    assert content["m.mentions"] == {}


def test_nothing_from_outside_becomes_markup_or_a_mention() -> None:
    nasty = '<a href="https://evil.example">x</a> <img src=x onerror=y> @room &amp; "quoted"'
    reply = Reply(
        title=nasty,
        lines=(nasty,),
        facts=(Fact(label=nasty, value=nasty),),
        tables=(Table(columns=(nasty,), rows=((nasty,),)),),
        code=nasty,
        buttons=(Button(label=nasty, command=nasty),),
    )
    content = html.message(reply)
    checked = Checker(content["formatted_body"])
    assert checked.links == []
    assert checked.seen.count(nasty) == 9
    assert content["m.mentions"] == {}


def test_who_is_mentioned_is_notified_and_linked() -> None:
    content = html.message(Reply(title="ready", mention=(ADA, "no account", ADA)), {ADA: "Ada <3"}.__getitem__)
    assert content["m.mentions"] == {"user_ids": [ADA]}
    assert content["body"] == "Ada <3: ready"
    assert Checker(content["formatted_body"]).links == ["https://matrix.to/#/@ada:example.org"]
    assert content["msgtype"] == "m.text", "a notice notifies nobody"


def test_an_edit_replaces_the_content() -> None:
    content = html.message(Reply(title="first line", lines=("second",)))
    edit = html.edit(content, "$one")
    assert edit["m.new_content"] == content
    assert edit["body"] == "* first line"
    assert edit["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$one"}


def test_a_message_in_a_thread() -> None:
    content = html.in_thread(html.message(Reply(title="details")), "$root")
    assert root_of({"content": content}) == "$root"
    assert content["m.relates_to"]["m.in_reply_to"] == {"event_id": "$root"}


def rows(count: int) -> Reply:
    cells = [(f"server-{number}", "x" * 300) for number in range(count)]
    return Reply(title="Servers", tables=(Table(columns=("server", "what"), rows=tuple(cells)),))


@pytest.mark.parametrize("count", [1, 30, 500, 5000])
def test_what_does_not_fit_is_counted(count: int) -> None:
    content = html.message(rows(count))
    assert size(html.edit(content, "$one")) < EVENT_LIMIT - SERVER_ADDS
    shown = seen(content).count("server-")
    assert (f"… {count - shown} more" in seen(content)) == (count > shown)
    assert shown == count or count >= 500


def test_of_a_long_output_the_end_is_shown() -> None:
    content = html.message(Reply(title="log", code="\n".join(f"line {number} {'x' * 100}" for number in range(3000))))
    assert "line 2999" in content["body"]
    assert "line 0 " not in content["body"]
    assert "more before" in content["body"]


# The long ones are made in the test: an example that fails is to be readable.
LONG = {
    "(x)": "x" * 70_000,
    "(nothing)": "\x00\ud800",
    "(wide)": "äöü€" * 5000,
    "(lines)": "a\n" * 9000,
    "(<)": "<" * 9000,
}
words = st.text(max_size=40) | st.sampled_from(list(LONG))
buttons = st.lists(st.builds(Button, label=words, command=words, value=st.sampled_from(["", "q/1"])), max_size=14).map(
    tuple
)
replies = st.builds(
    Reply,
    title=words,
    tone=st.sampled_from(Tone),
    lines=st.lists(words, max_size=5).map(tuple),
    facts=st.lists(st.builds(Fact, label=words, value=words), max_size=5).map(tuple),
    tables=st.lists(
        st.builds(
            Table, columns=st.tuples(words, words), rows=st.lists(st.tuples(words, words), max_size=3).map(tuple)
        ),
        max_size=2,
    ).map(tuple),
    code=words,
    buttons=buttons,
    options=buttons,
    mention=st.lists(st.sampled_from([ADA, "x", "@" + "y" * 250 + ":z"]), max_size=3).map(tuple),
)


@given(replies)
def test_every_reply_fits_into_an_event(reply: Reply) -> None:
    text = reply.model_dump_json()
    for short, long in LONG.items():
        text = text.replace(short, json.dumps(long)[1:-1])
    content = html.message(Reply.model_validate(json.loads(text)))
    assert size(html.edit(html.in_thread(content, "$" + "r" * 43), "$" + "e" * 43)) < EVENT_LIMIT - SERVER_ADDS
    assert seen(content)
    assert content["body"].splitlines()[0]


def size(content: dict[str, Any]) -> int:
    return len(json.dumps(content, ensure_ascii=False).encode())


# Reactions


QUESTION = Reply(
    title="Which branch?",
    options=(Button(label="main", command="", value="q/1"), Button(label="cart", command="", value="q/2")),
    buttons=(Button(label="Cancel", command="cancel it"),),
)


def test_a_reaction_means_what_the_message_offered() -> None:
    event = {"content": html.message(QUESTION)}
    first, second, cancel = html.keys(QUESTION)
    assert [html.pressed(event, key) and html.pressed(event, key).value for key in (first, second)] == ["q/1", "q/2"]  # type: ignore[union-attr]
    assert html.pressed(event, cancel).command == "cancel it"  # type: ignore[union-attr]
    assert html.pressed(event, second.replace("\ufe0f", "")).value == "q/2", "some clients leave it out"  # type: ignore[union-attr]
    assert html.pressed(event, "👍") is None


def test_a_reaction_to_an_edited_message_means_what_it_offers_now() -> None:
    newer = html.edit(html.message(Reply(title="ended", buttons=(Button(label="Show", command="show it"),))), "$one")
    event = {"content": html.message(QUESTION), "unsigned": {"m.relations": {"m.replace": {"content": newer}}}}
    assert html.pressed(event, "1️⃣") is None
    assert html.pressed(event, "🇦").command == "show it"  # type: ignore[union-attr]


def test_more_options_than_reactions_are_typed() -> None:
    many = tuple(Button(label=f"branch-{number}", command="", value=f"q/{number}") for number in range(1, 13))
    content = html.message(Reply(title="Which?", options=many, buttons=(Button(label="Stop", command="stop"),)))
    assert "🔟 branch-10" in content["body"]
    assert "12. branch-12" in content["body"]
    assert "• Stop (stop)" in content["body"]


# Memory


def account(folder: Path, **changes: Any) -> Account:
    return Account(**{"homeserver": "https://m.example.org", "user": BRINE, "state": folder / "state"} | changes)


def test_what_is_remembered_belongs_to_one_account_and_is_ours_alone(tmp_path: Path) -> None:
    memory = Memory(account(tmp_path))
    memory.load()
    memory.save(token="secret", since="s1")
    [file] = (tmp_path / "state").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert loaded(account(tmp_path)) == "s1"
    assert loaded(account(tmp_path, user="@other:example.org")) is None
    assert loaded(account(tmp_path, homeserver="https://other.example.org")) is None
    file.write_text("{")
    assert loaded(account(tmp_path)) is None


def loaded(of: Account) -> str | None:
    memory = Memory(of)
    memory.load()
    return memory.kept.since


def test_the_bookmark_waits_for_what_is_not_done() -> None:
    turned: list[str] = []

    async def run() -> None:
        bookmark, gates = Bookmark(turned.append), [asyncio.Event() for _ in range(3)]
        tasks = [asyncio.ensure_future(_wait(gate)) for gate in gates]
        for place, task in zip("abc", tasks, strict=True):
            bookmark.add(place, [task])
        gates[1].set()
        await tasks[1]
        assert turned == [], "the first has not ended"
        gates[0].set()
        await asyncio.wait(tasks[:2])
        await asyncio.sleep(0)
        assert turned == ["b"]
        tasks[2].cancel()
        await asyncio.wait(tasks)
        bookmark.add("d", [])
        assert turned == ["b"], "what was broken off comes again"

    asyncio.run(run())


async def _wait(gate: asyncio.Event) -> None:
    await gate.wait()


# A conversation that has just been begun


class HalfTold:
    """A session that has created a room and heard of it in parts, as a sync may tell it."""

    account = Account("https://m.example.org", BRINE, Path())

    def __init__(self) -> None:
        self.rooms: dict[str, Any] = {}

    async def ask(self, request: Any, about: str = "") -> Any:
        return SimpleNamespace(room_id="!new:example.org")

    async def raw(self, *asked: Any) -> dict[str, Any]:
        return {}

    def tell(self, *members: str) -> None:
        room = MatrixRoom("!new:example.org", BRINE)
        for user in members:
            room.add_member(user, None, None)
        self.rooms[room.room_id] = room


def test_a_conversation_that_has_just_been_begun_is_direct() -> None:
    session = HalfTold()
    rooms = Rooms(session)  # type: ignore[arg-type]
    room = asyncio.run(rooms.direct(ADA))
    for members in ((), (BRINE,), (BRINE, ADA)):
        assert rooms.is_direct(room)
        assert asyncio.run(rooms.direct(ADA)) == room
        session.tell(*members)
    assert rooms.is_direct(room)
    session.tell(BRINE)
    assert not rooms.is_direct(room), "the other one has left"


# The adapter, unconnected


def test_it_is_made_without_connecting_and_says_so(tmp_path: Path) -> None:
    adapter = Matrix("http://127.0.0.1:9", BRINE, tmp_path / "state", token_file=tmp_path / "not there")
    assert adapter.problem()
    for call in (
        lambda: adapter.post("!r:x", Reply(title="x")),
        lambda: adapter.room("x"),
        lambda: adapter.direct(ADA),
    ):
        with pytest.raises(Unavailable):
            call()
    adapter.stop()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("user", "files"), [("brine", {"token_file": Path("t")}), ("@brine", {"token_file": Path("t")}), (BRINE, {})]
)
def test_an_account_that_cannot_be_is_refused(tmp_path: Path, user: str, files: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Matrix("http://127.0.0.1:9", user, tmp_path, **files)
