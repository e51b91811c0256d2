"""A Reply as Slack shows it: Block Kit, cut so that Slack never refuses it. Pure.

What comes from outside is shown as it is. Where it could be read as formatting it goes into plain text, which Slack
does not format; everywhere else `&`, `<` and `>` are escaped, so that nothing links, and nobody is notified, but what
this file means to.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.chat.plain import clean, code_line, time_text
from orchestrator.chat.replies import Button, Fact, Progress, Reply, Step, Table, Tone

Block = dict[str, Any]

# Slack's limits. The last two are not in its reference; github.com/slackapi/bolt-js/issues/2509 and 2867 have what
# people measured: a message is refused when its blocks have about 13,200 characters as JSON.
MAX_BLOCKS = 50
MAX_SECTION = 3000
MAX_FIELDS = 10
MAX_FIELD = 2000
MAX_ELEMENTS = 25
MAX_LABEL = 75
MAX_VALUE = 2000
MAX_TEXT = 4000
MAX_JSON = 13_200

_FULL = MAX_JSON - 1200  # so much of it we use
_CHUNK = 2000  # of rows or lines in one section, so that what is left out is little
_CHOICES = MAX_JSON // 3  # of it may be buttons
_NOTE = 150  # what a sentence about what was left out takes
_ROW = 90  # the widest table that is shown as one, in characters; phones break longer lines
_CELL = 300
_BAR = 8
_MENTIONS = 20

ANSWER, COMMAND = "answer:", "command:"  # how the ids of our buttons begin: what their value is
EMOJI = {
    Tone.PLAIN: "",
    Tone.GOOD: "✅",
    Tone.BAD: "❌",
    Tone.WARNING: "⚠️",
    Tone.WORKING: "⏳",
    Tone.QUESTION: "❓",
}

_FORMATTING = re.compile(
    r"(?<![A-Za-z0-9])[*_~`]|[*_~`](?![A-Za-z0-9])"  # what could begin or end *bold* text; not feature/my_branch
    r"|^\s*>"  # a quotation
    r"|:[\w+'-]*[A-Za-z][\w+'-]*:",  # an emoji
)
_URL = re.compile(r"https?://[A-Za-z0-9\-._~:/?#@!$&'()*+,;=%\[\]]*[A-Za-z0-9/=_~-]")
# Escaped, these notify nobody; a space of no width keeps them from it also where Slack should look for them itself.
_CALLS = re.compile(r"<(?=[!@#])|@(?=(?:channel|here|everyone|group)\b)", re.IGNORECASE)
_ACCOUNT = re.compile(r"[UW][A-Z0-9]{1,30}")


@dataclass(frozen=True)
class Message:
    """What chat.postMessage and chat.update take. `text` is for notifications and screen readers."""

    text: str
    blocks: list[Block]


@dataclass(frozen=True)
class _Part:
    """A block, and how many things (rows, lines) are in it."""

    block: Block
    things: int = 1


def render(reply: Reply) -> Message:
    """The reply without its details. The title is always there; of the rest as much as Slack takes."""
    head, tail = [_title(reply)], [*_choices([*reply.options, *reply.buttons]), *_mention(reply.mention)]
    space = _Space([*head, *tail])
    for parts, what in (
        (_lines(reply.lines), "lines"),
        (_facts(reply.facts), "facts"),
        (_progress(reply.progress) if reply.progress else [], "servers"),
        *((_table(table), "rows") for table in reply.tables),
    ):
        head += space.take(parts, what)
    head += space.take_last(_code(reply.code))
    return Message(_fallback(reply), [*head, *tail])


class _Space:
    """What is left of a message."""

    def __init__(self, taken: Sequence[Block]) -> None:
        self._blocks = MAX_BLOCKS - len(taken)
        self._bytes = _FULL - sum(map(_bytes, taken))

    def take(self, parts: Sequence[_Part], what: str) -> list[Block]:
        """The first of these that fit, and a sentence about how many did not; nothing when not even that fits."""
        kept: list[Block] = []
        left = sum(part.things for part in parts)
        for part in parts:
            if not self._fits(part.block):
                break
            kept.append(self._taken(part.block))
            left -= part.things
        return [*kept, *self._more(f"… {left} more {what}")] if left else kept

    def take_last(self, parts: Sequence[_Part]) -> list[Block]:
        """The last lines that fit: the end of an output is where it says what went wrong."""
        kept: list[Block] = []
        left = sum(part.things for part in parts)
        for part in reversed(parts):
            if not self._fits(part.block):
                break
            kept.insert(0, self._taken(part.block))
            left -= part.things
        return [*self._more(f"… {left} lines before"), *kept] if left else kept

    def _fits(self, block: Block) -> bool:
        return self._blocks > 1 and _bytes(block) <= self._bytes - _NOTE

    def _more(self, sentence: str) -> list[Block]:
        note = _context(sentence)
        return [self._taken(note)] if self._blocks > 0 and _bytes(note) <= self._bytes else []

    def _taken(self, block: Block) -> Block:
        self._blocks -= 1
        self._bytes -= _bytes(block)
        return block


def _bytes(block: Block) -> int:
    """What a block counts. Slack counts characters; bytes are never fewer."""
    return len(json.dumps(block, ensure_ascii=False, separators=(",", ":")).encode())


# --- the parts


def _title(reply: Reply) -> Block:
    title = clean(f"{EMOJI[reply.tone]} {clean(reply.title)}") or "-"
    if _FORMATTING.search(title):
        return _section(_plain(title, MAX_SECTION))
    return _section(_mrkdwn(f"*{_cut(_pieces(title), MAX_SECTION - 2)}*"))


def _lines(lines: Sequence[str]) -> list[_Part]:
    """Sentences, as many in a section as may be; those that would be formatted in sections of their own."""
    sentences = list(filter(None, (clean(sentence) for line in lines for sentence in line.splitlines())))
    parts = []
    for formatted, group in _runs(sentences):
        escaped = [_calm(one) if formatted else _cut(_pieces(one), MAX_SECTION) for one in group]
        for chunk in _chunks(escaped, _CHUNK):
            text = "\n".join(chunk)
            parts.append(_Part(_section(_plain(text, MAX_SECTION) if formatted else _mrkdwn(text)), len(chunk)))
    return parts


def _runs(sentences: Sequence[str]) -> Iterator[tuple[bool, list[str]]]:
    """Sentences beside each other that are to be shown in the same way: whether Slack would format them."""
    group: list[str] = []
    before = False
    for sentence in sentences:
        formatted = bool(_FORMATTING.search(sentence))
        if group and formatted != before:
            yield before, group
            group = []
        group.append(sentence)
        before = formatted
    if group:
        yield before, group


def _facts(facts: Sequence[Fact]) -> list[_Part]:
    fields = [_field(fact) for fact in facts]
    groups = [fields[at : at + MAX_FIELDS] for at in range(0, len(fields), MAX_FIELDS)]
    return [_Part({"type": "section", "fields": group}, len(group)) for group in groups]


def _field(fact: Fact) -> Block:
    label, value = clean(fact.label)[:100] or "-", clean(fact.value) or "-"
    if _FORMATTING.search(label) or _FORMATTING.search(value):
        return _plain(f"{label}: {value}", MAX_FIELD)
    label = _cut(_pieces(label), MAX_FIELD // 2)
    return _mrkdwn(f"*{label}*\n{_cut(_pieces(value), MAX_FIELD // 2 - 10)}")


def _progress(progress: Progress) -> list[_Part]:
    width = max((len(clean(step.server)) for step in progress.steps), default=0)
    rows = [_step(step, min(width, 60)) for step in progress.steps]
    return [_Part(_context(time_text(progress)), 0), *_preformatted(rows)]


def _step(step: Step, width: int) -> str:
    """`cart-web-1  configuring  ▰▰▰▱▱▱▱▱ 3/8 build`."""
    count = ""
    if step.n is not None and step.of:
        full = min(max(step.n * _BAR // step.of, 0), _BAR)
        count = f"{'▰' * full}{'▱' * (_BAR - full)} {step.n}/{step.of} "
    return f"{clean(step.server).ljust(width)}  {clean(step.phase)}  {count}{clean(step.state)}".rstrip()


def _table(table: Table) -> list[_Part]:
    """Narrow tables as columns below each other, wide ones with a line for each row."""
    rows = [[clean(cell) for cell in row] for row in table.rows]
    columns = [clean(column) for column in table.columns]
    grid = [columns, *(_padded(row, columns) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    if columns and sum(widths) + 2 * len(widths) <= _ROW:
        head, *below = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in grid]
        return _preformatted(below, head)
    return _lines([_row(columns, row) for row in rows])


def _padded(row: Sequence[str], columns: Sequence[str]) -> list[str]:
    return [*row, *[""] * len(columns)][: len(columns)]


def _row(columns: Sequence[str], row: Sequence[str]) -> str:
    """`cart-test: status ready, owner ada`."""
    labels = [*columns[1:], *[""] * len(row)]
    rest = [f"{label} {cell[:_CELL]}".strip() for label, cell in zip(labels, row[1:], strict=False) if cell]
    return ": ".join(filter(None, [row[0][:_CELL] if row else "", ", ".join(rest)]))


def _code(code: str) -> list[_Part]:
    return _preformatted([code_line(line) for line in code.rstrip().splitlines()])


def _preformatted(rows: Sequence[str], head: str = "") -> list[_Part]:
    """Rows in a typewriter's letters; `head` is repeated over each block."""
    above = [_literal(head)] if head else []
    room = MAX_SECTION - 10 - sum(map(_size, above))
    parts = []
    for chunk in _chunks([_literal(row) for row in rows], min(_CHUNK, room)):
        text = "\n".join([*above, *chunk])
        if text.strip():
            parts.append(_Part(_section(_mrkdwn(f"```\n{text}\n```")), len(chunk)))
    return parts


