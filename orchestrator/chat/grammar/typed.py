"""What was typed, tidied: what chat clients add to a line goes, what people add out of courtesy as well. Pure.

The wording of a command is the grammar's work (commands.lark); this makes one line of plain words of it.
"""

import re
from collections.abc import Iterable

LONGEST = 1000  # characters; a command that names forty environments has fewer

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe0e\ufe0f\ufeff"
    "\ue000]"  # our own sign for a gap
)
_SPACES = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u00a0\u2000-\u200a\u202f\u205f\u3000]+")
_STRAIGHT = str.maketrans(
    {"\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"', "\u00ab": '"', "\u00bb": '"', "\u2033": '"'}
    | {"\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u2032": "'"}
    | {"\u2010": "-", "\u2011": "-", "\uff0c": ",", "\u3001": ","}
)
_LABELLED = re.compile(r"<(?:https?|mailto|tel|ftp)[^|<>]*\|([^<>]*)>")
_BARE_LINK = re.compile(r"<(?:mailto:|tel:)?([^\s|<>@#!]+[^\s|<>]*)>")
_MARKDOWN_LINK = re.compile(r"\[([^\[\]]+)\]\([^\s()]+\)")
_MENTION = re.compile(r"^\s*(?:<@[^<>]*>|@[\w.-]+)[\s:,]*")
_ROOM = re.compile(r"<#[^|<>]*\|([^<>]*)>")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&"))
_BLOCK = re.compile(r"```(?:[a-z]+\n)?(.*?)```", re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")
_EMPHASIS = re.compile(r"(?<![^\s])(\*\*|\*|~~|~)(?=\S)([^*~]+?)(?<=\S)\1(?![^\s,.!?])")
_LONG_DASH = re.compile(r"(?<![^\s])[\u2012-\u2015](?=[A-Za-z])")
_LONE_DASH = re.compile(r"(?<![^\s])(?:[-\u2012-\u2015\u2022]+)(?![^\s])")
_ENDING = re.compile(r"(?<=\S)[.?;:…,\s]+(?=!*$)|(?<=!)[.?;:…,\s]+$")

# What people say around a command and what does not change it. “not” and “don't” are not among it.
_BEFORE = re.compile(
    r"""(?: (?:please|pls|plz|hey|hi|hello|yo|now|just|also|then|kindly|so|well|bot)(?=[\s,:!])
        | (?:can|could|would|will)\ (?:you|we|i)(?:\ please)?(?=\s)
        | (?:i|we)(?:'d|\ would)?\ (?:want|like|need|wish|have)\ (?:you\ )?to(?=\s)
        | (?:let's|lets|let\ us|time\ to|want\ to|go\ ahead\ and|gonna|i'll|we'll)(?=\s)
        ) [\s,:!]* """,
    re.VERBOSE | re.IGNORECASE,
)
_AFTER = re.compile(
    r"(?<=\S)[\s,]+(?:please|pls|plz|thanks?(?: you| a lot)?|thx|ty|cheers|asap|(?:for (?:me|us))|right now)(?=!*$)",
    re.IGNORECASE,
)


def tidy(text: str, bots: Iterable[str] = ()) -> str:
    """One line of plain words: no markup, links, invisible characters, greetings or full stop; quotes are straight.

    `bots`: names in front that call us. What is in `code` becomes one quoted word, unless it is the whole line or has
    spaces in it.
    """
    plain = _without_markup(_INVISIBLE.sub("", text))
    plain = _SPACES.sub(" ", plain).strip()
    plain = _LONE_DASH.sub(" ", _LONG_DASH.sub("--", plain))
    return _SPACES.sub(" ", _without_courtesy(plain.strip(), bots)).strip()


def is_courtesy(word: str) -> bool:
    """Whether a word at the end of a line would be dropped, such as `thanks`."""
    return _AFTER.search(f"- {word}") is not None


def _without_markup(text: str) -> str:
    text = _MENTION.sub("", text)
    text = _ROOM.sub(r"#\1", _LABELLED.sub(r"\1", text))
    text = _MARKDOWN_LINK.sub(r"\1", _BARE_LINK.sub(r"\1", text))
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    text = _BLOCK.sub(r" \1 ", text.translate(_STRAIGHT)).strip()
    whole = _CODE.fullmatch(text)
    text = whole[1] if whole else _CODE.sub(_one_word, text)
    return _EMPHASIS.sub(r"\2", text)


def _one_word(code: re.Match[str]) -> str:
    inside = code[1].strip()
    first, plain = code.start() == 0, not re.search(r"[\s\"'=]", inside)
    return inside if first or not plain else f'"{inside}"'


def _without_courtesy(text: str, bots: Iterable[str]) -> str:
    """Drop what stands around the command, as long as something is left."""
    called = "|".join(re.escape(name) for name in bots if name)
    address = re.compile(rf"[@/!]?(?:{called})(?:[:,]\s*|\s+)(?=\S)", re.IGNORECASE) if called else None
    while True:
        shorter = _ENDING.sub("", _AFTER.sub("", text))
        begin = (address.match(shorter) if address else None) or _BEFORE.match(shorter)
        shorter = shorter[begin.end() :] if begin else shorter
        if shorter == text:
            return text
        text = shorter
