"""Usage added up by day, model, key and user, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from magic_eraser.accounts.plan_files.plan_file import read
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.tables import api_keys, users
from magic_eraser.db.base import now
from magic_eraser.errors import ValidationFailed
from magic_eraser.usage.event import UsageEvent
from magic_eraser.usage.log import DatabaseUsage
from magic_eraser.usage.reports import MOST_DAYS, By, Reports, Tally
from magic_eraser.usage.tables import usage_events

PLANS = Plans(read(None))
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)


def event(number: int, **values) -> UsageEvent:
    usual = {
        "tenant_id": "alice",
        "subject": "key1",
        "model": "lama",
        "units": 1,
        "amount": 10_000,
        "day": "2026-11-24",
    }
    return UsageEvent(source="request", source_id=str(number), **{**usual, **values})


def cached(number: int, **values) -> UsageEvent:
    return event(number, **{"units": 0, "amount": 0, "cached": True, **values})


async def tell(database, *events) -> None:
    async with database.write() as connection:
        for each in events:
            await DatabaseUsage(PLANS).record(each, connection)


async def a_key(database, user: str, key: str, name: str) -> None:
    async with database.write() as connection:
        there = await connection.scalar(sa.select(users.c.id).where(users.c.id == user))
        if there is None:
            await connection.execute(
                users.insert().values(id=user, plan="free", role="user", created_at=now())
            )
        await connection.execute(
            api_keys.insert().values(
                id=key, user_id=user, name=name, digest=key, pepper_id="p", ending="abcd", scopes=[], made_by=user,
                created_at=now(),
            )
        )  # fmt: skip


def test_days_without_usage_are_there_with_zeros(open_database):
    async def story():
        async with open_database() as database:
            await tell(
                database,
                event(1),
                event(2, model="mat", units=2, amount=20_000),
                cached(3),
                event(4, day="2026-11-01"),
                event(5, day="2026-10-31"),
                event(6, day="2026-12-01"),
                event(7, tenant_id="bob"),
            )
            report = await Reports(database, PLANS).usage(By.DAY, FIRST, LAST, tenant="alice")
        assert [row.id for row in report.rows] == [f"2026-11-{day:02}" for day in range(1, 31)]
        used = {row.id: row.tally for row in report.rows if row.tally != Tally()}
        assert used == {"2026-11-01": Tally(1, 0, 1, 10_000), "2026-11-24": Tally(2, 1, 3, 30_000)}
        assert report.total == Tally(3, 1, 4, 40_000)

    asyncio.run(story())


def test_the_dearest_come_first(open_database):
    async def story():
        async with open_database() as database:
            mats = [event(number, model="mat", units=2, amount=20_000) for number in range(3)]
            await tell(database, *mats, *(event(number) for number in range(10, 14)), cached(20, model="ldm"))
            report = await Reports(database, PLANS).usage(By.MODEL, FIRST, LAST)
        assert [(row.id, row.tally) for row in report.rows] == [
            ("mat", Tally(3, 0, 6, 60_000)),
            ("lama", Tally(4, 0, 4, 40_000)),
            ("ldm", Tally(0, 1, 0, 0)),
        ]

    asyncio.run(story())


def test_keys_have_their_names_and_nobody_elses(open_database):
    async def story():
        async with open_database() as database:
            await a_key(database, "alice", "key1", "laptop")
            await a_key(database, "alice", "key2", "never used")
            await a_key(database, "bob", "key3", "bob's")
            await tell(
                database,
                event(1),
                event(2, subject="token"),
                event(3, tenant_id="bob", subject="token", amount=0),
                event(
                    4, subject="key3", amount=1
                ),  # a key of bob's among alice's events would be a defect: no name
            )
            reports = Reports(database, PLANS)
            mine = await reports.usage(By.KEY, FIRST, LAST, tenant="alice")
            everybodys = await reports.usage(By.KEY, FIRST, LAST)
        assert [(row.id, row.name) for row in mine.rows] == [
            ("key1", "laptop"),
            ("token", None),
            ("key3", None),
        ]
        assert [(row.id, row.user) for row in everybodys.rows if row.id == "token"] == [
            ("token", "alice"),
            ("token", "bob"),
        ]

    asyncio.run(story())


def test_a_long_list_is_cut_and_its_total_is_not(open_database):
    async def story():
        async with open_database() as database:
            await tell(
                database, *(event(number, tenant_id=f"user{number}", amount=number) for number in range(10))
            )
            reports = Reports(database, PLANS)
            cut = await reports.usage(By.USER, FIRST, LAST, most=3)
            whole = await reports.usage(By.USER, FIRST, LAST, most=None)
        assert [row.id for row in cut.rows] == ["user9", "user8", "user7"]
        assert (cut.total, cut.left_out) == (Tally(10, 0, 10, 45), 7)
        assert (len(whole.rows), whole.total, whole.left_out) == (10, cut.total, 0)

    asyncio.run(story())


def test_sums_beyond_32_bits_are_exact(open_database):
    async def story():
        async with open_database() as database:
            await tell(database, *(event(number, amount=10**15 - number) for number in range(5)))
            report = await Reports(database, PLANS).usage(By.DAY, FIRST, LAST)
        assert report.total.amount == 5 * 10**15 - 10

    asyncio.run(story())


@pytest.mark.parametrize("by", By)
def test_where_nothing_was_used_there_is_nothing(open_database, by):
    async def story():
        async with open_database() as database:
            report = await Reports(database, PLANS).usage(by, FIRST, LAST, tenant="alice")
        assert report.total == Tally()
        assert len(report.rows) == (30 if by is By.DAY else 0)

    asyncio.run(story())


def test_the_usual_report_is_of_the_last_thirty_days_up_to_today(open_database):
    async def story():
        async with open_database() as database:
            await tell(database, event(1, day=None))
            reports = Reports(database, PLANS)
            usual = await reports.usage(By.DAY)
            assert usual.total.calls == 1
            assert (usual.last - usual.first).days == 29
            assert usual.rows[-1].tally.calls == 1
            until = await reports.usage(By.DAY, last=FIRST)
            assert (until.first, until.last) == (FIRST - timedelta(days=29), FIRST)
            assert len((await reports.usage(By.DAY, last=date.min)).rows) == 1

    asyncio.run(story())


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        (LAST, FIRST, "The first day, 2026-11-30, is after the last, 2026-11-01."),
        (LAST - timedelta(days=MOST_DAYS), LAST, "are 367 days; at most 366"),
        (date.min, date.max, "at most 366"),
    ],
)
def test_days_in_the_wrong_order_and_too_many_are_refused(open_database, first, last, told):
    async def story():
        async with open_database() as database:
            with pytest.raises(ValidationFailed, match=told) as caught:
                await Reports(database, PLANS).usage(By.DAY, first, last)
        assert str(first) in caught.value.detail_zh

    asyncio.run(story())


def test_on_the_wire_and_as_csv(open_database):
    async def story():
        async with open_database() as database:
            await a_key(database, "alice", "key1", "=HYPERLINK(1)")
            await tell(database, event(1), cached(2), event(3, subject="token", amount=125))
            return await Reports(database, PLANS).usage(By.KEY, FIRST, LAST, tenant="alice")

    report, counts = asyncio.run(story()), {"calls": 1, "units": 1}
    assert report.to_json() == {
        "from": "2026-11-01",
        "to": "2026-11-30",
        "by": "key",
        "rows": [
            {
                "key": "key1",
                "name": "=HYPERLINK(1)",
                "user": "alice",
                **counts,
                "cached": 1,
                "amount": "0.10",
            },
            {"key": "token", "name": None, "user": "alice", **counts, "cached": 0, "amount": "0.00125"},
        ],
        "total": {"calls": 2, "cached": 1, "units": 2, "amount": "0.10125"},
    }
    assert list(csv.reader(io.StringIO(report.to_csv(), newline=""))) == [
        ["key", "name", "user", "calls", "cached", "units", "amount"],
        ["key1", "'=HYPERLINK(1)", "alice", "1", "1", "1", "0.10"],
        ["token", "", "alice", "1", "0", "1", "0.00125"],
    ]


EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "tenant_id": st.sampled_from(["alice", "bob", "anonymous@192.0.2.1"]),
            "subject": st.sampled_from(["key1", "key2", "token"]),
            "model": st.sampled_from(["lama", "mat", "ldm"]),
            "units": st.integers(0, 2**31 - 1),
            "amount": st.integers(0, 10**15),
            "cached": st.booleans(),
            "day": st.dates(FIRST - timedelta(days=2), LAST + timedelta(days=2)).map(date.isoformat),
        }
    ),
    max_size=25,
)


def test_whatever_was_used_days_models_keys_and_users_come_to_the_same(open_database):
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(EVENTS, st.sampled_from(["alice", "bob", None]))
    def holds(told, tenant):
        asyncio.run(story([event(number, **values) for number, values in enumerate(told)], tenant))

    async def story(told, tenant):
        async with open_database() as database:
            async with database.write() as connection:
                await connection.execute(usage_events.delete())
            await tell(database, *told)
            found = [await Reports(database, PLANS).usage(by, FIRST, LAST, tenant=tenant) for by in By]
        counted = [
            each
            for each in told
            if tenant in (None, each.tenant_id) and FIRST.isoformat() <= each.day <= LAST.isoformat()
        ]
        total = Tally(
            sum(not each.cached for each in counted),
            sum(each.cached for each in counted),
            sum(each.units for each in counted),
            sum(each.amount for each in counted),
        )
        for report in found:
            assert report.total == total
            assert total == Tally(
                *(sum(getattr(row.tally, name) for row in report.rows) for name in Tally.__slots__)
            )

    holds()
