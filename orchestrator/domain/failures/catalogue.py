"""The catalogue: how a cause is recognised and what is said about it. Curated by ops, in YAML; see docs/failures.md."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from string import Formatter
from typing import Annotated, Any, Literal

from jsonpath_ng.ext import parse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from .causes import Cause
from .text import clean, one_line, telling_line, without_tags

# What a text may name beside the captures of its own patterns.
KNOWN = frozenset(
    {
        "server", "role", "branch", "repository", "id", "sls", "name", "function", "file", "line", "comment", "telling",
        "said", "status", "retcode", "where", "on",
    }
)  # fmt: skip
_NOTHING = dict.fromkeys(KNOWN, "")
_CODE = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
Code = Annotated[str, Field(pattern=_CODE, max_length=60)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Entry(BaseModel):
    """One kind of failure.

    `select`: a JSONPath into the cause (`$.cause.text` and so on) that gives the texts to match; `match`: regular
    expressions (Python's, `(?m)` as default) of which one must be found; their named groups may be named in the texts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    priority: Annotated[int, Field(ge=0, le=100)] = 50
    select: str = "$.cause.text"
    match: Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1, max_length=30)]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    explanation: Annotated[str, Field(max_length=500)] = ""
    action: Annotated[str, Field(min_length=1, max_length=300)]
    audience: Literal["developer", "ops"]
    link: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""

    @model_validator(mode="after")
    def _is_usable(self) -> "Entry":
        _selector(self.select)
        captures = [_captures(pattern) for pattern in self.match]
        for field in ("title", "explanation", "action"):
            for name in _names(getattr(self, field)):
                if name not in KNOWN and not all(name in each for each in captures):
                    missing = "no pattern" if not any(name in each for each in captures) else "not every pattern"
                    raise ValueError(f"{field} names {{{name}}}, which {missing} of `match` captures")
        return self


@dataclass(frozen=True)
class Recognised:
    """An entry that fits a cause. `words`: what its texts may name; `at`: the text in which it was recognised."""

    code: str
    entry: Entry
    words: Mapping[str, str]
    at: str

    def say(self, text: str) -> str:
        """A text of the entry with its names filled in."""
        return text.format_map(self.words)


class Catalogue:
    """Entries by code. The first that fits is taken, by priority (the highest first) and then in their order."""

    def __init__(self, entries: Mapping[str, Entry] | None = None) -> None:
        self.entries = dict(entries or {})
        self._ordered = sorted(self.entries.items(), key=lambda item: -item[1].priority)

    def recognise(self, cause: Cause, words: Mapping[str, str]) -> Recognised | None:
        """The entry that fits, with what its texts may name: its captures, `words` and what the cause itself tells."""
        document, selected = cause.document(), {}
        for code, entry in self._ordered:
            if entry.select not in selected:
                selected[entry.select] = list(_texts(entry.select, document))
            for pattern in entry.match:
                for text in selected[entry.select]:
                    found = _compiled(pattern).search(text)
                    if found:
                        said = {key: one_line(clean(value or "")) for key, value in found.groupdict().items()}
                        whole = found[0].strip().split("\n")[0]
                        return Recognised(code, entry, {**_NOTHING, **_own_words(cause), **words, **said}, whole)
        return None


def _own_words(cause: Cause) -> dict[str, str]:
    own = (str(cause.data.get(part, "")) for part in ("log", "body", "output"))
    said = next((line for text in own if (line := telling_line(without_tags(text), strictly=True))), "")
    where = f"{cause.file}, line {cause.line}" if cause.file and cause.line else cause.file
    return {
        "id": one_line(cause.id),
        "sls": one_line(cause.sls),
        "name": one_line(cause.name),
        "function": cause.function,
        "file": cause.file,
        "line": cause.line,
        "where": where or cause.sls or "the state tree",
        "comment": one_line(cause.comment.split("\n")[0]),
        "telling": telling_line(cause.text),
        "said": said,
        "status": str(cause.data.get("status", "")),
        "retcode": "" if cause.retcode is None else str(cause.retcode),
    }


def _texts(select: str, document: Mapping[str, Any]) -> Iterable[str]:
    """What the path selects; nothing when it cannot be followed, such as a comparison of a number with text."""
    try:
        values = [found.value for found in _selector(select).find(document)]
    except Exception:  # noqa: BLE001  (people curate paths, data have any form: neither may hide the cause)
        return
    for value in values:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            yield str(value)


@cache
def _selector(path: str) -> Any:
    """Raises ValueError for what is no JSONPath."""
    try:
        return parse(path)
    except Exception as error:  # the parser has several, of which some are plain Exception
        raise ValueError(f"select is no JSONPath: {error}") from error


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"match is no regular expression: {error} in {pattern}") from error


def _captures(pattern: str) -> set[str]:
    return set(_compiled(pattern).groupindex)


def _names(text: str) -> list[str]:
    """The names in braces. Raises ValueError for anything but plain names."""
    try:
        fields = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise ValueError(f"braces must be in pairs, and doubled where they are meant as such: {error}") from error
    for name, spec, conversion in fields:
        if not name.isidentifier() or spec or conversion:
            raise ValueError(f"only plain names may be in braces, not {{{name}}}")
    return [name for name, _, _ in fields]
