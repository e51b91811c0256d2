"""`brine chat`: a line at a time for scripts, and as a conversation on a terminal."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.input.base import PipeInput
from prompt_toolkit.output import DummyOutput
from rich.console import Console as Rich

from orchestrator.chat.base import Answer, Incoming
from orchestrator.chat.console import Console
from orchestrator.chat.replies import Button, Fact, Progress, Reply, Step, Table, Tone
from orchestrator.cli import chat_render, chat_session, chat_talk
from orchestrator.cli.chat_talk import Talk
from orchestrator.cli.client import Client
from orchestrator.cli.main import run
from orchestrator.cli.session import Session
from orchestrator.commands import World, environments, tokens
from orchestrator.domain.conversation import Card, Place
from orchestrator.domain.environment import Actor
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.lifecycle import OperationState
from tests import programs
from tests.chat.desks import EchoDesk
from tests.embedded import wait_for
from tests.fakes import misbehaviour as bad
from tests.fakes.salt import wait_until
from tests.fakes.saltapi import FakeSaltApi
from tests.programs import shop
from tests.unit.doors import BROKEN, TOKEN, Stage, free_port, hears_an_interrupt, served

Brine = Callable[..., tuple[int, str, str]]
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
BRINE = Path(sys.prefix) / "bin" / "brine"
ADA = Actor("ada", "chat:console")

EVERYTHING = Reply(
    title="cart is\x1b[2J ready",
    tone=Tone.GOOD,
    lines=("web runs [bold]main[/bold].",),
    facts=(Fact(label="expires in", value="1d"),),
    tables=(Table(columns=("server", "status"), rows=(("cart-api-1", "ready"), ("cart-web-1", "failed"))),),
    progress=Progress(steps=(Step(server="cart-api-1", phase="configuring", state="build", n=3, of=6),), elapsed_s=65),
    code="  line one\n\x07line two",
    options=(Button(label="Yes", command="yes", value="q/1"), Button(label="No", command="no", value="q/2")),
    buttons=(Button(label="Extend", command="extend cart"), Button(label="Show", command="show cart")),
)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path, threads=8)
    made.play = made.begin
    return made


@pytest.fixture
def console(stage: Stage) -> Console:
    return Console(stage.world.store, stage.world.hub)


@pytest.fixture
def desk() -> EchoDesk:
    return EchoDesk()


@contextmanager
def at(world: World, console: Console, desk: EchoDesk, port: int = 0) -> Iterator[str]:
    with served(world, port, chats=SimpleNamespace(blueprints=list, problems=list, desk=desk, console=console)) as url:
        yield url


@pytest.fixture
def url(stage: Stage, console: Console, desk: EchoDesk, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with at(stage.world, console, desk) as found:
        monkeypatch.setenv("BRINE_URL", found)
        monkeypatch.setenv("BRINE_TOKEN", TOKEN)
        yield found


@pytest.fixture
def brine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Brine:
    def call(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        code = run(["chat", *arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return code, printed.out, printed.err

    return call


def card_of(stage: Stage, desk: EchoDesk, name: str = "cart") -> None:
    """Let the desk start a real operation and answer with its card, which the real one keeps in the database."""

    def answer(incoming: Incoming) -> Answer:
        accepted = environments.create(stage.world, ADA, shop(name))
        with stage.world.store.transaction() as ledger:
            ledger.chat.add_card(Card(accepted.operation.id, Place("console", incoming.user), incoming.user))
        return Answer(working(name, "booting"), accepted.operation.id)

    def posted(operation: str, service: str, room: str, message: str, user: str) -> None:
        with stage.world.store.transaction() as ledger:
            ledger.chat.change_card(operation, Place(service, room), message=message)
        desk.cards.append((operation, service, room, message, user))

    desk.answer, desk.posted = answer, posted  # type: ignore[method-assign]


def working(name: str, phase: str, *more: str) -> Reply:
    steps = tuple(Step(server=server, phase=phase) for server in (f"{name}-api-1", *more))
    return Reply(
        title=f"ada is creating {name}", tone=Tone.WORKING, progress=Progress(steps=steps, elapsed_s=3, rest_s=60)
    )


# What replies look like


def test_a_reply_in_a_pipe_says_everything_in_plain_lines() -> None:
    out = io.StringIO()
    Rich(file=out, width=1000, markup=False, highlight=False).print(chat_render.reply(EVERYTHING))
    assert [line.rstrip() for line in out.getvalue().splitlines()] == [
        "✔ cart is[2J ready",
        "web runs [bold]main[/bold].",
        "expires in  1d",
        "",
        "SERVER      STATUS",
        "cart-api-1  ready",
        "cart-web-1  failed",
        "  …  cart-api-1  configuring  ━━━━━━━━          build 3/6",
        "  1m 5s",
        "    line one",
        "  line two",
        "  1  Yes",
        "  2  No",
        "Say the number of the one you mean.",
        "next: extend cart  ·  show cart",
    ]
    assert not CONTROL.search(out.getvalue())


def test_a_running_card_counts_on_and_is_cut_to_the_terminal() -> None:
    many = tuple(Step(server=f"cart-web-{n}", phase="booting") for n in range(30))
    card = Reply(title="creating", tone=Tone.WORKING, progress=Progress(steps=many, elapsed_s=3, rest_s=10))
    whole = chat_render.to_ansi(chat_render.running(card, since=4.0), 80)
    assert "7s, about 6s to go" in whole
    assert "to go" not in chat_render.to_ansi(chat_render.running(card, since=40.0), 80)
    lines = chat_render.to_ansi(chat_render.running(card, since=4.0), 80, height=10).splitlines()
    assert (len(lines), lines[-1]) == (10, "… 23 more lines")


# Saying something once


def test_what_is_said_while_nobody_answers_is_said_when_somebody_does(
    stage: Stage, console: Console, desk: EchoDesk
) -> None:
    port, told = free_port(), []
    with ExitStack() as ending:

        def notice(sentence: str) -> None:
            if not told:
                ending.enter_context(at(stage.world, console, desk, port))
            told.append(sentence)

        said = Talk(Client(f"http://127.0.0.1:{port}", TOKEN)).say("list", notice=notice)
    assert said is not None
    assert said.reply.title == "You said: list"
    assert "does not answer" in told[0]


def test_an_answer_that_was_lost_is_asked_for_again_and_nothing_is_done_twice(
    url: str, desk: EchoDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(url, TOKEN)
    offer, lost = client.offer, []

    def lossy(*arguments: Any) -> Any:
        answer = offer(*arguments)
        if not lost:
            lost.append(answer)
            raise Unavailable("server-slow", "Brinepool took the request and has not answered in time.")
        return answer

    monkeypatch.setattr(client, "offer", lossy)
    assert Talk(client).say("create shop") == lost[0]
    assert [each.text for each in desk.received] == ["create shop"]


def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_talk, "PATIENCE_S", 0.0)
    with pytest.raises(Unavailable, match="does not answer"):
        Talk(Client(f"http://127.0.0.1:{free_port()}", TOKEN)).say("list")


# A line at a time


def test_words_are_said_and_the_answer_is_printed(url: str, desk: EchoDesk, brine: Brine) -> None:
    assert brine("list", "environments") == (0, "You said: list environments\n", "")
    assert desk.received[0].user == "ada"


def test_lines_of_another_program_are_said_one_after_the_other(url: str, desk: EchoDesk, brine: Brine) -> None:
    code, out, err = brine(typed="list\n\n  help create \n")
    assert (code, out, err) == (0, "You said: list\nYou said: help create\n", "")
    assert [each.text for each in desk.received] == ["list", "help create"]


def test_nothing_in_a_pipe_drives_a_terminal(url: str, desk: EchoDesk) -> None:
    desk.answer = lambda _: Answer(EVERYTHING)
    environment = {**os.environ, "TERM": "xterm-256color"}
    done = subprocess.run([BRINE, "chat", "show cart"], env=environment, capture_output=True, text=True, check=True)
    assert "cart-web-1  failed" in done.stdout
    assert not CONTROL.search(done.stdout)


def test_as_json_the_answer_is_data(url: str, desk: EchoDesk, brine: Brine) -> None:
    desk.answer = lambda _: Answer(EVERYTHING)
    code, out, _ = brine("show", "cart", "--json")
    answer = json.loads(out)
    assert (code, answer["operation"], answer["reply"]["facts"]) == (0, None, [{"label": "expires in", "value": "1d"}])


@pytest.mark.parametrize(
    ("reply", "done", "code"),
    [
        (Reply(title="cart has failed", tone=Tone.BAD), True, 0),  # it was asked how cart is
        (Reply(title="You may not do that", tone=Tone.BAD), False, 2),
        (Reply(title="Which one?", tone=Tone.QUESTION), False, 2),
    ],
)
def test_what_came_of_it_is_the_exit_code(
    url: str, desk: EchoDesk, brine: Brine, reply: Reply, done: bool, code: int
) -> None:
    desk.answer = lambda _: Answer(reply, done=done)
    assert brine("x")[0] == code


def test_a_question_that_the_next_line_answers_is_no_failure(url: str, desk: EchoDesk, brine: Brine) -> None:
    asked = Answer(Reply(title="Which one?", tone=Tone.QUESTION, options=EVERYTHING.options), done=False)
    desk.answer = lambda incoming: asked if incoming.text == "create" else Answer(Reply(title=incoming.text))
    code, out, _ = brine(typed="create\n2\n")
    assert (code, out) == (0, "? Which one?\n  1  Yes\n  2  No\nSay the number of the one you mean.\n2\n")
    assert brine(typed="help\ncreate\n")[0] == 2


def test_what_is_ignored_is_said(url: str, desk: EchoDesk, brine: Brine) -> None:
    desk.answer = lambda _: None
    assert brine("hm") == (2, "", "Brinepool did not answer that.\n")


def test_nobody_there_is_3(brine: Brine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRINE_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("BRINE_TOKEN", TOKEN)
    code, out, err = brine("help")
    assert (code, out) == (3, "")
    assert "does not answer" in err


def test_without_waiting_the_card_is_printed_as_it_is(stage: Stage, url: str, desk: EchoDesk, brine: Brine) -> None:
    card_of(stage, desk)
    code, out, _ = brine("create", "shop", "--no-wait")
    assert code == 0
    assert "ada is creating cart" in out
    assert "cart-api-1  booting" in out
    card_of(stage, desk, "cart-2")
    code, out, _ = brine("create", "shop", "--no-wait", "--json")
    assert json.loads(out)["operation"]["kind"] == "create"


def test_the_outcome_is_told_also_when_the_card_stays_behind(
    stage: Stage, url: str, desk: EchoDesk, brine: Brine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_talk, "FINAL_S", 0.5)
    card_of(stage, desk)
    stage.failure, stage.play = BROKEN, stage.to_the_end
    code, out, _ = brine("create", "shop")
    assert code == 1
    assert "✘ cart: the create failed" in out
    assert BROKEN.action in out


def test_leaving_while_it_is_waited_for_stops_nothing(stage: Stage, url: str, desk: EchoDesk) -> None:
    card_of(stage, desk)
    brine = subprocess.Popen(
        [BRINE, "chat", "create shop"], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hears_an_interrupt,
    )  # fmt: skip
    assert brine.stdout is not None
    while "configuring: build (3/6)" not in brine.stdout.readline():
        pass
    brine.send_signal(signal.SIGINT)
    _, err = brine.communicate(timeout=10)
    assert brine.returncode == 130
    assert err == "\nNot watching any more; it goes on. Look with: brine chat jobs\n"
    with stage.world.store.transaction() as ledger:
        found = ledger.operation(stage.started[0].id)
    assert found is not None
    assert found.state is OperationState.RUNNING


def test_what_was_printed_is_not_told_again_later(stage: Stage, url: str, console: Console, brine: Brine) -> None:
    brine("help")
    assert not console.read("ada").unread
    console.post("ada", Reply(title="cart expires in 4h", tone=Tone.WARNING))
    brine("help")
    assert console.read("ada").model_dump() == {"person": "ada", "seq": 1, "unread": True}


@pytest.fixture
def whole(fake: FakeSaltApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSaltApi]:
    """A whole Brinepool, with its own desk, over the fake Salt."""
    with programs.whole_brinepool(programs.settings_for(tmp_path), fake.connect()) as running:
        tokens.ensure(running.world, TOKEN, "ada", "test")
        with served(running.world, chats=running.chats) as found:
            monkeypatch.setenv("BRINE_URL", found)
            monkeypatch.setenv("BRINE_TOKEN", TOKEN)
            yield fake


def test_from_a_script_all_the_way(whole: FakeSaltApi, brine: Brine) -> None:
    assert brine("frobnicate")[0] == 2
    code, out, err = brine("create shop feature/cart as cart-test")
    assert (code, err) == (0, "")
    assert not CONTROL.search(out)
    lines = out.splitlines()
    assert lines[0] == "… ada is creating cart-test"
    assert any(re.search(r" s  cart-test-web-2  configuring: .+ \(\d/\d\)$", line) for line in lines)
    assert any(re.match(r"✔ cart-test is ready, after ", line) for line in lines)
    assert sum("ready, after" in line for line in lines) == 1
    code, out, _ = brine("--json", typed="extend cart-test by 1d\nlist environments\n")
    assert code == 0
    assert brine("terminate cart-test")[0] in (0, 2)


def test_an_operation_that_fails_is_1_and_says_why(whole: FakeSaltApi, brine: Brine) -> None:
    whole.salt.misbehave(bad.FailsDuringHighstate("cart-web-1", state="build", comment="no such wheel: flask"))
    code, out, _ = brine("create shop as cart")
    assert code == 1
    assert "no such wheel: flask" in out
    assert brine("show cart")[0] == 0


# A conversation


class Paper(DummyOutput):
    """A terminal of which everything that was ever on it can be read."""

    def __init__(self) -> None:
        self._text = ""
        self._changed = threading.Condition()

    def write(self, data: str) -> None:
        with self._changed:
            self._text += data
            self._changed.notify_all()

    def write_raw(self, data: str) -> None:
        self.write(data)

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", self._text)

    def wait_for(self, wanted: str, after: int = 0) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: wanted in self.text[after:], 15), f"no “{wanted}” in:\n{self.text}"


class Terminal:
    """Somebody at `brine chat`: what they type, and what they see."""

    def __init__(self, keys: PipeInput, paper: Paper) -> None:
        self._keys = keys
        self.paper = paper

    def type(self, keys: str) -> None:
        self._keys.send_text(keys)

    def sees(self, wanted: str) -> None:
        self.paper.wait_for(wanted)

    @property
    def text(self) -> str:
        return self.paper.text


CTRL_C, CTRL_D, TAB, ENTER = "\x03", "\x04", "\t", "\r"


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """Run a conversation in which `person` does something until it leaves → all that was on the terminal."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def converse(url: str, person: Callable[[Terminal], None]) -> str:
        paper, trouble = Paper(), []
        session = Session()
        session.client = Client(url, TOKEN)  # type: ignore[misc]
        with create_pipe_input() as keys, create_app_session(input=keys, output=paper):

            def act() -> None:
                try:
                    terminal = Terminal(keys, paper)
                    terminal.sees("Ctrl-D leaves")
                    person(terminal)
                except BaseException as error:  # noqa: BLE001  (told by the thread that waits)
                    trouble.append(error)
                finally:
                    keys.send_text("\x05\x15" + CTRL_D)  # to the end of the line, empty it, leave

            actor = threading.Thread(target=act)
            actor.start()
            chat_session.run(session, Talk(session.client))
            actor.join()
        if trouble:
            raise trouble[0]
        return paper.text

    return converse


