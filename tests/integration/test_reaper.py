"""An environment that lives for two minutes, on the embedded stack: warned about, extended, reaped, and reported.

Salt, its minions and the clock are real, so this takes about four minutes. What is told is read as an open `brine chat`
reads it, which goes on when Brinepool is restarted.
"""

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from orchestrator.chat.console_views import ConsoleMessageView
from orchestrator.cli import chat_render
from orchestrator.cli.chat_talk import Talk
from orchestrator.cli.client import connect
from orchestrator.embedded import stack as embedded
from orchestrator.settings import CHECKOUT
from tests.embedded import RunningStack, wait_for

from .test_brinepool import answer, brine, traces

ENV = "fading"
TTL, MINUTE = "ttl: {default: 2m, max: 10m, extend: 1m, warn: [1m]}", timedelta(minutes=1)
SITE = ("access.yaml", "examples/notes-data", "examples/notes-site", "failures", "salt", "templates/notes.yaml")
ZONE = ZoneInfo("Asia/Kolkata")  # far from UTC, and its clocks are never changed
LONG_AGO = datetime.min.replace(tzinfo=UTC)
LATE_S = 90.0  # as late as something may be on a machine that has much to do
ENDS, EXTENDED, GONE, REPORT = f"{ENV} ends in ", f"{ENV} expires in ", f"{ENV} is gone", "Last night: "


class Listener:
    """Hears what is told on the console of a home's admin, until the stack is down."""

    def __init__(self, stack: RunningStack) -> None:
        self._heard: dict[str, ConsoleMessageView] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._listen, args=(Talk(connect(stack.settings)),), daemon=True)
        self._thread.start()

    def _listen(self, talk: Talk) -> None:
        for item in talk.hear(0):
            if self._ending.is_set():
                return
            if isinstance(item, ConsoleMessageView):
                self._heard[item.message] = item

    def close(self) -> None:
        """To be called when the stack is down: that is what ends the stream."""
        self._ending.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def told(self, beginning: str = "", since: datetime = LONG_AGO) -> list[ConsoleMessageView]:
        """The messages since then whose title begins so, as they read now, in the order in which they came."""
        found = (each for each in self._heard.copy().values() if each.reply.title.startswith(beginning))
        return sorted((each for each in found if each.at >= since), key=lambda each: each.seq)

    def wait(self, beginning: str, since: datetime = LONG_AGO, seconds: float = LATE_S) -> ConsoleMessageView:
        """Wait for a message since then whose title begins so. → the first one"""
        try:
            return wait_for(lambda: self.told(beginning, since), seconds)[0]
        except AssertionError as error:
            pytest.fail(f"“{beginning}…”: {error}. What was told:\n{self}")

    def __str__(self) -> str:
        """All that was told, with the time of each message."""
        console = Console(width=110, color_system=None, markup=False, highlight=False, emoji=False)
        with console.capture() as captured:
            for message in self.told():
                console.print(f"{message.at:%H:%M:%S} UTC", chat_render.message(message), "", sep="\n")
        return captured.get()


def clock(moment: datetime) -> str:
    return f"{moment.astimezone(ZONE):%H:%M}"


@pytest.fixture
def stack(start_stack: Callable[..., RunningStack], tmp_path: Path) -> RunningStack:
    """A stack of its own: the notes of the sample site with a short TTL, and a nightly run that is half a day away."""
    for name in SITE:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        copy(CHECKOUT / name, tmp_path / name)
    template = tmp_path / "templates" / "notes.yaml"
    text, changed = re.subn(r"(?m)^ttl:.*$", TTL, template.read_text())
    assert changed == 1
    template.write_text(text)
    night = clock(datetime.now(ZONE) - timedelta(hours=12))
    return start_stack(site=tmp_path, reap_every="10s", timezone=str(ZONE), nightly_at=night)


@pytest.fixture
def console(stack: RunningStack) -> Iterator[Listener]:
    """What is told on the console of that stack."""
    listener = Listener(stack)
    yield listener
    embedded.down(stack.settings, stack.said.append)
    listener.close()


def say(stack: RunningStack, line: str) -> None:
    """`brine chat` with one line, as a person's shell would run it."""
    done = brine(stack, "chat", line)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def moment(stack: RunningStack, field: str) -> datetime:
    return datetime.fromisoformat(answer(stack, "env", "show", ENV)[field])


def assert_nothing_is_left(stack: RunningStack, sockets: set[Path]) -> None:
    """No process, folder, key, cache entry or socket of it, and nobody knows of it.

    Salt's cache of jobs says what ran, and a tombstone that a late create is refused; both are kept on purpose.
    """
    assert not any(traces(stack, ENV).values()), traces(stack, ENV)
    kept = (stack.home.salt / "cache" / "jobs", stack.home.salt / "cache" / "brinepool" / "tombstones")
    left = [path for path in stack.home.root.rglob(f"*{ENV}*") if not set(kept) & set(path.parents)]
    assert left == []
    assert set(stack.home.sockets.iterdir()) == sockets
    assert ENV not in stack.run("salt-key", "--out=json", "--list=all").stdout
    assert json.loads(stack.run("salt-run", "--out=json", "brinepool.inventory").stdout)["servers"] == []
    assert answer(stack, "env", "list")["environments"] == []


@pytest.mark.patient
@pytest.mark.long
@pytest.mark.timeout(900)
def test_an_environment_is_warned_about_extended_warned_about_again_reaped_and_reported(
    stack: RunningStack, console: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    sockets = set(stack.home.sockets.iterdir())
    say(stack, f"create notes as {ENV}")
    created, promised = moment(stack, "created_at"), moment(stack, "expires_at")
    assert promised - created == 2 * MINUTE

    first = console.wait(ENDS, seconds=60 + LATE_S)
    assert first.at >= promised - MINUTE, f"warned too early:\n{console}"
    assert f"extend {ENV}" in [button.command for button in first.reply.buttons]
    say(stack, f"extend {ENV}")
    extended = console.wait(EXTENDED)
    ends = moment(stack, "expires_at")
    assert ends - promised == MINUTE

    second = console.wait(ENDS, since=ends - MINUTE, seconds=60 + LATE_S)
    gone = console.wait(GONE, seconds=60 + LATE_S)
    assert first.at < extended.at < second.at < gone.at, f"not in this order:\n{console}"
    assert gone.at >= ends, f"reaped too early:\n{console}"
    assert "Asked for by scheduler." in gone.reply.lines
    assert len(console.told(ENDS)) == 2, f"a warning was told twice:\n{console}"
    assert_nothing_is_left(stack, sockets)

    # From now on the nightly run is at this very minute; after the restart it is made up for.
    embedded.up(stack.settings.model_copy(update={"nightly_at": clock(datetime.now(ZONE))}), stack.said.append)
    report = console.wait(REPORT, since=gone.at)
    with capsys.disabled():
        print(f"\n{console}")
    assert report.reply.title == "Last night: 1 went, 0 stay"
    (went,) = report.reply.tables
    assert (went.columns[0], [row[:2] for row in went.rows]) == ("went", [(ENV, "admin")])
    assert_nothing_is_left(stack, sockets)
