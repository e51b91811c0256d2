"""The text of a `.env` file that every reader understands in the same way.

Readers: a POSIX shell (`set -a; . ./.env`), systemd's `EnvironmentFile=`, and python-dotenv without interpolation.
"""

import re
from collections.abc import Mapping

from .errors import BadInput

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BARE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_FORBIDDEN = re.compile(r"[\x00\r\n]")


def env_text(values: Mapping[str, str]) -> str:
    """One `NAME=value` line per variable, in the order given.

    Raises BadInput (`env-invalid`) for a name that is no variable's name and for a value with a line break or a NUL;
    the sentence names the variable and never shows the value.
    """
    return "".join(f"{_checked_name(name)}={_quoted(name, value)}\n" for name, value in values.items())


def _checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise BadInput("env-invalid", f"“{name}” cannot name a variable; use letters, digits and underscores.")
    return name


def _quoted(name: str, value: str) -> str:
    """The value, bare where that is safe, else in the quotes in which all readers agree.

    Single quotes are read literally by all of them, as long as neither ' nor a backslash is inside (python-dotenv takes
    backslashes for escapes there). In double quotes all of them know the escapes of the backslash and of ". Only the
    shell and systemd know those of $ and the backtick, so a value that needs both kinds is exact for these two, which
    are the ones that put it in force.
    """
    if _FORBIDDEN.search(value):
        raise BadInput(
            "env-invalid",
            f"The value of {name} has a line break or a NUL character, which a .env file cannot carry; "
            "encode it, for example as base64.",
        )
    if _BARE.fullmatch(value):
        return value
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    return '"' + re.sub(r'([\\"$`])', r"\\\1", value) + '"'
