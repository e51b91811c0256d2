"""How long and until when: from words that the grammar has recognised to a duration or a moment. Pure."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from lark import Token

_COUNTS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MINUTES = {"w": 7 * 24 * 60, "d": 24 * 60, "h": 60, "m": 1}
_LAST_YEAR = 9000  # so that nothing overflows that is counted from there
_END = time(23, 59)  # a day without a time means all of that day
_PARTS_OF_A_DAY = {"morning": time(12), "afternoon": time(18), "evening": time(22), "night": _END, "tonight": _END}
_PART = re.compile(
    r"(?P<count>\d+(?:\.\d+)?|half an?|[a-z]+(?= ))(?: more| extra| whole)? ?(?P<unit>fortnight|[wdhms])[a-z]*",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(\d{1,2})(?::(\d\d))?[^ap]*([ap])?", re.IGNORECASE)


class NotAMoment(ValueError):
    """There is no such time, or it is over. The message is a sentence for the person."""


def number(word: str) -> int:
    """`3`, `three` or `x3` → 3."""
    digits = re.sub(r"\D", "", word)
    return int(digits) if digits else _COUNTS.index(word.lower()) + 1


def duration(words: str) -> str:
    """`2 days and 4 hours`, `a week`, `1.5h` → what `parse_duration` reads: `2d4h`, `1w`, `1h30m`."""
    return "".join(_part(found["count"].lower(), found["unit"].lower()) for found in _PART.finditer(words))


def _part(count: str, unit: str) -> str:
    if unit == "fortnight":
        return "2w" if count.startswith(("a", "half")) else f"{2 * number(count)}w"
    if count.startswith("half") or "." in count:
        return _broken(Fraction(1, 2) if count.startswith("half") else Fraction(count), unit)
    if count in ("a", "an", "another"):
        return f"1{unit}"
    return f"{number(count)}{unit}"


def _broken(count: Fraction, unit: str) -> str:
    """Less than whole units, in smaller ones: 1.5 d → 1d12h."""
    minutes = round(count * _MINUTES.get(unit, 1))
    text = ""
    for name, size in list(_MINUTES.items())[1:]:
        whole, minutes = divmod(minutes, size)
        text += f"{whole}{name}" if whole else ""
    return text or "0m"


def moment(tokens: Iterable[Token], now: datetime, zone: ZoneInfo) -> datetime:
    """The moment that DAY, DATE and TIME mean, in `zone`; the next one when only a time or a weekday is given.

    A day without a time means its end. Raises NotAMoment.
    """
    too_far = "That is further away than the calendar goes; give an earlier date."
    try:
        found = _moment(tokens, now, zone)
    except OverflowError as error:
        raise NotAMoment(too_far) from error
    if found.year >= _LAST_YEAR:
        raise NotAMoment(too_far)
    return found


def _moment(tokens: Iterable[Token], now: datetime, zone: ZoneInfo) -> datetime:
    words = {token.type: str(token).lower() for token in tokens}
    here = now.astimezone(zone)
    day, clock = words.get("DAY", ""), _clock(words["TIME"]) if "TIME" in words else None
    if "DATE" in words:
        return _later(_on(_date(words["DATE"], here.date()), clock or _END, zone), now)
    if not day:
        today = _on(here.date(), clock or _END, zone)
        return today if today > now else _on(here.date() + timedelta(days=1), clock or _END, zone)
    return _on_day(day, clock, here, zone, now)


def _on_day(day: str, clock: time | None, here: datetime, zone: ZoneInfo, now: datetime) -> datetime:
    at = clock or next((part for word, part in _PARTS_OF_A_DAY.items() if word in day), _END)
    if "tomorrow" in day:
        return _on(here.date() + timedelta(days=1), at, zone)
    if "week" in day or "eow" in day:
        return _later(_on(here.date() + timedelta(days=6 - here.weekday()), at, zone), now)
    if "today" in day or "tonight" in day or "end of" in day or "eod" in day:
        return _later(_on(here.date(), at, zone), now)
    ahead = (_weekday(day) - here.weekday()) % 7
    found = _on(here.date() + timedelta(days=ahead), at, zone)
    past_or_next = found <= now or ("next" in day and ahead == 0)
    return _on(here.date() + timedelta(days=ahead + 7), at, zone) if past_or_next else found


def _weekday(day: str) -> int:
    return next(index for index, name in enumerate(_DAYS) if re.search(rf"\b{name}", day))


def _on(day: date, at: time, zone: ZoneInfo) -> datetime:
    """That time of that day; one that the clocks skip becomes the one that they show instead."""
    local = datetime.combine(day, at, zone)
    there = local.astimezone(UTC).astimezone(zone)
    return there.replace(fold=0)


def _later(found: datetime, now: datetime) -> datetime:
    if found <= now:
        raise NotAMoment(f"{found:%Y-%m-%d %H:%M} is over already; give a time that is still to come.")
    return found


def _clock(words: str) -> time:
    if words in ("noon", "midday"):
        return time(12)
    if words == "midnight":
        return _END
    for hours, minutes, half in _CLOCK.findall(words):
        hour = int(hours)
        if half:
            hour = hour % 12 + (12 if half == "p" else 0)
        return time(hour, int(minutes or 0)) if hour < 24 else _END
    raise NotAMoment(f"“{words}” is no time of day; write it like 18:00.")


def _date(words: str, today: date) -> date:
    """`2026-11-27`, `27.11.`, `27 nov`, `nov 27th 2026`; without a year the next one."""
    numbers = [int(found) for found in re.findall(r"\d+", words)]
    try:
        if re.search(r"\d{4}-", words):
            return date(*numbers)
        month = next((index for index, name in enumerate(_MONTHS, 1) if re.search(rf"\b{name}", words)), 0)
        day, *others = numbers
        month = month or others.pop(0)
        found = date(others[0] if others else today.year, month, day)
        return found.replace(year=found.year + 1) if found < today and not others else found
    except ValueError as error:
        raise NotAMoment(f"There is no date “{words}”; write it like 2026-11-27.") from error
