"""How long somebody can keep an environment: extensions, holds, and until tomorrow morning."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orchestrator.domain.errors import BadInput
from orchestrator.domain.reaping import UNREADABLE, Hold, extended, hold_ends, hold_until, tomorrow_morning
from tests.unit.reaping import NOW, POLICY, at, span


@pytest.mark.parametrize(
    ("ask", "expires"),
    [
        ({}, "3d"),
        ({"by": span("2h")}, "50h"),
        ({"by": span("10d")}, "12d"),
        ({"until": at("50h").astimezone(ZoneInfo("Europe/Berlin"))}, "50h"),
        ({"expires_at": at("-1h")}, "1d"),
        ({"expires_at": at("-1h"), "by": span("30m")}, "30m"),
    ],
)
def test_an_extension(ask: dict[str, Any], expires: str) -> None:
    given_ = {"expires_at": at("2d"), **ask}
    found = extended("cart-test", created_at=at("-2d"), policy=POLICY, now=NOW, **given_)
    assert found == at(expires)
    assert found.utcoffset() == timedelta()


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        ({"by": span("241h")}, "cart-test may live 14d in all, so it can be extended by 10d at most."),
        ({"until": at("13d")}, "so it can be extended by 10d at most."),
        ({"expires_at": at("12d")}, "cart-test lives as long as its template allows already (14d in all)."),
        ({"created_at": at("-20d")}, "lives as long as its template allows already"),
        ({"until": at("1d")}, "cart-test lives longer than that already, until 2026-11-27 12:00 UTC."),
        ({"until": at("-1d")}, "2026-11-24 12:00 UTC is over already; give a time that is still to come."),
        ({"expires_at": at("-1d"), "until": at("-1h")}, "is over already"),
    ],
)
def test_an_extension_that_is_refused(ask: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as caught:
        extended("cart-test", **{"expires_at": at("2d"), "created_at": at("-2d"), "policy": POLICY, "now": NOW, **ask})
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("ask", "until"),
    [
        ({}, "1d"),
        ({"for_": span("2h")}, "2h"),
        ({"since": at("-20h")}, "4h"),
        ({"created_at": at("-14.5d")}, "12h"),  # at most ttl.hold beyond ttl.max, however often it is held
    ],
)
def test_a_hold(ask: dict[str, Any], until: str) -> None:
    assert hold_until("cart-test", **{"created_at": at("-2d"), "policy": POLICY, "now": NOW, **ask}) == at(until)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        ({"for_": span("25h")}, "can be held for debugging for 1d at most"),
        ({"for_": span("5h"), "since": at("-20h")}, "can be held for debugging for 4h at most"),
        ({"since": at("-1d")}, "was held for debugging as long as its template allows"),
        ({"created_at": at("-15d"), "for_": span("1m")}, "was held for debugging as long as its template allows"),
    ],
)
def test_a_hold_that_is_refused(ask: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        hold_until("cart-test", **{"created_at": at("-2d"), "policy": POLICY, "now": NOW, **ask})


def test_a_hold_ends_as_the_template_says_now_and_as_it_says_itself_without_one() -> None:
    hold = Hold("ada", at("-1h"), at("20h"))
    assert hold_ends(hold, at("-2d"), POLICY) == at("20h")
    assert hold_ends(hold, at("-2d"), replace(POLICY, hold=span("2h"))) == at("1h")
    assert hold_ends(hold, at("-2d"), replace(UNREADABLE, hold=span("2h"))) == at("20h")


@pytest.mark.parametrize(
    ("now", "zone", "morning"),
    [
        ("2026-11-25 12:00", "Europe/Berlin", "2026-11-26 08:00"),
        ("2026-11-25 23:30", "Europe/Berlin", "2026-11-27 08:00"),  # there it is the 26th already
        ("2026-10-24 12:00", "Europe/Berlin", "2026-10-25 08:00"),  # 20 h on, not 19
        ("2027-03-27 12:00", "Europe/Berlin", "2027-03-28 07:00"),
        ("2026-11-25 12:00", "America/Los_Angeles", "2026-11-26 17:00"),
    ],
)
def test_tomorrow_morning_is_nine_o_clock_there(now: str, zone: str, morning: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert tomorrow_morning(moment, ZoneInfo(zone)) == datetime.fromisoformat(morning).replace(tzinfo=UTC)
