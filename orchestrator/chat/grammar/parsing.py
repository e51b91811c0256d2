"""The parser: built once, when the first line is read."""

import re
from functools import cache
from importlib.resources import files

from lark import Lark, Token, Tree, UnexpectedInput


@cache
def _parser() -> Lark:
    text = files(__package__).joinpath("commands.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", maybe_placeholders=False)


def parse(line: str) -> Tree[Token]:
    """The sentence as a tree. Raises lark's UnexpectedInput, which knows where it went wrong."""
    return _parser().parse(line)


def broken_at(line: str, error: UnexpectedInput) -> int:
    """Where in the line the parser gave up; its length when something should follow."""
    place = error.pos_in_stream
    return len(line) if place is None or getattr(getattr(error, "token", None), "type", "") == "$END" else place


@cache
def _reserved() -> tuple[frozenset[str], re.Pattern[str]]:
    """Every word that is part of a keyword (“a” and “x” alone as well), and whatever is one as a whole."""
    patterns = [terminal.pattern.to_regexp() for terminal in _parser().terminals if terminal.name != "WORD"]
    parts = frozenset({"a", "x", *re.findall(r"[a-z]{2,}", " ".join(patterns))})
    return parts, re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def is_keyword(word: str) -> bool:
    """Whether a word may be taken for something else than itself, so that it has to be put in quotes."""
    parts, terminals = _reserved()
    small = word.lower()
    return small in parts or terminals.fullmatch(small) is not None
