"""Replies as plain data: what is said, not how it looks. Every adapter renders the same data in its own idiom.

All text is plain: no markup, already masked, and possibly from outside (branch names, log lines); control characters
are dropped here. An adapter escapes it for its service, cuts what does not fit, and leaves out what its service cannot
show, never the title.
"""

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def _one_line(text: str) -> str:
    return _CONTROL.sub("", text.replace("\n", " ").replace("\t", " "))


def _lines(text: str) -> str:
    return _CONTROL.sub("", text)


Line = Annotated[str, AfterValidator(_one_line)]
Text = Annotated[str, AfterValidator(_lines)]


class Tone(StrEnum):
    """How a reply is meant; services show it as a colour or a sign."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    WORKING = "working"
    QUESTION = "question"


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fact(_Plain):
    """One thing about something, such as `expires in` `1d`."""

    label: Line
    value: Line


class Table(_Plain):
    """Rows under columns. Narrow services show a row as one line. The first column names the thing."""

    columns: tuple[Line, ...]
    rows: tuple[tuple[Line, ...], ...]


class Step(_Plain):
    """Where one server is: its phase, the Salt state that ended last (the `n`th of `of`), seconds since the request."""

    server: Line
    phase: Line
    state: Line = ""
    n: int | None = None
    of: int | None = None


class Progress(_Plain):
    """How far an operation is. `elapsed_s`, `rest_s`: seconds so far, and still to go as far as history tells."""

    steps: tuple[Step, ...]
    elapsed_s: float
    rest_s: float | None = None


class Button(_Plain):
    """Something to do with one click: the same as typing `command`. Services without buttons show the command.

    An option of a question has a `value` as well (`<question>/<number>`): it is sent back instead of the command, so
    that only whoever was asked can answer, and only once.
    """

    label: Line
    command: Line
    value: Line = ""
    style: Literal["", "primary", "danger"] = ""


class Reply(_Plain):
    """One message.

    `title`: the one line that says it all. `lines`: sentences below it. `code`: output to be shown as it is. `buttons`:
    things to do. `options`: answers to pick from; where nothing can be clicked they are numbered from 1, and the number
    is an answer. `details`: goes into a thread below the message, or is left out. `mention`: accounts of the service
    that are to be notified. `private`: for the one who asked only, also in a room.
    """

    title: Line
    tone: Tone = Tone.PLAIN
    lines: tuple[Line, ...] = ()
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()
    progress: Progress | None = None
    code: Text = ""
    buttons: tuple[Button, ...] = ()
    options: tuple[Button, ...] = ()
    details: "Reply | None" = None
    mention: tuple[str, ...] = ()
    private: bool = False


SIGNS = {
    Tone.PLAIN: "",
    Tone.GOOD: "✔",
    Tone.BAD: "✘",
    Tone.WARNING: "⚠",
    Tone.WORKING: "…",
    Tone.QUESTION: "?",
}
