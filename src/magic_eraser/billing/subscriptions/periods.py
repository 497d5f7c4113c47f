"""Months of a subscription: from one day of the month to the same day of the next."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def add_month(at: float, zone: ZoneInfo, anchor_day: int) -> float:
    """The same time of day on the anchor day of the next month, or on its last day where it is shorter. A time that the
    clocks leave out that day comes as much later as they were put forward.

    Args:
        at: seconds since 1970.
        zone: whose calendar it is.
        anchor_day: 1..31, the day of the month on which the first period began; see `anchor_of`.
    """
    local = datetime.fromtimestamp(at, UTC).astimezone(zone)
    year, month = (local.year + 1, 1) if local.month == 12 else (local.year, local.month + 1)
    day = min(anchor_day, calendar.monthrange(year, month)[1])
    return local.replace(year=year, month=month, day=day, fold=0).timestamp()


def first_period(at: float, zone: ZoneInfo) -> tuple[float, float]:
    """Start and end of a period that begins now."""
    return at, add_month(at, zone, _day(at, zone))


def next_period(start: float, end: float, zone: ZoneInfo, at: float) -> tuple[float, float]:
    """Start and end of the period after one: from the end of that, so that who pays late gains nothing; from `at` where
    it would be over by then, so that nobody pays for a month in which no server ran."""
    after = add_month(end, zone, anchor_of(start, end, zone))
    return (end, after) if after > at else first_period(at, zone)


def anchor_of(start: float, end: float, zone: ZoneInfo) -> int:
    """The anchor day of a period: the later of its two days, as of two months in a row one has 31 and clamps none.

    Args:
        start, end: seconds since 1970, a month apart.
    """
    return max(_day(start, zone), _day(end, zone))


def _day(at: float, zone: ZoneInfo) -> int:
    return datetime.fromtimestamp(at, UTC).astimezone(zone).day
