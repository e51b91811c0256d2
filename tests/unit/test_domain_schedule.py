"""When a job is due: in zones, over changes of the clocks, after a downtime."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import BadInput
from orchestrator.domain.schedule import (
    EPOCH,
    Job,
    daily,
    due_times,
    latest_due,
    local_moment,
    next_due,
    repeated,
    run_id,
    time_of_day,
    time_zone,
)

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTLY = daily("nightly", "03:00", "Europe/Berlin")
CHECK = repeated("check", timedelta(minutes=5))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "at", "zone", "moment"),
    [
        ("2026-11-25", "03:00", "Europe/Berlin", "2026-11-25 02:00"),
        ("2026-07-25", "03:00", "Europe/Berlin", "2026-07-25 01:00"),
        ("2027-03-28", "01:59", "Europe/Berlin", "2027-03-28 00:59"),
        ("2027-03-28", "02:00", "Europe/Berlin", "2027-03-28 01:00"),  # skipped: the clocks show 03:00 next
        ("2027-03-28", "02:59", "Europe/Berlin", "2027-03-28 01:00"),
        ("2027-03-28", "03:00", "Europe/Berlin", "2027-03-28 01:00"),
        ("2026-10-25", "02:30", "Europe/Berlin", "2026-10-25 00:30"),  # twice: the first time
        ("2026-10-25", "03:00", "Europe/Berlin", "2026-10-25 02:00"),
        ("2027-09-05", "00:15", "America/Santiago", "2027-09-05 04:00"),  # midnight itself is skipped there
        ("2026-10-04", "02:10", "Australia/Lord_Howe", "2026-10-03 15:30"),  # the clocks change by half an hour
        ("2011-12-30", "12:00", "Pacific/Apia", "2011-12-30 10:00"),  # a day that Samoa left out
    ],
)
def test_the_moment_of_a_local_time(day: str, at: str, zone: str, moment: str) -> None:
    found = local_moment(date.fromisoformat(day), time_of_day(at), time_zone(zone))
    assert found == utc(moment)
    assert found.utcoffset() == timedelta()


@pytest.mark.parametrize("day", ["2026-10-25", "2027-03-28"])
@pytest.mark.parametrize("at", ["01:59", "02:00", "02:30", "03:00"])
def test_a_change_of_the_clocks_neither_repeats_nor_skips_a_night(day: str, at: str) -> None:
    begin = utc(day) - timedelta(days=3, hours=12)
    found = due_times(daily("nightly", at, "Europe/Berlin"), begin, begin + timedelta(days=7))
    days = [moment.astimezone(BERLIN).date() for moment in found]
    assert len(found) == len(set(days)) == 7


def test_a_day_that_a_zone_left_out_has_one_run_and_not_two() -> None:
    job = daily("nightly", "00:00", "Pacific/Apia")
    found = due_times(job, utc("2011-12-28 12:00"), utc("2012-01-01 12:00"))
    assert len(found) == len(set(found))
    assert [moment.astimezone(job.zone).strftime("%d") for moment in found] == ["29", "31", "01", "02"]


def test_due_is_after_the_one_and_up_to_the_other() -> None:
    due = utc("2026-11-25 02:00")
    assert due_times(NIGHTLY, due - timedelta(seconds=1), due) == [due]
    assert due_times(NIGHTLY, due, due + timedelta(hours=23)) == []
    assert due_times(CHECK, utc("2026-11-25 02:00"), utc("2026-11-25 02:10")) == [
        utc("2026-11-25 02:05"),
        utc("2026-11-25 02:10"),
    ]


@pytest.mark.parametrize("job", [NIGHTLY, CHECK, repeated("odd", timedelta(seconds=7 * 60 + 1))], ids=str)
def test_after_a_downtime_it_is_due_once_for_the_latest_moment(job: Job) -> None:
    after, now = utc("2026-10-20 02:17"), utc("2026-11-25 09:03")
    assert latest_due(job, after, now) == due_times(job, after, now)[-1]
    assert latest_due(job, latest_due(job, after, now), now) is None  # type: ignore[arg-type]
    assert latest_due(job, datetime.min.replace(tzinfo=UTC), now) == latest_due(job, after, now)


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
JOBS = st.one_of(
    st.builds(
        lambda at, zone: Job("night", at=at, zone=ZoneInfo(zone)),
        st.times().map(lambda at: at.replace(second=0, microsecond=0)),
        st.sampled_from(["Europe/Berlin", "UTC", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    ),
    st.integers(10, 86_400).map(lambda seconds: repeated("often", timedelta(seconds=seconds))),
)


@given(JOBS, MOMENTS, st.timedeltas(timedelta(), timedelta(days=4)), st.floats(0, 1))
def test_no_due_moment_is_lost_or_repeated_between_two_looks(
    job: Job, begin: datetime, span: timedelta, part: float
) -> None:
    middle, end = begin + span * part, begin + span
    whole = due_times(job, begin, end)
    assert due_times(job, begin, middle) + due_times(job, middle, end) == whole
    assert whole == sorted(set(whole))
    assert latest_due(job, begin, end) == (whole[-1] if whole else None)
    assert not whole or next_due(job, begin) == whole[0]


@given(JOBS, MOMENTS)
def test_the_next_moment_is_to_come_and_is_due_then(job: Job, now: datetime) -> None:
    due = next_due(job, now)
    assert now < due <= now + timedelta(days=1, hours=2)
    assert latest_due(job, now, due) == due
    assert latest_due(job, now, due - timedelta(microseconds=1)) is None


def test_an_interval_is_counted_from_1970() -> None:
    assert (next_due(CHECK, utc("2026-11-25 02:01")) - EPOCH) % timedelta(minutes=5) == timedelta()


def test_a_run_s_id_is_the_job_and_the_moment_in_utc() -> None:
    due = next_due(NIGHTLY, utc("2026-11-24 12:00"))
    assert run_id("nightly", due) == "nightly/2026-11-25T02:00:00Z"
    assert run_id("nightly", due.astimezone(BERLIN)) == run_id("nightly", due)


def test_jobs_are_shown_in_words() -> None:
    assert (str(NIGHTLY), str(CHECK)) == ("every day at 03:00 Europe/Berlin", "every 5m")


@pytest.mark.parametrize("at", ["", "3", "24:00", "03:60", "3 am", "03:00:00", "-1:00", "3:3\u0663"])
def test_nonsense_as_a_time_of_day(at: str) -> None:
    with pytest.raises(BadInput, match="is no time of day; write it like 03:00"):
        daily("nightly", at, "UTC")


@pytest.mark.parametrize("zone", ["", "Europe/Berlni", "europe/berlin", "CEST+1", "../etc/passwd"])
def test_an_unknown_time_zone(zone: str) -> None:
    with pytest.raises(BadInput, match="is no time zone; write one such as Europe/Berlin"):
        daily("nightly", "03:00", zone)


@pytest.mark.parametrize(
    ("every", "says"),
    [
        (timedelta(), "cannot run every 0s; write an interval from 10s to 1d"),
        (timedelta(seconds=9), "cannot run every 9s"),
        (timedelta(minutes=-5), "cannot run every -5m"),
        (timedelta(days=2), "cannot run every 2d"),
        (timedelta(seconds=10.5), "whole seconds only"),
    ],
)
def test_an_interval_that_makes_no_sense(every: timedelta, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        repeated("check", every)


@pytest.mark.parametrize(
    "wrong",
    [{"name": "Nightly run", "at": time(3)}, {"name": "x"}, {"name": "x", "at": time(3), "every": EPOCH - EPOCH}],
)
def test_a_job_is_one_thing(wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"name of a job|either a time of day or an interval"):
        Job(**wrong)