def _literal(row: str) -> str:
    """A row for between three backticks."""
    return _cut(map(_escape, _calm(row).replace("```", "``\u200b`")), _CHUNK // 2)


def _choices(buttons: Sequence[Button]) -> list[Block]:
    """Buttons; what they do is in their value. Those that do not fit are counted."""
    elements: list[Block] = []
    left = _CHOICES
    for element in map(_button, buttons, range(len(buttons))):
        fits = _bytes(element) <= left and 0 < len(element["value"]) <= MAX_VALUE
        if fits and len(elements) < 2 * MAX_ELEMENTS:
            elements.append(element)
            left -= _bytes(element)
    blocks: list[Block] = [
        {"type": "actions", "elements": elements[at : at + MAX_ELEMENTS]}
        for at in range(0, len(elements), MAX_ELEMENTS)
    ]
    more = len(buttons) - len(elements)
    return [*blocks, _context(f"… {more} more; type the command instead.")] if more else blocks


def _button(button: Button, number: int) -> Block:
    label = clean(button.label) or clean(button.command) or "-"
    element: Block = {
        "type": "button",
        "action_id": f"{ANSWER if button.value else COMMAND}{number}",
        "text": _plain(label, MAX_LABEL),
        "value": button.value or button.command,
    }
    return {**element, "style": button.style} if button.style else element


def _mention(accounts: Iterable[str]) -> list[Block]:
    text = _names(accounts)
    return [_section(_mrkdwn(text))] if text else []


def _names(accounts: Iterable[str]) -> str:
    """`<@U1> <@U2>`: what notifies these accounts."""
    return " ".join(f"<@{account}>" for account in list(accounts)[:_MENTIONS] if _ACCOUNT.fullmatch(account))


def _fallback(reply: Reply) -> str:
    text = "\n".join(filter(None, map(clean, [f"{EMOJI[reply.tone]} {reply.title}", *reply.lines]))) or "-"
    return " ".join(filter(None, [_cut(_pieces(text), MAX_TEXT // 4), _names(reply.mention)]))


# --- text objects


def _section(text: Block) -> Block:
    return {"type": "section", "text": text}


def _context(sentence: str) -> Block:
    return {"type": "context", "elements": [_plain(sentence, MAX_SECTION)]}


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": _cut(_calm(text), limit), "emoji": False}


def _mrkdwn(text: str) -> Block:
    """`verbatim`: Slack itself is to look for no links, channels or names in it."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _pieces(text: str) -> Iterator[str]:
    """Escaped text in pieces between which it may be cut: links, and characters."""
    text = _calm(text)
    at = 0
    for url in _URL.finditer(text):
        yield from map(_escape, text[at : url.start()])
        yield f"<{_escape(url[0])}>"
        at = url.end()
    yield from map(_escape, text[at:])


def _calm(text: str) -> str:
    return _CALLS.sub("\\g<0>\u200b", text)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(pieces: Iterable[str], limit: int) -> str:
    """As many pieces as fit, and … for the others."""
    kept: list[str] = []
    used = fitting = 0  # `fitting` pieces leave room for the …
    for piece in pieces:
        used += _size(piece)
        if used > limit:
            return "".join(kept[:fitting]) + "…"
        kept.append(piece)
        fitting = len(kept) if used < limit else fitting
    return "".join(kept)


def _size(text: str) -> int:
    """Slack's web server may count halves of characters beyond the first 65,536, so that they count twice."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _chunks(rows: Iterable[str], limit: int) -> Iterator[list[str]]:
    """Rows in groups that have at most `limit` characters, or one row."""
    group: list[str] = []
    used = 0
    for row in rows:
        size = _size(row) + 1
        if group and used + size > limit:
            yield group
            group, used = [], 0
        group.append(row)
        used += size
    if group:
        yield group
