"""A database that is locked, full, broken, away or overrun: told as one of our errors, in time, and got over."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from databases import Open
from magic_eraser.db.base import now
from magic_eraser.db.database import Database
from magic_eraser.db.faults import reason
from magic_eraser.errors import StorageUnavailable
from magic_eraser.usage.tables import usage_events


def event_of(name: int | str) -> sa.Insert:
    """One row, told apart by its name."""
    row = {
        "source": "test",
        "source_id": str(name),
        "tenant_id": "t",
        "subject": "s",
        "model": "m",
        "units": 1,
    }
    return sa.insert(usage_events).values(**row, at=now())


async def write(database: Database, name: int | str) -> None:
    async with database.write() as connection:
        await connection.execute(event_of(name))


async def count(database: Database) -> int:
    async with database.read() as connection:
        return await connection.scalar(sa.select(sa.func.count()).select_from(usage_events)) or 0


HOLD_SQLITE = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""


class TestLockedByAnotherProcess:
    @pytest.fixture
    def hold(self, sqlite_url) -> Iterator[Callable[[float], None]]:
        """Take the write lock for so many seconds."""
        holders = []

        def begin(seconds: float) -> None:
            command = ["python3", "-c", HOLD_SQLITE, sqlite_url.removeprefix("sqlite:///"), str(seconds)]
            holders.append(subprocess.Popen(command, stdout=subprocess.PIPE))
            assert holders[-1].stdout.readline() == b"held\n"

        yield begin
        for holder in holders:
            holder.kill()
            holder.wait()
            holder.stdout.close()

    def test_for_five_seconds_a_writer_waits_and_a_reader_does_not(self, open_sqlite: Open, hold):
        async def story():
            async with open_sqlite(timeout_seconds=10) as database:
                await database.ping()
                hold(5)
                begin = time.monotonic()
                assert await count(database) == 0
                assert time.monotonic() - begin < 1
                await write(database, 1)
                assert 4 < time.monotonic() - begin < 8
                assert await count(database) == 1

        asyncio.run(story())

    def test_for_longer_than_the_timeout_every_writer_is_told_and_the_next_ones_work(
        self, open_sqlite: Open, hold
    ):
        async def story():
            async with open_sqlite(timeout_seconds=0.5) as database:
                await database.ping()
                hold(2.5)
                begin = time.monotonic()
                told = await asyncio.gather(
                    *(write(database, number) for number in range(10)), return_exceptions=True
                )
                assert time.monotonic() - begin < 2  # not ten times the timeout, one after the other
                assert {type(error) for error in told} == {StorageUnavailable}
                assert all(error.retry_after for error in told)
                await asyncio.sleep(2.2)
                await write(database, 1)

        asyncio.run(story())

    def test_a_row_locked_on_postgres_is_waited_for_no_longer_than_the_timeout(self, new_postgres_url):
        async def story():
            first = Database(new_postgres_url)
            second = Database(new_postgres_url, timeout_seconds=0.5)
            try:
                async with first.write() as connection:
                    await connection.execute(event_of(1))
                async with first.write() as connection:
                    await connection.execute(sa.update(usage_events).values(units=2))
                    begin = time.monotonic()
                    with pytest.raises(StorageUnavailable) as told:
                        async with second.write() as other:
                            await other.execute(sa.update(usage_events).values(units=3))
                    assert 0.4 < time.monotonic() - begin < 3
                    assert told.value.retry_after
                    assert "lock timeout" in reason(told.value)
                await second.ping()
            finally:
                await first.close()
                await second.close()

        asyncio.run(story())


class TestSqliteFiles:
    def test_a_missing_folder_a_directory_and_rubbish_are_told_clearly(self, tmp_path):
        (tmp_path / "rubbish.db").write_bytes(b"this is no database at all" * 100)

        async def story():
            for place, word in (
                ("nowhere/eraser.db", "unable to open"),
                (".", "unable to open"),
                ("rubbish.db", "not a database"),
            ):
                database = Database(f"sqlite:///{tmp_path / place}")
                try:
                    with pytest.raises(StorageUnavailable) as told:
                        await database.ping()
                    assert word in reason(told.value)
                finally:
                    await database.close()

        asyncio.run(story())

    def test_a_file_whose_middle_is_rubbish_is_told_clearly(self, sqlite_url, open_sqlite: Open):
        path = Path(sqlite_url.removeprefix("sqlite:///"))

        async def fill():
            async with open_sqlite() as database, database.write() as connection:
                for number in range(500):
                    await connection.execute(event_of(number))

        asyncio.run(fill())
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(path.stat().st_size - 4096))

        async def story():
            async with open_sqlite() as database:
                with pytest.raises(StorageUnavailable) as told:
                    await count(database)
                assert "malformed" in reason(told.value)

        asyncio.run(story())

    def test_writing_what_may_only_be_read_is_told_clearly(self, sqlite_url):
        path = sqlite_url.removeprefix("sqlite:///")  # root may write everything: so it is opened to be read

        async def story():
            database = Database(f"sqlite:///file:{path}?mode=ro&uri=true")
            try:
                assert await count(database) == 0
                with pytest.raises(StorageUnavailable) as told:
                    async with database.write() as connection:
                        await connection.execute(event_of(1))
                assert "readonly" in reason(told.value)
            finally:
                await database.close()

        with closing(sqlite3.connect(path)) as holder:
            holder.execute("SELECT * FROM jobs")
            asyncio.run(story())
