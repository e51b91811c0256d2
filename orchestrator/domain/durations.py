"""Durations as people write them: `30m`, `4h`, `2d`, `1d12h`."""

import re
from datetime import timedelta

from .errors import BadInput

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_PATTERN = re.compile(r"(?:\d+[wdhms])+")
_LONGEST = timedelta(days=366)


def parse_duration(text: str) -> timedelta:
    """`1d12h` → timedelta. Raises BadInput for anything else, for zero, and for more than a year."""
    compact = text.strip().lower().replace(" ", "")
    if not _PATTERN.fullmatch(compact) or len(compact) > 30:
        raise BadInput("duration-invalid", f"“{text}” is not a duration; write it like 30m, 4h, 2d or 1d12h.")
    parts = re.findall(r"(\d+)([wdhms])", compact)
    try:
        total = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
    except OverflowError:
        total = timedelta.max
    if total > _LONGEST:
        raise BadInput("duration-too-long", f"“{text}” is more than a year; write a shorter duration, such as 2d.")
    if total <= timedelta():
        raise BadInput("duration-invalid", f"“{text}” is no time at all; write a duration such as 30m or 2d.")
    return total


def format_duration(delta: timedelta) -> str:
    """The two largest units, the way `parse_duration` reads them: `1d 12h`, `4m 5s`, `0s`."""
    seconds = max(0, int(delta.total_seconds()))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
