"""Masking: a secret's value never leaves its machine, in whatever spelling a program prints it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

MASK = "***"
SHORTEST = 4

# Everyday words that settings have for values. Hiding them would hide the reason of many a failure and no secret.
HARMLESS = frozenset(
    [
        "true",
        "false",
        "none",
        "null",
        "info",
        "debug",
        "warn",
        "warning",
        "error",
        "critical",
        "development",
        "production",
        "localhost",
    ]
)

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_URL_PASSWORD = re.compile(r"://[^/@\s:]*:([^/\s]+)@")
_URL_LOGIN = re.compile(r"(?<=://)[^/\s'\"]+(?=@)")
# What Salt itself writes into a state's result; never made of an env value, and needed to read the result.
_SALTS_OWN = frozenset({"__id__", "__sls__", "start_time"})
# What our own states call what they tell in `data`: no env value makes these names unreadable.
_DATA = frozenset({"commit", "step", "of", "line", "exit", "output", "url", "status", "body", "error", "log"})


class Masker:
    """Replaces each of `values` by `***`: as it is, and as it looks in URLs, JSON, HTML, Python, C and shell text, also
    when it was spelled so more than once."""

    def __init__(self, values: Iterable[str]) -> None:
        parts = {part for value in values for part in (value, *_password_in(value)) if is_secret(part)}
        secrets = sorted(parts, key=lambda part: (-len(part), part))
        self._pattern = re.compile("|".join(map(_spelled, secrets))) if secrets else None

    def text(self, text: str) -> str:
        """`text` without any of the values, and without logins in URLs."""
        text = _URL_LOGIN.sub(MASK, text)
        return self._pattern.sub(MASK, text) if self._pattern else text

    def data(self, data: Any) -> Any:
        """The same data with every string masked, keys included."""
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, Mapping):
            return {self.data(key): self.data(value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.data(item) for item in data]
        if isinstance(data, bytes):
            return self.text(data.decode(errors="replace")).encode()
        return data

    def state(self, result: Any) -> Any:
        """One state's result, as Salt returns it: its structure stays, all that a program may have said is masked."""
        if not isinstance(result, Mapping):
            return self.data(result)
        return {key: self._field(key, value) for key, value in result.items()}

    def run(self, returned: Any) -> Any:
        """What a state run returned: a dict of state results, a list of render errors, or a string."""
        if not isinstance(returned, Mapping):
            return self.data(returned)
        return {self._state_tag(tag): self.state(result) for tag, result in returned.items()}

    def _field(self, key: str, value: Any) -> Any:
        if key in _SALTS_OWN:
            return value
        if key == "data" and isinstance(value, Mapping):
            return {name if name in _DATA else self.data(name): self._told(name, told) for name, told in value.items()}
        return self.data(value)

    def _told(self, name: str, value: Any) -> Any:
        """One of the `data` of a state. A commit is no secret, and shows what was deployed."""
        is_commit = name == "commit" and isinstance(value, str) and _COMMIT.fullmatch(value)
        return value if is_commit else self.data(value)

    def _state_tag(self, tag: str) -> str:
        """`module_|-id_|-name_|-function`: only the name can carry a value."""
        parts = tag.split("_|-")
        if len(parts) < 4:
            return self.text(tag)
        name = self.text("_|-".join(parts[2:-1]))
        return "_|-".join([parts[0], parts[1], name, parts[-1]])


def is_secret(value: str) -> bool:
    """Whether a value is masked: short ones and everyday words would make every text unreadable."""
    return len(value) >= SHORTEST and value.lower() not in HARMLESS


def _password_in(value: str) -> Iterator[str]:
    """The password of a value that is a URL: programs take it apart, and show the parts."""
    if found := _URL_PASSWORD.search(value):
        yield from (found[1], unquote(found[1]))


def _spelled(value: str) -> str:
    """A regular expression for the value in every spelling in which programs print it, also when they are mixed."""
    return "".join(_run(match[1], len(match[0])) for match in re.finditer(r"(.)\1*", value, re.DOTALL))


def _run(char: str, times: int) -> str:
    """For a character so many times. Escaping doubles backslashes, and may do so more than once."""
    if char == "\\":
        return f"(?:{_BACKSLASH}{{{times},{times * _MOST}}}+|(?:{_anyhow(char)}){{{times}}})"
    return (re.escape(char) if char.isascii() and char.isalnum() else f"(?:{_anyhow(char)})") * times


def _anyhow(char: str) -> str:
    """For one character that some spell in another way: as it is, in URLs, in HTML, in JSON, Python, C and shells.

    Backslashes are matched possessively and not without end, so that a long row of them takes no long time.
    """
    encoded, utf16 = (char.encode(name, "surrogatepass") for name in ("utf-8", "utf-16-be"))
    code = ord(char)
    named = "".join(f"|{name}" for name in _HTML.get(char, ()))
    spellings = [
        re.escape(char),
        _ESCAPE.join(f"u{_hex(*utf16[at : at + 2])}" for at in range(0, len(utf16), 2)),
        f"U{_hex(*code.to_bytes(4))}",
        _ESCAPE.join(f"x{_hex(byte)}" for byte in encoded),
        _ESCAPE.join(f"{byte:03o}" for byte in encoded),
        *([f"x{_hex(code)}"] if code < 256 else []),
        "".join(_PERCENT + _hex(byte) for byte in encoded),
        f"{_AND}(?:{_HASH}0{{0,6}}{code}|{_HASH}[xX]0{{0,6}}{_either_case(f'{code:x}')}{named}){_SEMICOLON}",
    ]
    return "|".join([*_OWN.get(char, ()), f"{_ESCAPE}(?:{'|'.join(spellings)})"])


