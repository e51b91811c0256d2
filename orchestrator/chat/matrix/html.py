"""Replies as Matrix events: HTML, a plain text for clients without it, mentions, and what each reaction stands for.

Pure. Everything that comes from outside is escaped, and what does not fit into an event is counted, not sent.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from itertools import chain
from typing import Any
from urllib.parse import quote

from orchestrator.chat.plain import clean, code_line, step_text, time_text, title_of
from orchestrator.chat.replies import Button, Progress, Reply, Step, Table

MAX_CONTENT = 50_000  # bytes; an event may have 65,536, with the relations and what the server adds to it
BUTTONS = "org.brinepool.buttons"  # the part of our events that says what a reaction means
NUMBERS = ("1️⃣", "2️⃣", "3️⃣", "4️⃣", "5️⃣", "6️⃣", "7️⃣", "8️⃣", "9️⃣", "🔟")
LETTERS = tuple(chr(ord("🇦") + place) for place in range(10))
MAX_REACTIONS = 10  # each is an event of its own, and counts when the server limits how much we say

_SIZES = ((1000, 2000), (200, 500), (50, 200), (12, 100), (3, 60))  # parts of a kind, characters of each: what to try
_CODE_LINES = 4  # so many times more lines of output than other parts
_MAX_MENTIONS = 20
_LONGEST_COMMAND = 1000
_USER = re.compile(r"@[\x21-\x39\x3b-\x7e]+:[A-Za-z0-9.:\[\]-]+")
_VARIATION = "\ufe0f"  # says “as a picture”; some clients leave it out

Content = dict[str, Any]
Names = Callable[[str], str]
Parts = tuple[str, str]  # the same as HTML and as plain text


def message(reply: Reply, name_of: Names = str) -> Content:
    """The content of an `m.room.message` that shows the reply (without its details).

    `name_of`: how an account is called; those in `reply.mention` are notified.
    """
    for size in _SIZES:
        content = _content(reply, name_of, *size)
        if _fits(content):
            break
    return content


def edit(content: Content, event: str) -> Content:
    """The content of an event that replaces the message `event` by `content`."""
    first_line = content["body"].partition("\n")[0][:500]
    return {
        "msgtype": content["msgtype"],
        # For clients that know no edits. One line: the content would not fit in twice.
        "body": f"* {first_line}",
        "m.mentions": content["m.mentions"],
        "m.new_content": content,
        "m.relates_to": {"rel_type": "m.replace", "event_id": event},
    }


def in_thread(content: Content, root: str) -> Content:
    """The same below the message `root`, which is not in a thread itself."""
    shown_as_reply = {"is_falling_back": True, "m.in_reply_to": {"event_id": root}}
    return content | {"m.relates_to": {"rel_type": "m.thread", "event_id": root, **shown_as_reply}}


def keys(reply: Reply) -> list[str]:
    """The reactions to offer below a reply, in order."""
    return [key for key, _ in _choices(reply)]


def pressed(event: Mapping[str, Any], key: str) -> Button | None:
    """What a reaction with `key` to our event means, as the event reads now; None when nothing (any more)."""
    content = _newest(event)
    offered = content.get(BUTTONS) if isinstance(content, dict) else None
    found = offered.get(_bare(key)) if isinstance(offered, dict) else None
    if not isinstance(found, dict):
        return None
    return Button(label="", command=str(found.get("command", "")), value=str(found.get("value", "")))


def _newest(event: Mapping[str, Any]) -> Any:
    """The content of the event after its last edit, which the server sends along."""
    found: Any = event
    for step in ("unsigned", "m.relations", "m.replace", "content", "m.new_content"):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, dict) else event.get("content")


def _bare(key: str) -> str:
    return key.replace(_VARIATION, "")


def _choices(reply: Reply) -> list[tuple[str, Button]]:
    """Options have numbers, as in services where they are typed; buttons have letters."""
    options = list(zip(NUMBERS, reply.options, strict=False))
    return [*options, *zip(LETTERS, reply.buttons, strict=False)][:MAX_REACTIONS]


def _content(reply: Reply, name_of: Names, most: int, width: int) -> Content:
    mentioned = [user for user in dict.fromkeys(reply.mention) if _USER.fullmatch(user)][:_MAX_MENTIONS]
    parts = [_title(reply, mentioned, name_of, width), *_body(reply, most, width)]
    return {
        # A notice notifies nobody, whomever it mentions; and other bots know by it not to answer.
        "msgtype": "m.text" if mentioned else "m.notice",
        "body": "\n".join(text for _, text in parts),
        "format": "org.matrix.custom.html",
        "formatted_body": "".join(html for html, _ in parts),
        # Without it, servers look for names in the text.
        "m.mentions": {"user_ids": mentioned} if mentioned else {},
        BUTTONS: {_bare(key): _meaning(one) for key, one in _choices(reply) if len(one.command) <= _LONGEST_COMMAND},
    }


def _meaning(button: Button) -> Content:
    return {"command": clean(button.command), "value": clean(button.value)}


def _fits(content: Content) -> bool:
    return len(json.dumps(content, ensure_ascii=False).encode()) <= MAX_CONTENT


def _title(reply: Reply, mentioned: Sequence[str], name_of: Names, width: int) -> Parts:
    names = [(user, _short(name_of(user), 100) or user) for user in mentioned]
    links = "".join(
        f'<a href="https://matrix.to/#/{quote(user, safe="@:")}">{escape(name)}</a>: ' for user, name in names
    )
    title = _short(title_of(reply), width) or "-"
    return f"<p>{links}<strong>{escape(title)}</strong></p>", "".join(f"{name}: " for _, name in names) + title


def _body(reply: Reply, most: int, width: int) -> list[Parts]:
    """The parts below the title that there are."""
    sentences = [_short(line, width) for text in reply.lines for line in text.splitlines()]
    facts = [(_short(fact.label, width), _short(fact.value, width)) for fact in reply.facts]
    parts = [
        _paragraph([(escape(line), line) for line in sentences if line], most),
        _paragraph(
            [(f"{escape(label)}: <strong>{escape(value)}</strong>", f"{label}: {value}") for label, value in facts],
            most,
        ),
        *(_table(table, most, width) for table in reply.tables[:most]),
        *([_progress(reply.progress, most, width)] if reply.progress else []),
        _code(reply.code, most * _CODE_LINES, width),
        _paragraph(_offers(reply, width), max(most, MAX_REACTIONS)),
    ]
    return [(html, text) for html, text in parts if text]


def _paragraph(lines: Sequence[Parts], most: int) -> Parts:
    shown = [*lines[:most], *_more(len(lines) - most)]
    if not shown:
        return "", ""
    return f"<p>{'<br>'.join(html for html, _ in shown)}</p>", "\n".join(text for _, text in shown)


def _more(count: int) -> list[Parts]:
    return [(f"… {count} more", f"… {count} more")] if count > 0 else []


def _table(table: Table, most: int, width: int) -> Parts:
    head = [_short(cell, width) for cell in table.columns]
    rows = [[_short(cell, width) for cell in row] for row in table.rows[:most]]
    [*more] = _more(len(table.rows) - most)
    html = f"<table><thead>{_row(head, 'th')}</thead><tbody>{''.join(_row(row, 'td') for row in rows)}</tbody></table>"
    lines = [" · ".join(cells) for cells in (head, *rows)]
    return html + "".join(f"<p>{one}</p>" for one, _ in more), "\n".join([*lines, *(text for _, text in more)])


def _row(cells: Iterable[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _progress(progress: Progress, most: int, width: int) -> Parts:
    lines = [_short(f"{_bar(step)} {step_text(step)}", width) for step in progress.steps]
    time = time_text(progress)
    return _paragraph(
        [*((escape(line), line) for line in lines[:most]), *_more(len(lines) - most), (time, time)], most + 2
    )


def _bar(step: Step, cells: int = 8) -> str:
    """`▰▰▰▱▱▱▱▱`: how many of the server's states have ended; nothing when that is not known."""
    if not step.of or step.n is None:
        return ""
    full = min(cells, max(0, cells * step.n // step.of))
    return "▰" * full + "▱" * (cells - full)


def _code(code: str, most: int, width: int) -> Parts:
    """The end of an output, as it is: there it says what went wrong."""
    lines = [code_line(line)[:width] for line in code.rstrip().splitlines()]
    left_out = len(lines) - most
    shown = "\n".join([f"… {left_out} more before", *lines[-most:]] if left_out > 0 else lines)
    return (f"<pre><code>{escape(shown)}</code></pre>", shown) if shown else ("", "")


def _offers(reply: Reply, width: int) -> list[Parts]:
    """A line for each option and each button, with the reaction that stands for it or what to type instead."""
    signs = keys(reply)
    numbers = [
        *signs[: len(reply.options)],
        *(f"{place}." for place in range(len(NUMBERS) + 1, len(reply.options) + 1)),
    ]
    letters = [*signs[len(reply.options) :], *("•" for _ in reply.buttons)]
    options = zip(numbers, reply.options, strict=True)
    return [_offer(sign, one, width) for sign, one in chain(options, zip(letters, reply.buttons, strict=False))]


def _offer(sign: str, button: Button, width: int) -> Parts:
    label, command = _short(button.label, width), _short(button.command, width)
    typed = "" if button.value or not command else f" ({command})"
    html = f" (<code>{escape(command)}</code>)" if typed else ""
    return f"{sign} {escape(label)}{html}", f"{sign} {label}{typed}"


def _short(text: str, width: int) -> str:
    text = clean(text)
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
