"""PostgreSQL that stops, dies, freezes or is overrun: told in time, and got over without a new `Database`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from databases import make_schema
from magic_eraser.db.blobs import blobs
from magic_eraser.db.database import Database
from magic_eraser.db.faults import reason
from magic_eraser.db.upgrade import State, check
from magic_eraser.errors import StorageUnavailable
from private_servers import PrivatePostgres


@pytest.fixture
def server() -> Iterator[PrivatePostgres]:
    with PrivatePostgres(max_connections="8", superuser_reserved_connections="2") as running:
        asyncio.run(make_schema(running.url))
        yield running


async def put(database: Database, name: str) -> None:
    async with database.write() as connection:
        await connection.execute(sa.insert(blobs).values(id=name, folder="f", size=0, created_at=0.0))


async def names(database: Database) -> list[str]:
    async with database.read() as connection:
        return sorted(await connection.scalars(sa.select(blobs.c.id)))


async def refused(database: Database, within: float) -> StorageUnavailable:
    begin = time.monotonic()
    with pytest.raises(StorageUnavailable) as told:
        await database.ping()
    assert time.monotonic() - begin < within
    assert told.value.retry_after
    return told.value


def test_stopped_and_started_it_is_missed_at_once_and_found_again(server):
    async def story():
        database = Database(server.url, timeout_seconds=5)
        try:
            await asyncio.gather(*(put(database, f"before{number}") for number in range(4)))
            server.stop()
            assert "Connect call failed" in reason(await refused(database, within=2))
            told = await asyncio.gather(*(put(database, str(n)) for n in range(20)), return_exceptions=True)
            assert {type(error) for error in told} == {StorageUnavailable}
            assert (await check(database)).state is State.UNREACHABLE
            server.start()
            await put(database, "after")
            assert await names(database) == ["after", "before0", "before1", "before2", "before3"]
        finally:
            await database.close()

    asyncio.run(story())


def test_restarted_between_two_transactions_it_is_not_missed_at_all(server):
    async def story():
        database = Database(server.url, timeout_seconds=5)
        try:
            await asyncio.gather(*(put(database, str(number)) for number in range(4)))
            server.restart()
            for _ in range(6):
                await database.ping()
        finally:
            await database.close()

    asyncio.run(story())


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_gone_in_the_middle_of_a_transaction_leaves_nothing_of_it(server, way):
    async def story():
        database = Database(server.url, timeout_seconds=5)

        async def interrupted():
            async with database.write() as connection:
                await connection.execute(
                    sa.insert(blobs).values(id="half", folder="f", size=0, created_at=0.0)
                )
                await asyncio.to_thread(getattr(server, way))
                await connection.execute(
                    sa.insert(blobs).values(id="whole", folder="f", size=0, created_at=0.0)
                )

        try:
            with pytest.raises(StorageUnavailable):
                await interrupted()
            server.start()
            assert await names(database) == []
            await put(database, "after")
        finally:
            await database.close()

    asyncio.run(story())


def test_frozen_it_is_given_up_within_the_timeout_and_found_again(server):
    async def story():
        database = Database(server.url, timeout_seconds=1, pool_size=3)
        try:
            await asyncio.gather(*(put(database, str(number)) for number in range(4)))
            server.freeze()
            begin = time.monotonic()
            told = await asyncio.gather(*(database.ping() for _ in range(15)), return_exceptions=True)
            assert {type(error) for error in told} == {StorageUnavailable}
            assert time.monotonic() - begin < 5
            server.thaw()
            await asyncio.gather(*(database.ping() for _ in range(15)))
        finally:
            await database.close()

    asyncio.run(story())


def test_frozen_in_the_middle_of_a_transaction_it_is_given_up_as_well(server):
    async def story():
        database = Database(server.url, timeout_seconds=1)

        async def interrupted():
            async with database.write() as connection:
                await connection.execute(
                    sa.insert(blobs).values(id="half", folder="f", size=0, created_at=0.0)
                )
                await asyncio.to_thread(server.freeze)
                await connection.execute(sa.select(1))

        try:
            begin = time.monotonic()
            with pytest.raises(StorageUnavailable):
                await interrupted()
            assert time.monotonic() - begin < 8
            server.thaw()
            await put(database, "after")
            assert await names(database) == ["after"]
        finally:
            await database.close()

    asyncio.run(story())


def test_a_task_cancelled_while_it_is_frozen_ends_soon(server):
    async def story():
        database = Database(server.url, timeout_seconds=3)
        try:
            await put(database, "before")
            server.freeze()
            task = asyncio.create_task(database.ping())
            await asyncio.sleep(0.1)
            begin = time.monotonic()
            task.cancel()
            await asyncio.wait([task])
            assert time.monotonic() - begin < 4
            server.thaw()
            await database.ping()
        finally:
            await database.close()

    asyncio.run(story())


def test_its_last_connection_taken_by_others_is_told_and_got_over(server):
    async def story():
        others = [Database(server.url, pool_size=1) for _ in range(8)]
        database = Database(server.url, timeout_seconds=2)
        try:
            async with asyncio.TaskGroup() as group:  # superusers may have all eight
                for other in others:
                    group.create_task(other.ping())
            assert "too many clients" in reason(await refused(database, within=3))
            await others[0].close()
            await database.ping()
        finally:
            for each in (*others, database):
                await each.close()

    asyncio.run(story())


def test_more_tasks_than_connections_wait_and_those_who_wait_too_long_are_told(server):
    async def story():
        database = Database(server.url, timeout_seconds=0.5, pool_size=2)

        async def hold(seconds):
            async with database.read() as connection:
                await connection.execute(sa.select(sa.func.pg_sleep(seconds)))

        try:
            await asyncio.gather(*(hold(0.05) for _ in range(10)))
            told = await asyncio.gather(*(hold(0.9) for _ in range(4)), return_exceptions=True)
            assert [type(error) for error in told].count(StorageUnavailable) == 2
            await asyncio.gather(*(database.ping() for _ in range(10)))
        finally:
            await database.close()

    asyncio.run(story())
