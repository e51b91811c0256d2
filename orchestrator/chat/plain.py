"""Replies for services that show text: as a few short lines (IRC, SMS, a log), or as Markdown.

Both carry everything that a reply says except its details, and leave nothing to chance: what comes from outside (branch
names, log lines) can neither start a new line, nor format, nor notify anybody.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from orchestrator.domain.durations import format_duration

from .replies import SIGNS, Button, Progress, Reply, Step, Table

LINE_BYTES = 400  # an IRC line has 512 bytes, with its prefix, command and target in them
MAX_LINES = 24
MAX_MARKDOWN = 4000  # characters; what the narrowest of the services that take Markdown allow for one message

_LINE_BREAKS = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Control characters (colours and CTCP on IRC), what turns the direction of writing, what is not seen at all, and halves
# of characters, which no encoding takes.
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_SPACES = re.compile(r"\s+")
_LONGEST_PART = 2000  # characters of one cell, label or sentence; what is longer is no text for people
_URL = re.compile(r"https?://[A-Za-z0-9\-._~:/?#@!$&'()*+,;=%\[\]]*[A-Za-z0-9/=_~-]")
_MARKS = re.compile(r"([\\`*_\[\]|~])")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_LINE_STARTS = re.compile(r"^(\d*)([#+=>.)-])")  # what makes a list, a heading or a quotation there
_MENTION = re.compile(r"@(?=\w)")

Address = Callable[[Sequence[str]], str]
"""How accounts are addressed so that they are notified: `("ada",)` → `ada: `."""


def clean(text: str) -> str:
    """One line of readable text: line breaks and tabs become spaces, control characters go."""
    return _SPACES.sub(" ", _INVISIBLE.sub("", _SPACES.sub(" ", _LINE_BREAKS.sub(" ", text[:_LONGEST_PART])))).strip()


def by_name(accounts: Sequence[str]) -> str:
    """`ada, bob: `, as people on IRC address each other."""
    names = ", ".join(filter(None, map(clean, accounts)))
    return f"{names}: " if names else ""


def by_at(accounts: Sequence[str]) -> str:
    """`@ada @bob `, as most services with Markdown want it."""
    return "".join(f"@{name} " for name in map(clean, accounts) if re.fullmatch(r"[\w.@:+-]+", name))


# --- a few short lines


def lines(
    reply: Reply, *, limit: int = MAX_LINES, width: int = LINE_BYTES, address: Address = by_name, sign: bool = True
) -> list[str]:
    """The reply as at most `limit` lines of at most `width` bytes of UTF-8 (not under 3 lines and 40 bytes).

    None is empty, none holds a control character. The title comes first, always; what does not fit is counted.
    """
    limit, width = max(3, limit), max(40, width)
    title = _cut(_short(address(reply.mention), width // 2) + title_of(reply, sign), width) or "-"
    choices = [*_options(reply.options), *_joined(_how_to(reply.buttons), " | ", width)]
    choices = _fit([_cut(line, width) for line in choices], max(1, (limit - 1) // 2))
    body = [wrapped for line in _body(reply, width) for wrapped in _wrap(line, width)]
    return [title, *_fit(body, limit - 1 - len(choices)), *choices]


def text(reply: Reply, *, address: Address = by_name) -> str:
    """The same in one text."""
    return "\n".join(lines(reply, address=address))


def _short(names: str, longest: int) -> str:
    """The names, unless they would leave no room for the title."""
    return names if len(names) <= longest else ""


def title_of(reply: Reply, sign: bool = True) -> str:
    """The title as one line, after the sign of its tone."""
    return clean(f"{SIGNS[reply.tone]} {clean(reply.title)}" if sign else reply.title)


def step_text(step: Step) -> str:
    """Where a server is: `cart-test-web-1 configuring build 3/8`."""
    count = f"{step.n}/{step.of}" if step.n is not None and step.of is not None else ""
    return clean(" ".join([step.server, step.phase, step.state, count]))


def time_text(progress: Progress) -> str:
    """How long it has taken and may still take: `12s, about 40s to go`."""
    spent = _duration(progress.elapsed_s)
    return spent if progress.rest_s is None else f"{spent}, about {_duration(progress.rest_s)} to go"


def _body(reply: Reply, width: int) -> list[str]:
    facts = [f"{clean(fact.label)}: {clean(fact.value)}" for fact in reply.facts]
    found = [clean(sentence) for line in reply.lines for sentence in _LINE_BREAKS.split(line)]
    found += _joined(facts, ", ", width)
    found += [row for table in reply.tables for row in _rows(table)]
    if reply.progress:
        found.append(_progress_line(reply.progress, width))
    # The end of an output is where it says what went wrong. Never at the start of a line: another bot may listen there.
    found += _last([f"| {code_line(line)}" for line in _code_lines(reply.code)], 8)
    return [line for line in found if line]


def _rows(table: Table) -> list[str]:
    """Each row as `cart-test: status ready, owner ada`; cells that say nothing are left out."""
    found = []
    for row in table.rows:
        cells = [clean(cell) for cell in row]
        labels = [clean(column) for column in table.columns[1:]] + [""] * len(cells)
        rest = [
            f"{label} {cell}".strip() for label, cell in zip(labels, cells[1:], strict=False) if cell not in ("", "-")
        ]
        found.append(": ".join(filter(None, [cells[0] if cells else "", ", ".join(rest)])))
    return found


def _progress_line(progress: Progress, width: int) -> str:
    """All servers in one line, as many as fit; the time comes first, so that it is never cut off."""
    steps = [step_text(step) for step in progress.steps]
    for shown in range(len(steps), 0, -1):
        more = f", ... {len(steps) - shown} more" if shown < len(steps) else ""
        line = f"{time_text(progress)}: {', '.join(steps[:shown])}{more}"
        if _size(line) <= width:
            return line
    return f"{time_text(progress)}: {len(steps)} servers" if steps else time_text(progress)


def _options(options: Sequence[Button]) -> list[str]:
    return [f"{number}) {clean(option.label)}" for number, option in enumerate(options, 1)]


def _how_to(buttons: Sequence[Button]) -> list[str]:
    """What to type instead of clicking: `Extend by 1d (type: extend cart-test by 1d)`."""
    return [f"{clean(button.label)} (type: {clean(button.command)})" for button in buttons]


def _code_lines(code: str) -> list[str]:
    return [line for line in _LINE_BREAKS.split(code.rstrip()) if line.strip()]


def code_line(line: str) -> str:
    """A line of output: as it is, with its indentation, without control characters."""
    return _INVISIBLE.sub("", line[:_LONGEST_PART].expandtabs(4)).rstrip()


def _last(found: list[str], count: int) -> list[str]:
    left_out = len(found) - count
    return [f"| ... {left_out} lines before", *found[-count:]] if left_out > 0 else found


def _fit(found: list[str], limit: int) -> list[str]:
    """At most `limit` lines; the last one counts those that are not there."""
    if len(found) <= limit:
        return found
    return [*found[: limit - 1], f"... {len(found) - limit + 1} more"] if limit > 0 else []


def _joined(parts: Iterable[str], between: str, width: int) -> list[str]:
    """As many parts in a line as fit."""
    found: list[str] = []
    for part in parts:
        if found and _size(found[-1] + between + part) <= width:
            found[-1] += between + part
        else:
            found.append(part)
    return found


def _wrap(line: str, width: int) -> list[str]:
    """A long line as several, broken between words where there are any."""
    found = []
    while _size(line) > width:
        head = _first_bytes(line, width)
        at = head.rfind(" ")
        head = head[:at] if at > len(head) // 2 else head
        found.append(head.rstrip())
        line = line[len(head) :].lstrip()
    return [part for part in [*found, line] if part]


def _cut(line: str, width: int) -> str:
    return line if _size(line) <= width else _first_bytes(line, width - 3).rstrip() + "..."


def _first_bytes(line: str, width: int) -> str:
    return line.encode()[:width].decode(errors="ignore")


def _size(line: str) -> int:
    return len(line.encode())


def _duration(seconds: float) -> str:
    """Never raises, whatever a clock has told."""
    whole = int(seconds) if 0 <= seconds < 1e9 else 0
    return format_duration(timedelta(seconds=whole))


# --- Markdown


def markdown(reply: Reply, *, limit: int = MAX_MARKDOWN, address: Address = by_at, choices: bool = True) -> str:
    """The reply as Markdown (CommonMark with tables) of at most `limit` characters (not under 200).

    `choices`: with what to pick and to do; without for services that show these as buttons.
    """
    limit = max(200, limit)
    title = f"{_short(address(reply.mention), limit // 2)}**{escape(title_of(reply)[: limit // 10]) or '-'}**"
    picks = [*_numbered(reply.options), *_clicks(reply.buttons)] if choices else []
    for most in (50, 20, 8, 3):
        found = "\n\n".join([title, *_blocks(reply, most), *filter(None, ["\n".join(_fit(picks, most))])])
        if len(found) <= limit:
            return found
    return title


def escape(text: str) -> str:
    """Text as Markdown that shows just this text, on one line. Addresses of pages stay links; nobody is notified."""
    text = clean(text)
    found, at = [], 0
    for url in _URL.finditer(text):
        found += [_escape(text[at : url.start()]), f"<{url[0]}>"]
        at = url.end()
    return _LINE_STARTS.sub(r"\1\\\2", "".join([*found, _escape(text[at:])]))


def inline_code(text: str) -> str:
    """Text as inline code, with as many backticks around it as it takes."""
    text = clean(text)
    fence = "`" * (_longest_run(text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return f"{fence}{space}{text}{space}{fence}"


def _escape(text: str) -> str:
    without_html = _ENTITY.sub("&amp;", text).replace("<", "&lt;")
    return _MENTION.sub("@\u200b", _MARKS.sub(r"\\\1", without_html))


def _blocks(reply: Reply, most: int) -> list[str]:
    """The parts between the title and the choices, each cut to so many lines."""
    sentences = [escape(sentence) for line in reply.lines for sentence in _LINE_BREAKS.split(line)]
    blocks = ["\n\n".join(_fit(list(filter(None, sentences)), most))]
    blocks.append("\n".join(_fit([f"* {escape(fact.label)}: {escape(fact.value)}" for fact in reply.facts], most)))
    blocks += [_table(table, most) for table in reply.tables[:most]]
    if reply.progress:
        steps = [f"* {escape(step_text(step))}" for step in reply.progress.steps]
        blocks.append("\n".join([*_fit(steps, most), "", time_text(reply.progress)]))
    blocks.append(_fenced(reply.code, most))
    return [block for block in blocks if block]


def _table(table: Table, most: int) -> str:
    if not table.columns:
        return ""
    rows = [_cells((*row, *[""] * len(table.columns))[: len(table.columns)]) for row in table.rows[:most]]
    more = len(table.rows) - len(rows)
    head = [_cells(table.columns), _cells(["---"] * len(table.columns), escape=str)]
    return "\n".join([*head, *rows, *([f"\n... {more} more"] if more else [])])


def _cells(cells: Sequence[str], escape: Callable[[str], str] = escape) -> str:
    return f"| {' | '.join(map(escape, cells))} |"


def _fenced(code: str, most: int) -> str:
    found = [code_line(line) for line in _code_lines(code)]
    if not found:
        return ""
    fence = "`" * max(3, _longest_run("\n".join(found)) + 1)
    before = [f"... {len(found) - most} lines before"] if len(found) > most else []
    return "\n".join([fence, *before, *found[-most:], fence])


def _numbered(options: Sequence[Button]) -> list[str]:
    return [f"{number}. {escape(option.label) or '-'}" for number, option in enumerate(options, 1)]


def _clicks(buttons: Sequence[Button]) -> list[str]:
    return [f"* {escape(button.label)}: {inline_code(button.command)}" for button in buttons]


def _longest_run(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)
