"""No room: `StorageFull`, nothing half-written, and work goes on once there is room again."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from databases import Open, make_schema
from magic_eraser.db.blobs import DatabaseBlobs, FileBlobs
from magic_eraser.db.database import Database
from magic_eraser.errors import StorageFull

MEBIBYTE = 1024 * 1024


@contextmanager
def mounted(megabytes: int) -> Iterator[Path]:
    """A disk of that size, in memory. Raises `CalledProcessError` where that is not allowed."""
    folder = Path(tempfile.mkdtemp(prefix="eraser-disk-"))
    try:
        options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs"]
        subprocess.run(["mount", *options, folder], check=True, capture_output=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)
    finally:
        folder.rmdir()


def may_mount() -> bool:
    try:
        with mounted(1):
            return True
    except (subprocess.CalledProcessError, FileNotFoundError):
        return False


def fill(folder: Path) -> Path:
    """A file that takes every byte that is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Of this process; the system's other way to say that there is no room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_blobs_that_the_system_lets_grow_no_further_leave_nothing(tmp_path):
    async def story():
        store = FileBlobs(tmp_path / "blobs")
        kept = await store.put("job", bytes(1000))
        with no_file_larger_than(64 * 1024), pytest.raises(StorageFull) as told:
            await store.put("job", bytes(MEBIBYTE))
        assert told.value.retry_after
        with no_file_larger_than(64 * 1024), pytest.raises(StorageFull):
            await store.put("other", bytes(MEBIBYTE))
        assert await store.get(await store.put("job", bytes(MEBIBYTE))) == bytes(MEBIBYTE)
        assert await store.get(kept) == bytes(1000)

    asyncio.run(story())
    assert names(tmp_path / "blobs") == ["job"]
    assert len(names(tmp_path / "blobs/job")) == 2


def test_a_database_that_may_grow_no_further_works_again_once_something_went(open_sqlite: Open):
    async def story():
        async with open_sqlite() as database:
            sa.event.listen(
                database.engine.sync_engine,
                "connect",
                lambda raw, _: raw.execute("PRAGMA max_page_count=400"),
            )
            store = DatabaseBlobs(database)
            await store.put("first", bytes(MEBIBYTE))
            for _ in range(3):
                with pytest.raises(StorageFull):
                    await store.put("second", bytes(MEBIBYTE))
            assert list(await store.folders(older_than=-60)) == ["first"]
            await store.delete_folder("first")
            assert await store.get(await store.put("third", bytes(MEBIBYTE))) == bytes(MEBIBYTE)

    asyncio.run(story())


if may_mount():  # root on a machine, and in most containers; where not, the two above are what can be had

    @pytest.fixture
    def disk() -> Iterator[Path]:
        with mounted(3) as folder:
            yield folder

    def test_sqlite_on_a_full_disk_reads_refuses_to_write_and_writes_again_once_there_is_room(disk):
        url = f"sqlite:///{disk / 'eraser.db'}"
        asyncio.run(make_schema(url))

        async def story():
            database = Database(url)
            try:
                store = DatabaseBlobs(database)
                kept = await store.put("kept", bytes(1000))
                filler = fill(disk)
                for _ in range(20):  # more often than there are connections
                    with pytest.raises(StorageFull):
                        await store.put("more", bytes(MEBIBYTE))
                assert await store.get(kept) == bytes(1000)
                filler.unlink()
                assert await store.get(await store.put("more", bytes(100_000))) == bytes(100_000)
            finally:
                await database.close()

        asyncio.run(story())

    def test_sqlite_opened_on_a_full_disk_tells_that_it_is_full(disk):
        url = f"sqlite:///{disk / 'eraser.db'}"
        asyncio.run(make_schema(url))

        async def story():
            filler = fill(disk)
            database = Database(url)
            try:
                with pytest.raises(StorageFull):
                    await DatabaseBlobs(database).put("more", bytes(1000))
                filler.unlink()
                await DatabaseBlobs(database).put("more", bytes(1000))
            finally:
                await database.close()

        asyncio.run(story())

    def test_blobs_on_a_full_disk_leave_nothing_and_fit_once_there_is_room(disk):
        async def story():
            store = FileBlobs(disk / "blobs")
            kept = await store.put("job", bytes(1000))
            filler = fill(disk)
            for folder in ("job", "new"):
                with pytest.raises(StorageFull):
                    await store.put(folder, bytes(100_000))
            assert names(disk / "blobs") == ["job"]
            assert names(disk / "blobs/job") == [kept.split("/")[1]]
            filler.unlink()
            assert await store.get(await store.put("new", bytes(100_000))) == bytes(100_000)

        asyncio.run(story())
