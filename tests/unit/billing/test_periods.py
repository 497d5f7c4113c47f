"""Months of a subscription."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.billing.subscriptions.periods import add_month, anchor_of, first_period, next_period

UTC_ZONE = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC).timestamp()
)
ZONES = st.sampled_from(
    [UTC_ZONE, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Asia/Shanghai"), ZoneInfo("Asia/Kathmandu")]
)
DAYS_28 = 28 * 86_400


def moment(text: str, zone: ZoneInfo = UTC_ZONE) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def text(at: float, zone: ZoneInfo = UTC_ZONE) -> str:
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None).isoformat(" ", "minutes")


def ends(begins: str, months: int, zone: ZoneInfo = UTC_ZONE) -> list[str]:
    """When the first periods end, paid in time."""
    start, end = first_period(moment(begins, zone), zone)
    found = [text(end, zone)]
    for _ in range(months - 1):
        start, end = next_period(start, end, zone, end)
        found.append(text(end, zone))
    return found


@pytest.mark.parametrize(
    ("begins", "expected"),
    [
        ("2026-11-24 12:00", ["2026-12-24 12:00", "2027-01-24 12:00", "2027-02-24 12:00"]),
        (
            "2027-01-31 09:30",
            ["2027-02-28 09:30", "2027-03-31 09:30", "2027-04-30 09:30", "2027-05-31 09:30"],
        ),
        ("2028-01-30 00:00", ["2028-02-29 00:00", "2028-03-30 00:00", "2028-04-30 00:00"]),
        ("2027-02-28 10:00", ["2027-03-28 10:00", "2027-04-28 10:00"]),
        ("2027-12-31 23:59", ["2028-01-31 23:59", "2028-02-29 23:59", "2028-03-31 23:59"]),
    ],
)
def test_a_period_ends_on_the_same_day_of_the_next_month_or_on_its_last(begins, expected):
    assert ends(begins, len(expected)) == expected


def test_a_month_keeps_its_time_of_day_when_clocks_change():
    start, end = first_period(moment("2027-03-15 08:00", BERLIN), BERLIN)
    assert text(end, BERLIN) == "2027-04-15 08:00"
    assert end - start == 31 * 86_400 - 3600


def test_a_time_that_the_clocks_leave_out_comes_an_hour_later():
    assert ends("2027-02-28 02:30", 1, BERLIN) == ["2027-03-28 03:30"]


@given(MOMENTS, ZONES, st.integers(1, 31))
def test_a_month_later_is_in_the_next_month_on_the_anchor_day(at, zone, anchor):
    before = datetime.fromtimestamp(at, zone)
    after = datetime.fromtimestamp(add_month(at, zone, anchor), zone)
    assert (after.year * 12 + after.month) - (before.year * 12 + before.month) == 1
    assert after.day == min(anchor, calendar.monthrange(after.year, after.month)[1])


@given(MOMENTS, ZONES)
def test_a_year_of_periods_keeps_the_day_on_which_the_first_began(at, zone):
    day = datetime.fromtimestamp(at, zone).day
    start, end = first_period(at, zone)
    for _ in range(24):
        assert anchor_of(start, end, zone) == day
        assert DAYS_28 - 3600 <= end - start <= 31 * 86_400 + 3600
        previous, (start, end) = end, next_period(start, end, zone, end)
        assert start == previous


def test_who_pays_late_has_the_same_period_as_who_pays_in_time():
    start, end = first_period(moment("2026-11-24 12:00"), UTC_ZONE)
    assert next_period(start, end, UTC_ZONE, end + 6 * 86_400) == (end, moment("2027-01-24 12:00"))


def test_who_pays_after_months_without_a_server_pays_for_the_month_to_come():
    start, end = first_period(moment("2026-11-24 12:00"), UTC_ZONE)
    late = moment("2027-03-31 15:00")
    assert next_period(start, end, UTC_ZONE, late) == (late, moment("2027-04-30 15:00"))