Converse = Callable[[str, Callable[[Terminal], None]], str]


def test_what_is_typed_is_said_and_answered_above_the_line(
    url: str, desk: EchoDesk, console: Console, talk: Converse
) -> None:
    def person(terminal: Terminal) -> None:
        terminal.type("list environments" + ENTER)
        terminal.sees("You said: list environments")
        wait_until(lambda: not console.read("ada").unread)  # the answer comes twice, and is read when it was heard

    seen = talk(url, person)
    assert f"Brinepool at {url}, as ada." in seen
    assert seen.count("You said: list environments") == 1
    assert [each.text for each in desk.received] == ["list environments"]


def test_a_line_that_is_being_typed_survives_what_arrives(
    url: str, desk: EchoDesk, console: Console, talk: Converse
) -> None:
    def person(terminal: Terminal) -> None:
        terminal.type("show ")
        console.post("ada", Reply(title="bob terminated shop-7", tone=Tone.WARNING))
        terminal.sees("⚠ bob terminated shop-7")
        terminal.type("cart" + ENTER)
        terminal.sees("You said: show cart")

    talk(url, person)


def test_a_running_card_stays_above_the_line_until_it_ends(
    stage: Stage, url: str, desk: EchoDesk, console: Console, talk: Converse
) -> None:
    card_of(stage, desk)

    def person(terminal: Terminal) -> None:
        terminal.type("create shop" + ENTER)
        terminal.sees("cart-api-1  booting")
        message = desk.cards[0][3]
        console.edit("ada", message, working("cart", "booting", "cart-web-9"))
        terminal.sees("cart-web-9")
        console.edit("ada", message, Reply(title="cart is ready, after 9s", tone=Tone.GOOD))
        terminal.sees("✔ cart is ready, after 9s")

    seen = talk(url, person)
    assert seen.count("✔ cart is ready, after 9s") == 1
    assert "that goes on" not in seen