def _hex(*numbers: int) -> str:
    """The bytes in hexadecimal, for either case of the letters."""
    return _either_case("".join(f"{number:02x}" for number in numbers))


def _either_case(text: str) -> str:
    return "".join(f"[{char}{char.upper()}]" if char.isalpha() else char for char in text)


# What spellings begin and end with may itself be spelled in another way: HTML in a URL, JSON in JSON.
_MOST = 16  # so many backslashes stand before a character that was escaped four times
_PERCENT = rf"%(?:25){{0,{_MOST}}}"
_BACKSLASH = rf"(?:\\|{_PERCENT}5[cC])"
_ESCAPE = rf"{_BACKSLASH}{{0,{_MOST}}}+"
_HASH = rf"(?:#|{_PERCENT}23)"
_SEMICOLON = rf"(?:;|{_PERCENT}3[bB])"
_AND = rf"(?:&|{_PERCENT}26|{_ESCAPE}u0026)(?:amp{_SEMICOLON}){{0,{_MOST}}}"
# Names in HTML, and what single languages do: shells end a quotation for a quotation mark, CSV and SQL double it.
_HTML = {"&": ("amp",), "<": ("lt",), ">": ("gt",), '"': ("quot",), "'": ("apos",), "\xa0": ("nbsp",)}
_OWN = {
    " ": (rf"\+|{_PERCENT}2[bB]",),
    "$": (r"\$\$",),
    '"': (f'{_ESCAPE}"{_ESCAPE}"',),
    "'": (f"'{_ESCAPE}''", f"'{_ESCAPE}\"'{_ESCAPE}\"'", "''"),
    **{char: (_ESCAPE + letter,) for char, letter in zip("\t\b\f\v\a\n\r\x1b", "tbfvanre", strict=True)},
}


# What looks like a secret, wherever it comes from: the shapes that well-known services give their tokens, keys, and
# what follows a word such as `password=`. The orchestrator knows no value, so this is all it can do, and it comes on
# top of what the minion has masked.
_SECRETS = re.compile(
    r"""
    (?P<key>-----BEGIN[ A-Z]*PRIVATE\ KEY-----.*?(?:-----END[ A-Z]*PRIVATE\ KEY-----|\Z)
      | (?<![\w+/=])(?:[\w+/=]{16,}(?:\s|\\n)+){1,120}-----END[ A-Z]*PRIVATE\ KEY-----)  # its beginning was cut off
  | \b(?P<token>
        xox[abeoprs]-[0-9A-Za-z-]{10,} | xapp-[0-9A-Za-z-]{10,}
      | gh[opsur]_[0-9A-Za-z]{20,} | github_pat_[0-9A-Za-z_]{20,} | glpat-[0-9A-Za-z_-]{16,}
      | (?:AKIA|ASIA)[0-9A-Z]{16} | sk-[0-9A-Za-z_-]{16,} | sk_(?:live|test)_[0-9A-Za-z]{10,}
      | syt_[0-9A-Za-z_]{10,} | npm_[0-9A-Za-z]{30,} | pypi-[0-9A-Za-z_-]{16,} | AIza[0-9A-Za-z_-]{30,}
      | hvs\.[0-9A-Za-z_-]{20,} | dop_v1_[0-9a-f]{40,} | hooks\.slack\.com/(?:services|workflows|triggers)/[\w/]{10,}
      | (?<![\w-])eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*
    )
  | (?P<name>(?<![\w-])[\w-]*?  # from the beginning of a word only: hostile text must not take for ever
      (?:password|passwd|passphrase|_pass(?![\w-])|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)[\w-]{0,60}
      ["']?\s*[=:]\s*(?:(?P<quote>["'])|))(?P<value>(?!\*{3})(?(quote)[^"'\n]{4,}|[^\s"'&;,]{4,}))
  | (?P<bearer>\b(?:bearer|basic)\s+)(?P<credential>[0-9A-Za-z._~+/=-]{12,})
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


# Salt's own keys, such as `git_|-fetch-token_|-…_|-latest`, are no names of settings.
_SECRET_NAME = re.compile(
    r"[\w.-]{0,60}(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)[\w.-]{0,60}",
    re.IGNORECASE,
)


def mask_secrets(text: str) -> str:
    """`text` with what looks like a token, a key or a password replaced by `***`."""
    return _URL_LOGIN.sub(MASK, _SECRETS.sub(_masked, text))


def mask_secrets_in(data: Any, deepest: int = 64) -> Any:
    """Plain data with every string masked like that, keys too, and with what a key such as `password` holds.

    What is nested deeper than `deepest` levels becomes a sentence that says so.
    """
    if isinstance(data, str):
        return mask_secrets(data)
    if not isinstance(data, Mapping | list | tuple):
        return data
    if deepest <= 0:
        return "(nested too deep to be shown)"
    if isinstance(data, Mapping):
        return {_masked_key(key): _masked_value(key, value, deepest - 1) for key, value in data.items()}
    return [mask_secrets_in(item, deepest - 1) for item in data]


def _masked_key(key: Any) -> Any:
    return mask_secrets(key) if isinstance(key, str) else key


def _masked_value(key: Any, value: Any, deepest: int) -> Any:
    if isinstance(value, str) and is_secret(value) and isinstance(key, str) and _SECRET_NAME.fullmatch(key):
        return MASK
    return mask_secrets_in(value, deepest)


def _masked(match: re.Match[str]) -> str:
    return f"{match['name'] or match['bearer'] or ''}{MASK}"
