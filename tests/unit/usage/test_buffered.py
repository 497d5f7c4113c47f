"""Usage that nobody pays for: kept in memory for a moment, written together, and never in a request's way."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import sqlalchemy as sa
import structlog

from magic_eraser.accounts.plan_files.plan_file import read
from magic_eraser.accounts.plans import Plans
from magic_eraser.errors import StorageUnavailable
from magic_eraser.usage.event import UsageEvent
from magic_eraser.usage.log import BufferedUsage
from magic_eraser.usage.tables import usage_events

PLANS = Plans(read(None))


class Away:
    """A database that is away until it is `there`."""

    def __init__(self, database) -> None:
        self._database = database
        self.there = False
        self.asked = 0

    @asynccontextmanager
    async def write(self):
        self.asked += 1
        if not self.there:
            raise StorageUnavailable
        async with self._database.write() as connection:
            yield connection


def event(number: int, **values) -> UsageEvent:
    return UsageEvent("request", str(number), "local", "owner", "telea", 0, **values)


async def until(so) -> None:
    async with asyncio.timeout(5):
        while not so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def written(database) -> list[str]:
    async with database.read() as connection:
        return list(await connection.scalars(sa.select(usage_events.c.source_id).order_by(usage_events.c.at)))


def test_events_wait_for_each_other_and_are_written_by_themselves(open_sqlite):
    async def story():
        async with open_sqlite() as database:
            usage = BufferedUsage(database, PLANS, seconds=0.05)
            for number in range(3):
                await usage.record(event(number))
            assert (usage.waiting, await written(database)) == (3, [])
            await until(lambda: not usage.waiting)
            assert await written(database) == ["0", "1", "2"]

    asyncio.run(story())


def test_at_rest_there_is_no_timer(open_sqlite):
    async def story():
        async with open_sqlite() as database:
            usage = BufferedUsage(database, PLANS, seconds=0.01)
            assert len(asyncio.all_tasks()) == 1
            for number in range(2):  # the second begins a timer anew
                await usage.record(event(number))
                assert len(asyncio.all_tasks()) == 2
                await until(lambda: len(asyncio.all_tasks()) == 1)
            assert await written(database) == ["0", "1"]

    asyncio.run(story())


def test_stopping_writes_what_waits(open_sqlite):
    async def story():
        async with open_sqlite() as database:
            usage = BufferedUsage(database, PLANS, seconds=1000)
            await usage.record(event(1))
            await usage.stop()
            assert await written(database) == ["1"]
            assert len(asyncio.all_tasks()) == 1
            await usage.stop()  # twice does no harm

    asyncio.run(story())


def test_an_event_has_the_time_at_which_it_was_told(open_sqlite):
    async def story():
        async with open_sqlite() as database:
            usage = BufferedUsage(database, PLANS, seconds=1000)
            await usage.record(event(1))
            await asyncio.sleep(0.2)
            await usage.record(event(2))
            await usage.record(event(3, at=86_400.0 * 365))
            await usage.flush()
            async with database.read() as connection:
                rows = (
                    await connection.execute(sa.select(usage_events).order_by(usage_events.c.source_id))
                ).all()
        assert 0.19 < rows[1].at - rows[0].at < 2
        assert (rows[2].at, rows[2].day) == (86_400.0 * 365, "1971-01-01")

    asyncio.run(story())


def test_while_the_database_is_away_events_wait_and_no_request_does(open_sqlite):
    async def story():
        async with open_sqlite() as database:
            away = Away(database)
            usage = BufferedUsage(away, PLANS, seconds=0.01)
            await usage.record(event(1))
            await until(lambda: away.asked >= 3)  # it tries again and again
            assert (usage.waiting, usage.dropped) == (1, 0)
            away.there = True
            await until(lambda: not usage.waiting)
            assert await written(database) == ["1"]

    asyncio.run(story())


def test_more_than_is_kept_is_dropped_counted_and_told_once_an_outage(open_sqlite):
    async def story():
        async with open_sqlite() as database:
            away = Away(database)
            usage = BufferedUsage(away, PLANS, seconds=1000, most=3)
            with structlog.testing.capture_logs() as logs:
                for number in range(10):
                    await usage.record(event(number))
                assert not await usage.flush()
                away.there = True
                assert await usage.flush()
                for number in range(10, 20):
                    await usage.record(event(number))
            assert [line["event"] for line in logs] == ["usage_dropped", "usage_not_written", "usage_dropped"]
            assert usage.dropped == 14
            await usage.stop()
            assert sorted(await written(database)) == ["0", "1", "10", "11", "12", "2"]

    asyncio.run(story())


def test_a_server_that_stops_without_its_database_says_what_was_lost(open_sqlite):
    async def story():
        async with open_sqlite() as database:
            usage = BufferedUsage(Away(database), PLANS, seconds=1000)
            await usage.record(event(1))
            with structlog.testing.capture_logs() as logs:
                await usage.stop()
            assert (usage.waiting, usage.dropped) == (0, 1)
            assert logs[-1]["event"] == "usage_dropped"
            assert logs[-1]["dropped"] == 1

    asyncio.run(story())


def test_an_event_that_cannot_be_written_does_not_keep_the_others_waiting(open_sqlite):
    async def story():
        async with open_sqlite() as database:
            usage = BufferedUsage(database, PLANS, seconds=1000)
            await usage.record(event(1, pixels=object()))
            with structlog.testing.capture_logs() as logs:
                assert await usage.flush()
            assert (usage.waiting, usage.dropped) == (0, 1)
            assert [line["event"] for line in logs] == ["usage_lost"]
            await usage.record(event(2))
            await usage.stop()
            assert await written(database) == ["2"]

    asyncio.run(story())


def test_thousands_of_events_are_written_in_several_transactions(open_sqlite):
    async def story():
        async with open_sqlite() as database:
            counting = Away(database)
            counting.there = True
            usage = BufferedUsage(counting, PLANS, seconds=1000)
            for number in range(2500):
                await usage.record(event(number))
            await usage.flush()
            assert counting.asked == 3
            assert len(await written(database)) == 2500
            await usage.stop()

    asyncio.run(story())


def test_told_while_it_is_being_written_an_event_is_written_too(open_sqlite):
    async def story():
        async with open_sqlite() as database:
            usage = BufferedUsage(database, PLANS, seconds=0.001)
            for number in range(300):
                await usage.record(event(number))
                if number % 7 == 0:
                    await asyncio.sleep(0.001)
            await asyncio.gather(usage.flush(), usage.flush(), usage.stop())
            assert len(await written(database)) == 300

    asyncio.run(story())