def test_leaving_stops_nothing_and_what_happens_then_is_told_at_the_next_start(
    stage: Stage, url: str, desk: EchoDesk, console: Console, talk: Converse
) -> None:
    card_of(stage, desk)

    def starts(terminal: Terminal) -> None:
        terminal.type("create shop" + ENTER)
        terminal.sees("cart-api-1  booting")
        terminal.type(CTRL_C)

    assert "… ada is creating cart; that goes on." in talk(url, starts)
    with stage.world.store.transaction() as ledger:
        operation = ledger.operation(stage.started[0].id)
    assert operation is not None
    assert operation.state is OperationState.RUNNING
    console.edit("ada", desk.cards[0][3], Reply(title="cart is ready", tone=Tone.GOOD))
    for number in range(6):
        console.post("ada", Reply(title=f"notice {number}"))
    seen = talk(url, lambda terminal: terminal.sees("notice 5"))
    assert "While you were away:" in seen
    assert "(2 more before these)" in seen
    assert "notice 0" not in seen
    assert "While you were away" not in talk(url, lambda _: None)


def test_what_was_shown_is_read_before_the_person_leaves(url: str, console: Console, talk: Converse) -> None:
    """A window that is closed ends the program at once."""

    def person(terminal: Terminal) -> None:
        terminal.type("list environments" + ENTER)
        terminal.sees("You said: list environments")
        wait_for(lambda: not console.read("ada").unread)

    talk(url, person)


