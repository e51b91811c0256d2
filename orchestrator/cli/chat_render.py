"""How replies look on a terminal and in a pipe. What they say comes from outside: no markup, no control characters."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table as Grid
from rich.text import Text

from orchestrator.chat.console_views import ConsoleMessageView
from orchestrator.chat.plain import clean, code_line, time_text
from orchestrator.chat.replies import SIGNS, Button, Fact, Progress, Reply, Step, Table, Tone

from .progress import AT_REST
from .render import status_text

STYLES = {
    Tone.PLAIN: "bold",
    Tone.GOOD: "bold green",
    Tone.BAD: "bold red",
    Tone.WARNING: "bold yellow",
    Tone.WORKING: "bold cyan",
    Tone.QUESTION: "bold magenta",
}
PICK = "Say the number of the one you mean."
AWAY_LINES = 2  # of each message that came while nobody was there
_INDENT = 2
_SPINNER = Spinner("dots")  # one for all, so that they turn together


def reply(view: Reply, *, progress: bool = True) -> RenderableType:
    """A whole reply. Without `progress` where that is shown in another way."""
    parts: list[RenderableType] = [title(view), *(Text(clean(line)) for line in view.lines if clean(line))]
    if view.facts:
        parts.append(_facts(view.facts))
    for each in view.tables:
        parts += [*([""] if len(parts) > 1 else []), _table(each)]
    if progress and view.progress:
        parts += _progress(view.progress, turning=False)
    if view.code.strip():
        parts.append(_code(view.code))
    if view.options:
        parts.append(_options(view.options))
    if view.buttons:
        parts.append(_buttons(view.buttons))
    return Group(*parts)


def message(view: ConsoleMessageView, above: Reply | None = None) -> RenderableType:
    """A message as it stands in the conversation; what belongs below another one is set in, and what that says
    (`above`) is not said again."""
    if not view.thread:
        return reply(view.reply)
    said_before = above is not None and above.title == view.reply.title
    shown = Group(_code(view.reply.code)) if said_before and view.reply.code else reply(view.reply)
    return Padding(shown, (0, 0, 0, _INDENT * 2))


def title(view: Reply) -> Text:
    """The line that says it all, with the sign of its tone."""
    return Text(f"{SIGNS[view.tone]} {clean(view.title)}".strip(), style=STYLES[view.tone])


def away(view: ConsoleMessageView) -> RenderableType:
    """What came while nobody was there, in short: when, and what."""
    at = Text(f"{_when(view.at)}  ", style="dim")
    lines = [Text(clean(line)) for line in view.reply.lines[:AWAY_LINES]]
    return Group(at + title(view.reply), *(Padding(line, (0, 0, 0, len(at))) for line in lines))


def running(view: Reply, since: float) -> RenderableType:
    """A card while its operation runs; `since`: how many seconds ago it read so, for clocks that go on."""
    parts: list[RenderableType] = [_beside(_SPINNER, Text(clean(view.title), style=STYLES[view.tone]))]
    parts += [Text(clean(line), style="dim") for line in view.lines if clean(line)]
    if view.progress:
        parts += _progress(_gone_on(view.progress, since), turning=True)
    return Group(*parts)


def to_ansi(part: RenderableType, width: int, height: int | None = None) -> str:
    """What a terminal is sent to show it, at most `height` lines of it; the last one then counts the others."""
    console = Console(width=width, force_terminal=True, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(part)
    lines = captured.get().splitlines()
    if height is not None and len(lines) > height:
        lines = [*lines[: height - 1], f"… {len(lines) - height + 1} more lines"]
    return "\n".join(lines)


def _when(at: datetime) -> str:
    """The time of day here, with the day when that is not today."""
    here, now = at.astimezone(), datetime.now().astimezone()
    return here.strftime("%H:%M" if here.date() == now.date() else "%d %b %H:%M")


def _gone_on(progress: Progress, since: float) -> Progress:
    rest = progress.rest_s - since if progress.rest_s and progress.rest_s > since else None
    return progress.model_copy(update={"elapsed_s": progress.elapsed_s + since, "rest_s": rest})


def _progress(progress: Progress, turning: bool) -> list[RenderableType]:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    for step in progress.steps:
        grid.add_row(
            _mark(step, turning), Text(clean(step.server)), status_text(clean(step.phase)), _bar(step), _state(step)
        )
    clock = Text(time_text(progress), style="dim")
    return [*([Padding(grid, (0, 0, 0, _INDENT))] if progress.steps else []), Padding(clock, (0, 0, 0, _INDENT))]


def _mark(step: Step, turning: bool) -> RenderableType:
    if step.phase in ("ready", "terminated"):
        return Text("✔", style="green")
    if step.phase == "failed":
        return Text("✘", style="red")
    return _SPINNER if turning else Text("…", style="cyan")


def _bar(step: Step) -> RenderableType:
    if not step.of or step.n is None or step.phase in AT_REST:
        return ""
    return ProgressBar(total=step.of, completed=step.n, width=16)


def _state(step: Step) -> Text:
    if not step.state or step.phase in AT_REST:
        return Text("")
    count = f" {step.n}/{step.of}" if step.n is not None and step.of is not None else ""
    return Text(f"{clean(step.state)}{count}", style="dim")


def _facts(facts: Sequence[Fact]) -> RenderableType:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for fact in facts:
        grid.add_row(Text(clean(fact.label)), Text(clean(fact.value)))
    return grid


def _table(found: Table) -> RenderableType:
    table = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in found.columns:
        table.add_column(Text(clean(column).upper()), overflow="fold")
    for row in found.rows:
        table.add_row(*(_cell(cell) for cell in row[: len(found.columns)]))
    return table


def _cell(cell: str) -> Text:
    """A cell; one that holds a status has its colour."""
    known = status_text(clean(cell))
    return known if known.style != "cyan" else Text(clean(cell))


def _code(code: str) -> RenderableType:
    lines = (Text(code_line(line), style="dim") for line in code.rstrip().splitlines())
    return Padding(Group(*lines), (0, 0, 0, _INDENT))


def _options(options: Sequence[Button]) -> RenderableType:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    for number, option in enumerate(options, 1):
        label = Text(clean(option.label), style="red" if option.style == "danger" else "")
        grid.add_row(Text(f"{number:3}", style="bold"), label)
    return Group(grid, Text(PICK, style="dim"))


def _buttons(buttons: Iterable[Button]) -> Text:
    """What may come next; here one types it."""
    return Text("next: " + "  ·  ".join(clean(button.command) for button in buttons), style="dim")


def _beside(left: RenderableType, right: RenderableType) -> RenderableType:
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_row(left, right)
    return grid
