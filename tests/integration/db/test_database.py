"""Transactions, the same on SQLite and on PostgreSQL, and what a cancellation leaves."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time

import pytest
import sqlalchemy as sa

from databases import Open
from magic_eraser.db.base import now
from magic_eraser.db.database import Database
from magic_eraser.usage.tables import usage_events


def event_of(number: int | str) -> sa.Insert:
    """One row, told apart by `number`."""
    row = {
        "source": "test",
        "source_id": str(number),
        "tenant_id": "t",
        "subject": "s",
        "model": "m",
        "units": 1,
    }
    return sa.insert(usage_events).values(**row, at=now())


async def count(database: Database) -> int:
    async with database.read() as connection:
        return await connection.scalar(sa.select(sa.func.count()).select_from(usage_events)) or 0


class TestTransactions:
    def test_what_was_written_is_there_and_what_raised_is_not(self, open_database: Open):
        async def story():
            async with open_database() as database:
                async with database.write() as connection:
                    await connection.execute(event_of(1))
                with pytest.raises(sa.exc.IntegrityError):
                    await self.write(database, 2, 3, 3)
                assert await count(database) == 1

        asyncio.run(story())

    def test_an_error_that_is_an_answer_stays_what_it_is(self, open_database: Open):
        async def story():
            async with open_database() as database:
                with pytest.raises(sa.exc.IntegrityError) as answer:
                    await self.write(database, 1, 1)
                assert answer.value.__cause__ is not answer.value
                with pytest.raises(sa.exc.DBAPIError):  # a defect of ours is not told as an outage
                    async with database.read() as connection:
                        await connection.execute(sa.text("SELECT * FROM no_such_table"))
                with pytest.raises(ProcessLookupError):  # nor is what the block does besides
                    async with database.write():
                        os.kill(2**22 + 1, 0)  # no process is called so

        asyncio.run(story())

    async def write(self, database: Database, *numbers: int) -> None:
        async with database.write() as connection:
            for number in numbers:
                await connection.execute(event_of(number))

    def test_fifty_writers_at_once_lose_nothing(self, open_database: Open):
        async def story():
            async with open_database() as database:
                await asyncio.gather(*(self.raise_counter(database) for _ in range(50)))
                async with database.read() as connection:
                    assert await connection.scalar(sa.select(usage_events.c.units)) == 51

        async def begin():
            async with open_database() as database, database.write() as connection:
                await connection.execute(event_of("counter"))

        asyncio.run(begin())
        asyncio.run(story())

    async def raise_counter(self, database: Database) -> None:
        """Reads, then writes what it read and one."""
        async with database.write() as connection:
            units = await connection.scalar(sa.select(usage_events.c.units).with_for_update())
            await connection.execute(sa.update(usage_events).values(units=units + 1))

    def test_two_processes_on_one_database_lose_nothing(self, open_database: Open, database_url):
        async def begin():
            async with open_database() as database, database.write() as connection:
                await connection.execute(event_of("counter"))

        asyncio.run(begin())
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=raise_counter_often, args=(database_url,)) for _ in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0, 0]

        async def end():
            async with open_database() as database, database.read() as connection:
                assert await connection.scalar(sa.select(usage_events.c.units)) == 41

        asyncio.run(end())

    def test_a_database_built_outside_a_loop_works_in_one(self, database_url):
        database = Database(database_url)

        async def story():
            try:
                await asyncio.gather(*(self.write(database, number) for number in range(5)))
                assert await count(database) == 5
            finally:
                await database.close()

        asyncio.run(story())

    def test_a_closed_one_opens_again(self, open_database: Open):
        async def story():
            async with open_database() as database:
                await database.ping()
                await database.close()
                await database.ping()

        asyncio.run(story())

    def test_the_clock_moves_within_a_transaction_and_is_near_ours(self, open_database: Open):
        async def story():
            async with open_database() as database, database.read() as connection:
                first = await connection.scalar(sa.select(now()))
                await asyncio.sleep(0.02)
                second = await connection.scalar(sa.select(now()))
                assert 0.01 < second - first < 5
                assert abs(second - time.time()) < 5

        asyncio.run(story())


def raise_counter_often(url: str) -> None:
    async def story():
        database = Database(url)
        try:
            for _ in range(20):
                await TestTransactions().raise_counter(database)
        finally:
            await database.close()

    asyncio.run(story())


class TestCancellation:
    @pytest.mark.parametrize("times", [1, 2])
    def test_a_task_cancelled_within_a_transaction_leaves_nothing_and_harms_nobody(
        self, open_database: Open, times
    ):
        """Also where a second cancellation comes while the first is being answered."""

        async def story():
            async with open_database(timeout_seconds=3) as database:
                reached = asyncio.Event()

                async def write_and_wait():
                    async with database.write() as connection:
                        await connection.execute(event_of(1))
                        reached.set()
                        await asyncio.Event().wait()

                for _ in range(20):  # more often than there are connections
                    task = asyncio.create_task(write_and_wait())
                    await reached.wait()
                    reached.clear()
                    for _ in range(times):
                        task.cancel()
                        await asyncio.sleep(0)
                    with pytest.raises(asyncio.CancelledError):
                        await task
                assert await count(database) == 0
                async with database.write() as connection:
                    await connection.execute(event_of(2))
                assert await count(database) == 1

        asyncio.run(story())

    def test_cancelled_at_any_moment_a_writer_wrote_all_or_nothing(self, open_database: Open):
        async def story():
            async with open_database(timeout_seconds=3) as database:

                async def write_two(number):
                    async with database.write() as connection:
                        await connection.execute(event_of(f"{number}a"))
                        await connection.execute(event_of(f"{number}b"))

                await write_two("warm")
                begin = time.perf_counter()
                await write_two("measured")
                whole = time.perf_counter() - begin
                for number in range(40):
                    task = asyncio.create_task(write_two(number))
                    await asyncio.sleep(whole * 1.2 * number / 40)
                    task.cancel()
                    await asyncio.wait([task])
                async with database.read() as connection:
                    names = set(await connection.scalars(sa.select(usage_events.c.source_id)))
                assert {name[:-1] for name in names if name.endswith("a")} == {
                    name[:-1] for name in names if name.endswith("b")
                }
                await asyncio.gather(*(write_two(f"after{number}") for number in range(20)))

        asyncio.run(story())

    def test_writers_that_wait_for_their_turn_can_be_cancelled_at_once(self, open_sqlite: Open):
        async def story():
            async with open_sqlite() as database, database.write() as connection:
                await connection.execute(event_of(1))
                waiting = [asyncio.create_task(self.write(database)) for _ in range(3)]
                await asyncio.sleep(0.05)
                begin = time.monotonic()
                for task in waiting:
                    task.cancel()
                await asyncio.wait(waiting)
                assert time.monotonic() - begin < 1

        asyncio.run(story())

    async def write(self, database: Database) -> None:
        async with database.write() as connection:
            await connection.execute(event_of("late"))


def test_a_write_that_is_cancelled_half_way_locks_nobody_out(database_url):
    """A client that goes away in the middle of a transaction: the next writer finds the lock free at once."""

    async def story():
        database = Database(database_url, timeout_seconds=2)

        async def write() -> None:
            async with database.write() as connection:
                await connection.execute(sa.text("CREATE TABLE IF NOT EXISTS given_up (a INTEGER)"))
                await connection.execute(sa.text("INSERT INTO given_up VALUES (1)"))
                await connection.execute(sa.text("SELECT 1"))

        await write()
        for step in range(60):
            cancelled = asyncio.create_task(write())
            await asyncio.sleep(step % 12 * 0.0003)
            cancelled.cancel()
            await asyncio.gather(cancelled, return_exceptions=True)
            await write()
        await database.close()

    asyncio.run(story())
