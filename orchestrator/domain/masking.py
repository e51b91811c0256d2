"""Masking: a secret's value never leaves its machine, in whatever spelling a program prints it."""

import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

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
_URL_LOGIN = re.compile(r"(?<=://)[^/@\s'\"]+(?=@)")
# What Salt itself writes into a state's result; never made of an env value, and needed to read the result.
_SALTS_OWN = frozenset({"__id__", "__sls__", "start_time"})


class Masker:
    """Replaces each of `values` by `***`: as it is, and as it looks in URLs, JSON, HTML, Python and shell text."""

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values if is_secret(value) for form in _forms(value)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

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
        if key == "data" and isinstance(value, Mapping) and _COMMIT.fullmatch(str(value.get("commit"))):
            return {**self.data(value), "commit": value["commit"]}
        return self.data(value)

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


def _forms(value: str) -> set[str]:
    """The spellings in which programs print a value."""
    in_double_quotes = re.sub(r'([\\"$`])', r"\\\1", value)
    return {
        value,
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        html.escape(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        value.replace("'", "'\\''"),
        value.replace("'", "'\"'\"'"),
        in_double_quotes,
    }


# What looks like a secret, wherever it comes from: the shapes that well-known services give their tokens, keys, and
# what follows a word such as `password=`. The orchestrator knows no value, so this is all it can do, and it comes on
# top of what the minion has masked.
_SECRETS = re.compile(
    r"""
    (?P<key>-----BEGIN[ A-Z]*PRIVATE\ KEY-----.*?(?:-----END[ A-Z]*PRIVATE\ KEY-----|\Z))
  | \b(?P<token>
        xox[abeoprs]-[0-9A-Za-z-]{10,} | xapp-[0-9A-Za-z-]{10,}
      | gh[opsur]_[0-9A-Za-z]{20,} | github_pat_[0-9A-Za-z_]{20,} | glpat-[0-9A-Za-z_-]{16,}
      | (?:AKIA|ASIA)[0-9A-Z]{16} | sk-[0-9A-Za-z_-]{16,} | sk_(?:live|test)_[0-9A-Za-z]{10,}
      | syt_[0-9A-Za-z_]{10,} | eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*
    )
  | (?P<name>\b[\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)[\w-]*
      ["']?\s*[=:]\s*["']?)(?P<value>(?!\*{3})[^\s"'&;,]{4,})
  | (?P<bearer>\b(?:bearer|basic)\s+)(?P<credential>[0-9A-Za-z._~+/=-]{12,})
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def mask_secrets(text: str) -> str:
    """`text` with what looks like a token, a key or a password replaced by `***`."""
    return _URL_LOGIN.sub(MASK, _SECRETS.sub(_masked, text))


def _masked(match: re.Match[str]) -> str:
    return f"{match['name'] or match['bearer'] or ''}{MASK}"
