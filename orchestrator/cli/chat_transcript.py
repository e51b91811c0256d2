"""What a conversation shows: what was said goes up and stays; cards of what runs stay above the line until they end."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from orchestrator.chat.console_views import ConsoleMessageView, Said
from orchestrator.chat.replies import Reply
from orchestrator.domain.errors import BrinepoolError

from . import chat_render
from .chat_talk import CaughtUp, Heard
from .follow import Interruption
from .render import plain

MOST_AWAY = 5  # messages that came while nobody was there; of more than that, the last ones


@dataclass(frozen=True)
class _Card:
    reply: Reply
    heard_at: float


class Transcript:
    """Used by several threads. `out` shows something above the line, for good."""

    def __init__(self, out: Callable[[RenderableType], None]) -> None:
        self._out = out
        self._lock = threading.RLock()
        self._newest: dict[str, ConsoleMessageView] = {}
        self._cards: dict[str, _Card] = {}
        self._away: dict[str, ConsoleMessageView] | None = {}  # None: all that was there has been told
        self._trouble = ""
        self._thinking = Spinner("dots")
        self.seq = 0

    def show(self, *parts: RenderableType, gap: bool = True) -> None:
        """Show something above the line."""
        with self._lock:
            self._out(Group(*parts, *([""] if gap else [])))

    def heard(self, item: Heard) -> None:
        """Something came from the server."""
        with self._lock:
            self._trouble = ""
            if isinstance(item, Interruption):
                self.trouble(item.sentence)
            elif isinstance(item, CaughtUp):
                self._show_away()
            else:
                self.seq = max(self.seq, item.seq)
                self._message(item)

    def answered(self, said: Said) -> None:
        """What was said was answered, which the stream of messages tells as well."""
        with self._lock:
            self._trouble = ""
            at = datetime.now(UTC)
            self._message(
                ConsoleMessageView(
                    seq=said.seq, at=at, message=said.message, thread="", reply=said.reply, operation=said.operation
                ),
                new=True,
            )

    def trouble(self, sentence: str) -> None:
        """The server does not answer, and is being tried again."""
        self._trouble = f"{sentence} Trying again …"

    def failed(self, error: BrinepoolError) -> None:
        """Something did not work, and is not tried again."""
        self._trouble = ""
        self.show(Text(f"✘ {plain(error.message)}", style="red"))

    def cards(self) -> Sequence[Reply]:
        """What runs."""
        with self._lock:
            return [card.reply for card in self._cards.values()]

    def running(self, saying: str) -> RenderableType | None:
        """What stands above the line now: the cards of what runs, and what is waited for (`saying` has no answer)."""
        now = time.monotonic()
        with self._lock:
            parts = [chat_render.running(card.reply, now - card.heard_at) for card in self._cards.values()]
        if self._trouble:
            parts.append(Text(f"!  {plain(self._trouble)}", style="yellow"))
        elif saying:
            parts.append(self._waiting())
        return Group(*parts) if parts else None

    def _waiting(self) -> RenderableType:
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_row(self._thinking, Text("asking", style="dim"))
        return grid

    def _message(self, view: ConsoleMessageView, new: bool = False) -> None:
        """A message, or another text for one; what was shown already is not shown again."""
        known = self._newest.get(view.message)
        if known and (known.seq, known.live) >= (view.seq, view.live):
            return
        self._newest[view.message] = view
        if view.live:
            self._cards[view.message] = _Card(view.reply, time.monotonic())
            return
        self._cards.pop(view.message, None)
        if self._away is not None and not new:
            self._away[view.message] = view
        else:
            above = self._newest.get(view.thread)
            self.show(chat_render.message(view, above.reply if above else None))

    def _show_away(self) -> None:
        if not self._away:
            self._away = None
            return
        found = [view for view in self._away.values() if not view.thread and not view.live]
        self._away = None
        before = len(found) - MOST_AWAY
        more = [Text(f"({before} more before these)", style="dim")] if before > 0 else []
        self.show(Text("While you were away:", style="bold"), *more, *map(chat_render.away, found[-MOST_AWAY:]))
