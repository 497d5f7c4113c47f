"""What was used, added up by day, model, key or user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.tables import api_keys
from magic_eraser.db.base import now
from magic_eraser.db.database import Database
from magic_eraser.errors import ValidationFailed
from magic_eraser.usage.csv_text import csv_text
from magic_eraser.usage.tables import usage_events

MOST_DAYS = 366
USUAL_DAYS = 30
MOST_ROWS = 200
"""Of models, keys or users, unless it is told otherwise."""
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class By(StrEnum):
    """What the rows of a report are."""

    DAY = "day"
    MODEL = "model"
    KEY = "key"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Tally:
    """A sum of events.

    Attributes:
        calls: as the ledger counts them: neither results from the cache nor pictures whose hold had run out.
        cached: results that came from the cache, at no cost.
        units: what the calls weighed.
        amount: milli-cents.
    """

    calls: int = 0
    cached: int = 0
    units: int = 0
    amount: int = 0

    def to_json(self) -> dict[str, object]:
        """As it goes over the wire: the amount as a decimal."""
        return {
            "calls": self.calls,
            "cached": self.cached,
            "units": self.units,
            "amount": to_text(self.amount),
        }


@dataclass(frozen=True, slots=True)
class Row:
    """One day, model, key or user.

    Attributes:
        id: `2026-11-24`, or which model, key or user.
        name: of a key; None where it has none (a token) or is gone, and for the others.
        user: of a key; None for the others.
        tally: its events.
    """

    id: str
    tally: Tally
    name: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Some days of usage.

    Attributes:
        first, last: the days, both included.
        rows: by day, all days in their order; else those with most amount, then most calls, first.
        total: of all rows, those left out included.
        left_out: how many rows there are beyond the most that were asked for.
    """

    by: By
    first: date
    last: date
    rows: tuple[Row, ...]
    total: Tally
    left_out: int = 0

    def to_json(self) -> dict[str, object]:
        """As `GET /v1/account/usage` answers."""
        return {
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "by": str(self.by),
            "rows": [self._row(row) for row in self.rows],
            "total": self.total.to_json(),
        }

    def to_csv(self) -> str:
        """A line for each row, without the total."""
        names = list(self._row(Row("", Tally())))
        return csv_text(names, ([*self._row(row).values()] for row in self.rows))

    def _row(self, row: Row) -> dict[str, object]:
        of_key = {"name": row.name, "user": row.user} if self.by is By.KEY else {}
        return {str(self.by): row.id, **of_key, **row.tally.to_json()}


def parse_day(text: str) -> date:
    """A day such as `2026-11-24`.

    Raises:
        ValueError: it is none.
    """
    if not _DAY.fullmatch(text):
        raise ValueError(f"{text!r} is not a day such as 2026-11-24")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a day of the calendar") from None


class Reports:
    """Made from the events of usage. Days are those of the plans' time zone.

    Args:
        plans: whose time zone says what day it is.
    """

    def __init__(self, database: Database, plans: Plans) -> None:
        self._database = database
        self._plans = plans

    async def usage(
        self,
        by: By,
        first: date | None = None,
        last: date | None = None,
        *,
        tenant: str | None = None,
        most: int | None = MOST_ROWS,
    ) -> Report:
        """What was used on some days.

        Args:
            first, last: both included; the `USUAL_DAYS` up to `last`, and today, where None.
            tenant: whose; of all where None.
            most: rows, where they are not days; None: all.

        Raises:
            ValidationFailed: they are in the wrong order, or more than `MOST_DAYS`.
            StorageUnavailable: see `Database.read`.
        """
        async with self._database.read() as connection:
            if last is None:
                last = parse_day(
                    self._plans.book.day((await connection.execute(sa.select(now()))).scalar_one())
                )
            if first is None:
                first = date.fromordinal(max(1, last.toordinal() - USUAL_DAYS + 1))
            _check(first, last)
            found = list(await connection.execute(_query(by, first, last, tenant, most)))
        total = _tally(found[0], "all_") if found else Tally()
        rows = [Row(row.id, _tally(row), row.name, row.user) for row in found]
        if by is By.DAY:
            return Report(by, first, last, tuple(_every_day(first, last, rows)), total)
        left_out = int(found[0].rows) - len(rows) if found else 0
        return Report(by, first, last, tuple(rows), total, left_out)


def _check(first: date, last: date) -> None:
    days = (last - first).days + 1
    if days < 1:
        raise ValidationFailed(
            f"The first day, {first}, is after the last, {last}.", f"起始日期 {first} 晚于结束日期 {last}。"
        )
    if days > MOST_DAYS:
        raise ValidationFailed(
            f"From {first} to {last} are {days} days; at most {MOST_DAYS} can be asked for at once.",
            f"{first} 至 {last} 共 {days} 天；一次最多可查询 {MOST_DAYS} 天。",
        )


def _query(by: By, first: date, last: date, tenant: str | None, most: int | None) -> sa.Select[Any]:
    """Rows with their tallies, and in each the sums over all of them, those beyond the limit included."""
    event = usage_events.c
    group = {
        By.DAY: [event.day],
        By.MODEL: [event.model],
        By.KEY: [event.subject, event.tenant_id],
        By.USER: [event.tenant_id],
    }[by]
    kept = sa.case((event.cached, 1), else_=0)
    charged = sa.case((sa.and_(event.units > 0, sa.not_(event.cached)), 1), else_=0)
    sums = (
        sa.select(
            group[0].label("id"),
            (group[1] if by is By.KEY else sa.null()).label("user"),
            sa.func.sum(charged).label("calls"),
            sa.func.sum(kept).label("cached"),
            sa.func.sum(event.units).label("units"),
            sa.func.sum(event.amount).label("amount"),
        )
        .where(event.day.between(first.isoformat(), last.isoformat()))
        .group_by(*group)
    )
    if tenant is not None:
        sums = sums.where(event.tenant_id == tenant)
    row = sums.subquery().c
    name = sa.null().label("name") if by is not By.KEY else api_keys.c.name
    over_all = [
        sa.func.sum(column).over().label(f"all_{column.name}")
        for column in (row.calls, row.cached, row.units, row.amount)
    ]
    query = sa.select(*row, name, *over_all, sa.func.count().over().label("rows"))
    if by is By.KEY:
        query = query.join_from(
            row.id.table,
            api_keys,
            sa.and_(api_keys.c.id == row.id, api_keys.c.user_id == row.user),
            isouter=True,
        )
    if by is By.DAY:
        return query.order_by(row.id)
    return query.order_by(row.amount.desc(), row.calls.desc(), row.id, row.user).limit(most)


def _tally(row: Any, prefix: str = "") -> Tally:
    """Sums that are decimals in PostgreSQL."""
    names = ("calls", "cached", "units", "amount")
    return Tally(*(int(getattr(row, prefix + name)) for name in names))


def _every_day(first: date, last: date, rows: list[Row]) -> Iterator[Row]:
    there = {row.id: row for row in rows}
    for number in range((last - first).days + 1):
        day = (first + timedelta(days=number)).isoformat()
        yield there.get(day) or Row(day, Tally())
