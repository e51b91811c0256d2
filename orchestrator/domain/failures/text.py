"""The telling part of what programs print. Whatever comes in, what goes out is short, plain text."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from orchestrator.domain.masking import mask_secrets

MOST = 32_000  # characters of one output that are looked at: its beginning and its end
LONGEST_LINE = 1_000
SHOWN = 220  # characters of a line that a person is shown
EVIDENCE_LINES = 20
_MARGIN = 8_000  # characters that are masked beyond a cut: half a secret looks like none
_MOST_PIECES = 100_000  # of nested data that are looked at

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|\x1b.")
# Control characters, what ends a line or turns its direction unseen, and halves of characters.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_TAG = re.compile(r"<(?:script|style)\b.{0,5000}?</(?:script|style)>|<[^<>]{0,500}>", re.DOTALL | re.IGNORECASE)

# How much a line tells, the strongest first. True: of several such lines the last one counts (the end of a traceback),
# else the first one (a compiler's first error, of which the others are consequences).
_STRENGTHS: Sequence[tuple[re.Pattern[str], bool]] = (
    (re.compile(r"^(?:E {2,})?(?:[A-Za-z_][\w.]{0,80}\.)?[A-Z]\w{0,60}(?:Error|Exception|Exit|NotFound)\b(?::|$)"),
     True),
    (re.compile(r"^(?:E {2,}\S|FAILED )"), False),
    (re.compile(r"(?i)\bfatal( error)?:|^panic:|^npm (?:err!|error) (?!code|errno|a complete log)|: error:|\[error\]"),
     False),
    (re.compile(r"\b(?:CRITICAL|FATAL|PANIC|EMERG|ALERT)\b"), False),
    (re.compile(r"(?i)^\W{0,4}error\b|\berror:|^e: "), False),
    (re.compile(r"(?i)\b(?:denied|refused|no such|not found|cannot|can't|could not|unable to|missing|undefined|killed|"
                r"timed? ?out|no space left|invalid|unknown|failed|does not exist|already in use|needed)\b"), False),
    (re.compile(r"(?i)error|exception|abort"), False),
)  # fmt: skip
# What says only that there was an error, while another line says which.
_EMPTY = re.compile(
    r"(?i)^(?:traceback \(most recent call last\)|error: subprocess-exited-with-error|it ended with exit code|"
    r"step \d+ of \d+ of the build failed|it was (?:killed|ended)|"
    r"make: \*\*\*|stderr:|stdout:|exit code|note: this|\[end of output\]|=+ (?:short test|failures|errors)|"
    r"npm (?:err!|error) (?:a complete log|code|errno|syscall|path|command))|^\W*$|"
    r"^powered by|^cherrypy [\d.]+$|^the end of the app's log|^--- started|^\(it has written nothing|"
    r"\"(?:GET|HEAD|POST|PUT|DELETE|OPTIONS) \S+ HTTP/"
)
_SALTS_TRACE = re.compile(r'^\s*File "[^"]{1,500}/(?:site-packages|dist-packages|lib/python[\d.]+)/')


def clean(text: object) -> str:
    """Plain text without colours and control characters, masked, at most `MOST` characters in lines that do end."""
    raw = text if isinstance(text, str) else shown(text)
    if len(raw) <= MOST:
        plain = _plain(raw)
    else:
        head, tail = _plain(raw[: MOST // 4 + _MARGIN]), _plain(raw[-MOST * 3 // 4 - _MARGIN :])
        plain = f"{head[: MOST // 4]}\n[...]\n{tail[-MOST * 3 // 4 :]}"
    return "\n".join(_bounded(line) for line in plain.split("\n")).strip()


def _plain(raw: str) -> str:
    return mask_secrets(_CONTROL.sub("", _ESCAPES.sub("", raw.replace("\r\n", "\n").replace("\r", "\n"))))


def telling_line(text: str, strictly: bool = False) -> str:
    """The one line that says most about what went wrong; "" when there is none.

    `strictly`: rather none than one that tells nothing, such as that of an access log.
    """
    lines = lines_of(text)
    found = [line for line in lines if not _EMPTY.search(line) and not _SALTS_TRACE.search(line)]
    for pattern, last in _STRENGTHS:
        strong = [line for line in found if pattern.search(line)]
        if strong:
            return short(strong[-1] if last else strong[0])
    return short((found or ([] if strictly else lines) or [""])[-1])


def evidence(text: str, about: str = "") -> str:
    """At most 20 lines of it: the end, or what is around the line that contains `about`."""
    lines = text.strip().split("\n")
    at = next((number for number, line in enumerate(lines) if about and about in line), len(lines))
    begin = max(0, min(at - 4, len(lines) - EVIDENCE_LINES))
    return "\n".join(lines[begin : begin + EVIDENCE_LINES])


def lines_of(text: str) -> list[str]:
    """Its lines that are not empty, without the space around them."""
    return [line.strip() for line in text.split("\n") if line.strip()]


def short(line: str, most: int = SHOWN) -> str:
    """The line as far as a person wants to read it."""
    return line if len(line) <= most else f"{line[: most - 2].rstrip()} …"


def one_line(text: str, most: int = SHOWN) -> str:
    """The text as one line, as far as a person wants to read it."""
    return short(" ".join(lines_of("\n".join(text.replace("\t", " ").splitlines()))), most)


def worded(value: object) -> str:
    """A key or a leaf of data as text, whatever it is."""
    if isinstance(value, str):
        return value
    try:
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    except (ValueError, RecursionError):  # a number of thousands of digits; a tuple of tuples of tuples ...
        return f"({type(value).__name__})"


def without_tags(text: str) -> str:
    """The words of an HTML page."""
    return "\n".join(lines_of(_TAG.sub("\n", mask_secrets(text[: MOST + _MARGIN])[:MOST])))


def shown(value: object, most: int = 4_000) -> str:
    """Data as text, as far as one wants to see it: for what has a form that nobody expected."""
    found: list[str] = []
    size = 0
    for piece in _pieces(value):
        found.append(mask_secrets(piece[: most + _MARGIN])[:most])
        size += len(found[-1])
        if size > most:
            found.append("…")
            break
    return "\n".join(found)


def _pieces(value: object) -> Iterator[str]:
    """The leaves of nested data, each with its key. Not recursive: it may be nested deeper than Python goes."""
    stack: list[tuple[str, Any]] = [("", value)]
    for _ in range(_MOST_PIECES):
        if not stack:
            return
        name, item = stack.pop()
        if isinstance(item, Mapping | list | tuple):
            stack.extend(_children(item))
        else:
            yield f"{name}: {worded(item)}" if name else worded(item)


def _children(item: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(item, Mapping):
        some = [(worded(key)[:200], child) for key, child in islice(item.items(), 1_000)]
    else:
        some = [("", child) for child in item[:1_000]]
    return reversed(some)


def _bounded(line: str) -> str:
    """A line of which the beginning and the end are left."""
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} … {line[-LONGEST_LINE // 2 :]}"
