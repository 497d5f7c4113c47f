"""Events of usage beside the charge they belong to, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from magic_eraser.accounts.plan_files.plan_file import read
from magic_eraser.accounts.plans import Plans
from magic_eraser.db.base import now
from magic_eraser.usage.event import UsageEvent
from magic_eraser.usage.log import BufferedUsage, DatabaseUsage
from magic_eraser.usage.tables import usage_events

EVENT = UsageEvent(
    source="request",
    source_id="r1",
    tenant_id="alice",
    subject="key1",
    model="mat",
    units=2,
    amount=20_000,
    plan="basic",
    pixels=10**10,
    seconds=0.25,
    day="2026-11-24",
)


async def rows(database):
    async with database.read() as connection:
        return (await connection.execute(sa.select(usage_events).order_by(usage_events.c.source_id))).all()


def test_everything_that_was_told_is_there(open_database):
    async def story():
        async with open_database() as database:
            async with database.write() as connection:
                await DatabaseUsage(Plans(read(None))).record(EVENT, connection)
                present = (await connection.execute(sa.select(now()))).scalar_one()
            (row,) = await rows(database)
            assert abs(row.at - present) < 5
            told = {name: value for name, value in row._mapping.items() if name != "at"}
            assert UsageEvent(**told) == EVENT

    asyncio.run(story())


def test_told_twice_it_is_written_once(open_database):
    async def story():
        async with open_database() as database:
            usage = DatabaseUsage(Plans(read(None)))
            for units in (2, 7):  # as where the answer to the first commit was lost
                async with database.write() as connection:
                    await usage.record(replace(EVENT, units=units), connection)
                    await usage.record(replace(EVENT, units=units), connection)
            assert [row.units for row in await rows(database)] == [2]

    asyncio.run(story())


def test_it_is_not_told_where_the_charge_fails(open_database):
    async def story():
        async with open_database() as database:
            with suppress(ZeroDivisionError):
                async with database.write() as connection:
                    await DatabaseUsage(Plans(read(None))).record(EVENT, connection)
                    raise ZeroDivisionError
            assert await rows(database) == []

    asyncio.run(story())


def test_what_is_charged_is_not_told_outside_of_a_transaction():
    with pytest.raises(ValueError, match="transaction"):
        asyncio.run(DatabaseUsage(Plans(read(None))).record(EVENT))


@pytest.mark.parametrize("buffered", [False, True])
def test_its_day_is_that_of_the_plans_time_zone(open_database, buffered):
    moment = 1_795_564_799.0  # 2026-11-24 23:59:59 UTC

    async def story():
        for zone, day in (
            ("UTC", "2026-11-24"),
            ("Asia/Shanghai", "2026-11-25"),
            ("Etc/GMT+12", "2026-11-24"),
        ):
            plans = Plans(replace(read(None), zone=ZoneInfo(zone)))
            async with open_database() as database:
                told = replace(EVENT, source_id=zone, at=moment, day=None)
                if buffered:
                    usage = BufferedUsage(database, plans, seconds=1000)
                    await usage.record(told)
                    await usage.stop()
                else:
                    async with database.write() as connection:
                        await DatabaseUsage(plans).record(told, connection)
                found = {row.source_id: (row.day, row.at) for row in await rows(database)}
                assert found[zone] == (day, moment)

    asyncio.run(story())


def test_without_a_moment_and_a_day_it_is_now_by_the_clock_of_the_database(open_database):
    async def story():
        async with open_database() as database:
            plans = Plans(read(None))
            for source_id, day in (("a", None), ("b", "")):
                async with database.write() as connection:
                    told = replace(EVENT, source_id=source_id, day=day)
                    await DatabaseUsage(plans).record(told, connection)
            for row in await rows(database):
                assert row.day == plans.book.day(row.at)

    asyncio.run(story())


def test_a_buffer_writes_many_at_once_and_each_once(open_database):
    async def story():
        async with open_database() as database:
            usage = BufferedUsage(database, Plans(read(None)), seconds=1000)
            for number in range(1200):
                await usage.record(
                    replace(EVENT, source_id=f"{number:04}", units=0, cached=True, plan=None, day=None)
                )
            await usage.record(replace(EVENT, source_id="0000"))  # a second telling
            assert await usage.flush()
            found = await rows(database)
            assert [row.source_id for row in found] == [f"{number:04}" for number in range(1200)]
            assert {(row.cached, row.plan, row.units) for row in found} == {(True, None, 0)}
            await usage.stop()

    asyncio.run(story())
