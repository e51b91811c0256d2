"""When a job is due: at a time of day in a time zone, or every few minutes. Pure; who runs it is `engine`'s work.

All moments are aware, and come out in UTC. After a downtime a job is due once, for the latest moment that it missed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from .durations import format_duration
from .errors import BadInput

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHORTEST, LONGEST = timedelta(seconds=10), timedelta(days=1)
_DAY = timedelta(days=1)
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_NAME = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class Job:
    """A job that comes again: once a day `at` a time in `zone`, or `every` so long, counted from 1970 in UTC.

    Made by `daily` and `repeated`, which check what people wrote.
    """

    name: str
    at: time | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    every: timedelta | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"“{self.name}” is no name of a job")
        if (self.at is None) == (self.every is None):
            raise ValueError(f"job {self.name} needs either a time of day or an interval")

    def __str__(self) -> str:
        if self.at is not None:
            return f"every day at {self.at:%H:%M} {self.zone}"
        return f"every {format_duration(self.every or timedelta())}"


def daily(name: str, at: str, zone: str) -> Job:
    """A job that runs every day at `03:00` in `Europe/Berlin`. Raises BadInput."""
    return Job(name, at=time_of_day(at), zone=time_zone(zone))


def repeated(name: str, every: timedelta) -> Job:
    """A job that runs every so long. Raises BadInput."""
    if not SHORTEST <= every <= LONGEST:
        raise BadInput(
            "interval-invalid",
            f"{name} cannot run every {_shown(every)}; write an interval from {format_duration(SHORTEST)} "
            f"to {format_duration(LONGEST)}, such as 5m.",
        )
    if every % timedelta(seconds=1):
        raise BadInput("interval-invalid", f"{name} can run every so many whole seconds only; write such as 5m.")
    return Job(name, every=every)


def time_of_day(text: str) -> time:
    """`03:00` → time. Raises BadInput."""
    found = _CLOCK.fullmatch(text.strip())
    if not found:
        raise BadInput("time-of-day-invalid", f"“{text}” is no time of day; write it like 03:00.")
    return time(int(found[1]), int(found[2]))


@cache
def time_zones() -> frozenset[str]:
    """The names of all time zones. Looking for them reads many files, so it is done once."""
    return frozenset(available_timezones())


def time_zone(name: str) -> ZoneInfo:
    """`Europe/Berlin` → ZoneInfo. Raises BadInput."""
    if name not in time_zones():
        raise BadInput("time-zone-unknown", f"“{name}” is no time zone; write one such as Europe/Berlin or UTC.")
    return ZoneInfo(name)


def local_moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When the clocks of `zone` show that time on that day.

    Where they show it twice, the first time. Where they skip it, the next minute that they show.
    """
    local = datetime.combine(day, at)
    while True:
        moment = local.replace(tzinfo=zone).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == local:
            return moment
        local += timedelta(minutes=1)


def due_times(job: Job, after: datetime, now: datetime) -> list[datetime]:
    """Every moment after `after` and up to `now` at which the job was due, the earliest first."""
    if job.every is None:
        return [moment for moment in _daily(job, after, now) if after < moment <= now]
    first, last = (after - EPOCH) // job.every + 1, (now - EPOCH) // job.every
    return [EPOCH + number * job.every for number in range(first, last + 1)]


def latest_due(job: Job, after: datetime, now: datetime) -> datetime | None:
    """The latest of `due_times`, which is the one that is run; None when there is none.

    `after`: the due moment of the run before, or when the job was first heard of.
    """
    span = job.every or 3 * _DAY
    recent = due_times(job, max(after, now - span), now)
    return recent[-1] if recent else None


def next_due(job: Job, now: datetime) -> datetime:
    """The first moment after `now` at which the job is due."""
    return due_times(job, now, now + (job.every or 3 * _DAY))[0]


def run_id(name: str, due: datetime) -> str:
    """The id of one run: `nightly/2026-11-25T02:00:00Z`. Two runs of one due moment have the same."""
    return f"{name}/{due.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _daily(job: Job, after: datetime, now: datetime) -> Iterator[datetime]:
    """The job's moments of the days around, each once: a day that a zone skipped would repeat the next one's."""
    assert job.at is not None  # noqa: S101  (`Job` sees to it)
    day, last = after.astimezone(job.zone).date() - _DAY, now.astimezone(job.zone).date()
    before = None
    while day <= last:
        moment = local_moment(day, job.at, job.zone)
        if moment != before:
            yield moment
        day, before = day + _DAY, moment


def _shown(span: timedelta) -> str:
    """Also of a negative span, which `format_duration` does not know."""
    return f"-{format_duration(-span)}" if span < timedelta() else format_duration(span)
