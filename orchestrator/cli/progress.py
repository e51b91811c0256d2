"""Progress as it happens: a live table on a terminal, one plain line for each change everywhere else."""

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from orchestrator.commands.views import ProgressView

from .render import plain, status_text

AT_REST = ("ready", "failed", "terminated", "succeeded", "cancelled")


class Display(AbstractContextManager["Display"], Protocol):
    """Where progress is shown."""

    def step(self, step: ProgressView) -> None:
        """Something went on."""

    def notice(self, sentence: str) -> None:
        """The connection was lost, and is being tried again."""


def waited(step: ProgressView) -> str:
    """`waiting for salt-api, which does not answer, since 12s`, or `resumed: …`; "" for any other step."""
    if step.server is not None or step.state is None:
        return ""
    return f"waiting for {step.state}" if step.phase == "waiting" else f"{step.phase}: {step.state}"


def display(console: Console, quiet: bool) -> Display:
    """The display that suits: none, a live table, or lines."""
    if quiet:
        return Silence()
    return Board(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)


class Silence:
    """Shows nothing, for scripts that want the outcome only."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def step(self, step: ProgressView) -> None:
        """Nothing is shown."""

    def notice(self, sentence: str) -> None:
        """Nothing is shown."""


class Lines(Silence):
    """One line for each change; no control characters, and nothing is said twice."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: dict[str, str] = {}

    def step(self, step: ProgressView) -> None:
        """One line: when, who, what."""
        what = f"{step.phase}: {step.state} ({step.n}/{step.of})" if step.n is not None else waited(step) or step.phase
        self._last.pop("", None)
        self._say(step.server or "operation", plain(what), f"{step.elapsed_s:7.1f} s  ")

    def notice(self, sentence: str) -> None:
        """One line, however often it is tried."""
        self._say("", f"{sentence} Trying again.")

    def _say(self, who: str, what: str, when: str = "") -> None:
        if self._last.get(who) != what:
            self._last[who] = what
            self._console.print(f"{when}{who}  {what}" if who else what, soft_wrap=True)


class Board:
    """A live table: a row for each server with its phase, the Salt state that ended last, and the time it takes."""

    def __init__(self, console: Console) -> None:
        self._rows: dict[str, ProgressView] = {}
        self._seen_at: dict[str, float] = {}
        self._notice = ""
        self._waiting = ""
        self._spinners: dict[str, Spinner] = {}
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def step(self, step: ProgressView) -> None:
        """The row of its server changes."""
        self._notice = ""
        if step.server is None:
            self._waiting = f"{waited(step).capitalize()} …" if step.phase == "waiting" else ""
        else:
            self._rows[step.server] = step
            self._seen_at[step.server] = time.monotonic()

    def notice(self, sentence: str) -> None:
        """Stays under the table until something goes on."""
        self._notice = f"{sentence} Trying again …"

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for name in sorted(self._rows):
            step = self._rows[name]
            table.add_row(
                self._mark(step), Text(plain(name)), status_text(step.phase), _bar(step), _state(step),
                Text(f"{self._elapsed(step):.1f} s", style="dim"),
            )  # fmt: skip
        said = self._notice or self._waiting
        return Group(table, Text(f"!  {plain(said)}", style="yellow")) if said else table

    def _mark(self, step: ProgressView) -> RenderableType:
        if step.phase in ("ready", "terminated"):
            return Text("✔", style="green")
        if step.phase == "failed":
            return Text("✘", style="red")
        return self._spinners.setdefault(step.server or "", Spinner("dots"))

    def _elapsed(self, step: ProgressView) -> float:
        """What the server said, and for a server at work the time since then on our own clock."""
        waiting = 0.0 if step.phase in AT_REST else time.monotonic() - self._seen_at[step.server or ""]
        return step.elapsed_s + waiting


def _bar(step: ProgressView) -> RenderableType:
    if step.of is None or step.n is None or step.phase in AT_REST:
        return ""
    return ProgressBar(total=step.of, completed=step.n, width=16)


def _state(step: ProgressView) -> Text:
    if step.state is None or step.phase in AT_REST:
        return Text("")
    return Text(f"{plain(step.state)} {step.n}/{step.of}", style="dim")
