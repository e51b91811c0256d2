"""The conversation of `brine chat`: a line to type on, with what runs above it, and what was said above that.

Three threads: the line editor, one that hears messages, and one that says what was typed, so that nobody waits for
anybody. What they share is the transcript.
"""

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.shortcuts import CompleteStyle
from rich.console import RenderableType
from rich.text import Text

from orchestrator.chat.console_views import ConsoleMessageView
from orchestrator.domain.errors import BrinepoolError

from .chat_names import Names
from .chat_render import to_ansi
from .chat_talk import CaughtUp, Talk
from .chat_transcript import Transcript
from .session import Session

PROMPT = "brine> "
REFRESH_S = 0.25  # how often clocks and spinners above the line go on
KEPT_FREE = 6  # lines of the terminal that running cards leave to what was said


def run(session: Session, talk: Talk) -> None:
    """Talk until the person leaves. Raises what `Client` raises when there is nobody to talk to."""
    me = talk.read()
    names = Names(session.client)
    with patch_stdout(raw=True):
        transcript = Transcript(lambda part: _show(session, part))
        transcript.show(Text(f"Brinepool at {talk.url}, as {me.person}. Say help for what you can say."), _KEYS)
        mouth = Mouth(talk, transcript, names.refresh)
        left = threading.Event()
        threading.Thread(target=listen, args=(talk, me.seq, transcript, left), daemon=True).start()
        converse(line_editor(session, transcript, mouth, names), transcript, mouth)
        left.set()
        _leave(talk, transcript, mouth)


_KEYS = Text("Tab completes, Ctrl-D leaves; what runs goes on without you.", style="dim")


class Mouth:
    """Says one line after the other, in a thread of its own. `after`: called in it at first and after each answer."""

    def __init__(self, talk: Talk, transcript: Transcript, after: Callable[[], None]) -> None:
        self._talk = talk
        self._transcript = transcript
        self._after = after
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.saying = ""
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def say(self, line: str) -> None:
        """Say it when all before it has been answered."""
        self._lines.put(line)

    def close(self) -> None:
        """Wait until everything has been answered."""
        self._lines.put(None)
        self._thread.join()

    def _work(self) -> None:
        self._after()
        while (line := self._lines.get()) is not None:
            self.saying = line
            self._say(line)
            self.saying = ""
            self._after()

    def _say(self, line: str) -> None:
        try:
            said = self._talk.say(line, notice=self._transcript.trouble)
        except BrinepoolError as error:
            self._transcript.failed(error)
            return
        if said is None:
            self._transcript.show(Text("Brinepool did not answer that.", style="yellow"))
        else:
            self._transcript.answered(said)


def listen(talk: Talk, after: int, transcript: Transcript, left: threading.Event) -> None:
    """Hand everything that is heard to the transcript; an error that trying again does not mend is the last.

    What has been shown counts as read at once, until the person has `left`: a window that is simply closed has no time
    to say so.
    """
    read, whole = after, False
    try:
        for item in talk.hear(after):
            if left.is_set():
                return
            transcript.heard(item)
            whole = whole or isinstance(item, CaughtUp)
            settled = not (isinstance(item, ConsoleMessageView) and item.live)
            if whole and settled and transcript.seq > read:
                read = transcript.seq
                _have_read(talk, transcript)
    except BrinepoolError as error:
        transcript.failed(error)


def line_editor(session: Session, transcript: Transcript, mouth: Mouth, names: Names) -> PromptSession[str]:
    """The line to type on, with history and completion."""

    def message() -> ANSI:
        width, height = session.console.size
        above = transcript.running(mouth.saying)
        shown = to_ansi(above, width, max(3, height - KEPT_FREE)) + "\n" if above else ""
        return ANSI(f"{shown}\x1b[1m{PROMPT}\x1b[0m")

    return PromptSession(
        message, history=_history(), completer=names, complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE, erase_when_done=True, refresh_interval=REFRESH_S,
    )  # fmt: skip


def converse(editor: PromptSession[str], transcript: Transcript, mouth: Mouth) -> None:
    """Take what is typed, line by line, until the person leaves."""
    while True:
        try:
            line = editor.prompt().strip()
        except KeyboardInterrupt:
            transcript.show(_KEYS)
            continue
        except EOFError:
            return
        if line:
            transcript.show(Text(f"{PROMPT}{line}", style="bold"), gap=False)
            mouth.say(line)


def _leave(talk: Talk, transcript: Transcript, mouth: Mouth) -> None:
    """Wait for answers that are still to come (Ctrl-C does not), and remember how far the person has read."""
    with contextlib.suppress(KeyboardInterrupt):
        mouth.close()
    for card in transcript.cards():
        transcript.show(Text(f"… {card.title}; that goes on.", style="dim"), gap=False)
    _have_read(talk, transcript)


def _have_read(talk: Talk, transcript: Transcript) -> None:
    with contextlib.suppress(BrinepoolError):
        talk.have_read(transcript.seq)


def _show(session: Session, part: RenderableType) -> None:
    sys.stdout.write(to_ansi(part, session.console.width) + "\n")
    sys.stdout.flush()


def _history() -> History:
    """What was typed before, for this account of the machine only; kept in memory where no file can be had."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    file = state / "brine" / "chat-history"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(file)