def test_what_is_typed_ahead_is_answered_before_leaving(url: str, desk: EchoDesk, talk: Converse) -> None:
    seen = talk(url, lambda terminal: terminal.type(f"one{ENTER}two{ENTER}three{ENTER}"))
    assert [each.text for each in desk.received] == ["one", "two", "three"]
    assert seen.index("You said: one") < seen.index("You said: two") < seen.index("You said: three")


def test_tab_completes_verbs_and_names(stage: Stage, url: str, desk: EchoDesk, talk: Converse) -> None:
    environments.create(stage.world, ADA, shop("cart"))

    def person(terminal: Terminal) -> None:
        terminal.type("ping" + ENTER)  # when it is answered, the names are known
        terminal.sees("You said: ping")
        terminal.type("pong" + ENTER)
        terminal.sees("You said: pong")
        terminal.type(f"ext{TAB} cart-a{TAB}{ENTER}")
        terminal.sees("You said: extend cart-api-1")
        terminal.type(f"create sh{TAB}{ENTER}")
        terminal.sees("You said: create shop")

    talk(url, person)


def test_a_restart_of_the_server_is_waited_out(stage: Stage, console: Console, desk: EchoDesk, talk: Converse) -> None:
    port = free_port()
    first, second = at(stage.world, console, desk, port), at(stage.world, console, desk, port)
    url = first.__enter__()

    def person(terminal: Terminal) -> None:
        first.__exit__(None, None, None)
        terminal.sees("!")
        terminal.type("list" + ENTER)
        second.__enter__()
        console.post("ada", Reply(title="posted meanwhile"))
        terminal.sees("You said: list")
        terminal.sees("posted meanwhile")

    try:
        seen = talk(url, person)
    finally:
        second.__exit__(None, None, None)
    assert len(desk.received) == 1
    assert seen.count("You said: list") == 1


def test_an_error_is_a_sentence_and_the_conversation_goes_on(url: str, desk: EchoDesk, talk: Converse) -> None:
    def person(terminal: Terminal) -> None:
        terminal.type("x" * 4500 + ENTER)
        terminal.sees("✘ That is too long")
        terminal.type("help" + ENTER)
        terminal.sees("You said: help")

    talk(url, person)


def test_what_was_typed_is_kept_for_this_account_only(url: str, talk: Converse, tmp_path: Path) -> None:
    talk(url, lambda terminal: terminal.type("list" + ENTER))
    file = tmp_path / "state" / "brine" / "chat-history"
    assert "+list" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
