"""Blobs, the same in files, in SQLite and in PostgreSQL."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import sqlalchemy as sa

from databases import Open
from magic_eraser.db.blobs import PIECE, Blobs, DatabaseBlobs, FileBlobs, blob_pieces, blobs
from magic_eraser.db.database import Database
from magic_eraser.errors import NotFound

OpenBlobs = Callable[[], AbstractAsyncContextManager[Blobs]]


@pytest.fixture(params=["files", "sqlite", "postgresql"])
def open_blobs(request, tmp_path) -> OpenBlobs:
    if request.param == "files":

        @asynccontextmanager
        async def opened() -> AsyncIterator[Blobs]:
            yield FileBlobs(tmp_path / "blobs")

        return opened
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "new_postgres_url")

    @asynccontextmanager
    async def opened_database() -> AsyncIterator[Blobs]:
        database = Database(url)
        try:
            yield DatabaseBlobs(database)
        finally:
            await database.close()

    return opened_database


class TestEveryBackend:
    @pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE + 5])
    def test_what_was_put_is_got(self, open_blobs, size):
        async def story():
            async with open_blobs() as store:
                data = secrets.token_bytes(size)
                assert await store.get(await store.put("job_1", data)) == data

        asyncio.run(story())

    def test_many_at_once_keep_apart(self, open_blobs):
        async def story():
            async with open_blobs() as store:
                contents = [secrets.token_bytes(3000 * (1 + i)) for i in range(40)]
                ids = await asyncio.gather(
                    *(store.put(f"job{i % 3}", data) for i, data in enumerate(contents))
                )
                assert len(set(ids)) == 40
                assert await asyncio.gather(*(store.get(each) for each in ids)) == contents

        asyncio.run(story())

    def test_what_was_deleted_is_not_found_and_deleting_again_is_nothing(self, open_blobs):
        async def story():
            async with open_blobs() as store:
                gone, kept = await store.put("a", b"gone"), await store.put("a", b"kept")
                await store.delete(gone)
                await store.delete(gone)
                with pytest.raises(NotFound):
                    await store.get(gone)
                assert await store.get(kept) == b"kept"

        asyncio.run(story())

    def test_a_folder_goes_whole_and_no_other_with_it(self, open_blobs):
        async def story():
            async with open_blobs() as store:
                ids = [await store.put("a", bytes([i])) for i in range(3)]
                other = await store.put("ab", b"other")
                await store.delete_folder("a")
                await store.delete_folder("a")
                for each in ids:
                    with pytest.raises(NotFound):
                        await store.get(each)
                assert await store.get(other) == b"other"
                assert list(await store.folders(older_than=-60)) == ["ab"]

        asyncio.run(story())

    def test_folders_tells_those_to_which_nothing_was_added_for_long(self, open_blobs):
        async def story():
            async with open_blobs() as store:
                assert list(await store.folders(older_than=-60)) == []
                await store.put("first", b"1")
                await store.put("second", b"2")
                await asyncio.sleep(0.5)
                await store.put("second", b"3")
                assert list(await store.folders(older_than=0.25)) == ["first"]
                assert sorted(await store.folders(older_than=-60)) == ["first", "second"]
                assert list(await store.folders(older_than=60)) == []

        asyncio.run(story())

    @pytest.mark.parametrize(
        "blob_id",
        [
            "",
            "a",
            "a/",
            "/a",
            "../a",
            "a/../b",
            "a/b/c",
            "/etc/passwd",
            "a/b\0",
            "a/b.part",
            "a\n/b",
            "a/" + 99 * "b",
        ],
    )
    def test_an_id_that_is_none_of_ours_is_not_found(self, open_blobs, blob_id):
        async def story():
            async with open_blobs() as store:
                await store.put("a", b"data")
                with pytest.raises(NotFound):
                    await store.get(blob_id)
                await store.delete(blob_id)

        asyncio.run(story())

    @pytest.mark.parametrize("folder", ["", ".", "..", "a/b", "a b", "ä", 49 * "a"])
    def test_a_name_that_is_no_folders_is_refused_and_deletes_nothing(self, open_blobs, folder):
        async def story():
            async with open_blobs() as store:
                kept = await store.put("a", b"data")
                with pytest.raises(ValueError, match="folder"):
                    await store.put(folder, b"data")
                await store.delete_folder(folder)
                assert await store.get(kept) == b"data"

        asyncio.run(story())

    def test_what_cancelled_puts_wrote_goes_with_the_folder(self, open_blobs):
        async def story():
            async with open_blobs() as store:
                await store.put("kept", b"")
                for delay in (0, 0.001, 0.003, 0.01):
                    putting = asyncio.create_task(store.put("cancelled", bytes(4 * PIECE)))
                    await asyncio.sleep(delay)
                    putting.cancel()
                    await asyncio.wait([putting])
                    await store.delete_folder("cancelled")
                for _ in range(500):  # a thread cannot be stopped: it tidies up once it has written
                    left = list(await store.folders(older_than=-60))
                    if left == ["kept"]:
                        break
                    await asyncio.sleep(0.01)
                assert left == ["kept"]
                assert await store.get(await store.put("after", b"alive")) == b"alive"

        asyncio.run(story())

    def test_putting_into_a_folder_that_is_deleted_meanwhile_ends_well(self, open_blobs):
        async def story():
            async with open_blobs() as store:

                async def put(number):
                    data = b"%d" % number
                    try:
                        assert await store.get(await store.put("busy", data)) == data
                    except NotFound:
                        return 1  # deleted between the two
                    return 0

                async def delete():
                    await store.delete_folder("busy")
                    return 0

                await asyncio.gather(*(put(i) if i % 3 else delete() for i in range(60)))
                await store.delete_folder("busy")
                assert list(await store.folders(older_than=-60)) == []

        asyncio.run(story())


def test_pieces_of_a_deleted_folder_leave_the_database(open_database: Open):
    async def story():
        async with open_database() as database:
            store = DatabaseBlobs(database)
            await store.put("a", bytes(2 * PIECE + 1))
            async with database.read() as connection:
                sizes = await connection.scalars(sa.select(sa.func.length(blob_pieces.c.data)))
                assert sorted(sizes) == [1, PIECE, PIECE]
            await store.delete_folder("a")
            async with database.read() as connection:
                for table in (blobs, blob_pieces):
                    assert await connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0

    asyncio.run(story())
