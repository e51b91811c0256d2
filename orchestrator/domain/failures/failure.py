"""What people are told of a failure, and how the same one on several servers becomes one."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

MOST_OTHERS = 10  # causes beside the first that are named
LISTED = 6  # servers that are named one by one
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b")  # each server has its own, the cause is the same


@dataclass(frozen=True)
class Failure:
    """One cause, told once: what is wrong (`title`), why or where (`explanation`), what to do next (`action`).

    `audience` is who can do it: developer | ops. `evidence` is the telling part of what Salt said, masked. `link`:
    where more is written about it, or "".
    """

    code: str
    title: str
    explanation: str = ""
    action: str = ""
    audience: str = "developer"
    servers: tuple[str, ...] = ()
    evidence: str = ""
    link: str = ""

    @property
    def lines(self) -> list[str]:
        """What a person reads: what is wrong, why or where, what to do."""
        return [line for line in (self.title, self.explanation, self.action) if line]

    def to_data(self) -> dict[str, Any]:
        """Plain data for a database row or a JSON answer."""
        return {
            "code": self.code,
            "title": self.title,
            "explanation": self.explanation,
            "action": self.action,
            "audience": self.audience,
            "servers": list(self.servers),
            "evidence": self.evidence,
            "link": self.link,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Failure":
        """The reverse of `to_data`."""
        return cls(**{**data, "servers": tuple(data.get("servers", ()))})


@dataclass(frozen=True)
class Subject:
    """Whose outcome it is: the server and what was being put on it; "" where that is not known."""

    server: str = ""
    role: str = ""
    branch: str = ""
    repository: str = ""
    branches: Sequence[str] = field(default_factory=tuple)


def group(failures: Iterable[Failure], of: int = 0) -> list[Failure]:
    """The same cause on several servers, told once. `of`: how many servers there are; when all have it, it says so."""
    grouped: dict[tuple[str, str, str], list[Failure]] = {}
    for failure in failures:
        key = (failure.code, _generic(failure, failure.title), _generic(failure, failure.explanation))
        grouped.setdefault(key, []).append(failure)
    return [_merged(same, of) for same in grouped.values()]


def leading(failures: Sequence[Failure]) -> Failure:
    """The first of several causes on one server; what else went wrong there is said in its evidence."""
    first, *others = group(failures)
    if not others:
        return first
    count = f"{len(others)} other cause{'s' if len(others) > 1 else ''}"
    also = "\n".join(f"Also: {' '.join(each.lines[:2])}" for each in others[:MOST_OTHERS])
    explanation = f"{first.explanation} There {'are' if len(others) > 1 else 'is'} {count} beside it.".strip()
    return replace(first, explanation=explanation, evidence=f"{first.evidence}\n{also}".strip())


def _merged(same: Sequence[Failure], of: int) -> Failure:
    first = same[0]
    servers = tuple(sorted({server for failure in same for server in failure.servers}))
    if len(same) == 1 or len(servers) <= 1:
        return first
    title = _named(first, first.title).replace("{server}", _everyone(servers, of))
    return replace(first, servers=servers, title=title)


def _everyone(servers: Sequence[str], of: int) -> str:
    if 2 < of == len(servers):
        return f"all {of:,} servers"
    some = servers if len(servers) <= LISTED else [*servers[: LISTED - 1], f"{len(servers) - LISTED + 1:,} others"]
    return listed(some)


def _generic(failure: Failure, text: str) -> str:
    return _ADDRESS.sub("{address}", _named(failure, text))


def _named(failure: Failure, text: str) -> str:
    """The text with a mark for the names of the servers."""
    for server in sorted(failure.servers, key=len, reverse=True):
        text = re.sub(rf"(?<![\w-]){re.escape(server)}(?![\w-])", "{server}", text)
    return text


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`; nothing for none."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
