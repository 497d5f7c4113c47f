"""Blobs in files: what only files can show. What all stores share: tests/integration/db/test_blobs.py."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magic_eraser.db.blobs import FileBlobs
from magic_eraser.errors import NotFound, StorageUnavailable

FOLDERS = st.text("abcXYZ019_-", min_size=1, max_size=48)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(FOLDERS, st.binary(max_size=5000)), max_size=8))
def test_whatever_was_put_wherever_is_got_and_goes_with_its_folder(puts):
    async def story(root: Path):
        store = FileBlobs(root)
        ids = [await store.put(folder, data) for folder, data in puts]
        assert [await store.get(each) for each in ids] == [data for _, data in puts]
        assert set(await store.folders(older_than=-60)) == {folder for folder, _ in puts}
        for folder in {folder for folder, _ in puts}:
            await store.delete_folder(folder)

    with tempfile.TemporaryDirectory() as root:
        asyncio.run(story(Path(root)))
        assert list(Path(root).iterdir()) == []


def test_an_id_is_the_path_under_the_root_and_nothing_else_lies_there(tmp_path):
    async def story():
        store = FileBlobs(tmp_path / "blobs")
        assert not (tmp_path / "blobs").exists()
        blob_id = await store.put("job", b"data")
        assert (tmp_path / "blobs" / blob_id).read_bytes() == b"data"
        await store.delete(blob_id)
        assert list((tmp_path / "blobs").iterdir()) == []  # the folder that became empty went as well

    asyncio.run(story())


def test_what_a_crash_left_is_found_by_its_age_and_goes_with_the_folder(tmp_path):
    async def story():
        store = FileBlobs(tmp_path)
        kept = await store.put("job", b"kept")
        (tmp_path / "job" / "half.part").write_bytes(b"ha")
        (tmp_path / "lost").mkdir()
        (tmp_path / "lost" / "half.part").write_bytes(b"ha")
        (tmp_path / "empty").mkdir()
        (tmp_path / "not.a.folder").mkdir()
        hour_ago = time.time() - 3600
        for path in (*tmp_path.rglob("*.part"), *tmp_path.iterdir(), tmp_path / kept):
            os.utime(path, (hour_ago, hour_ago))
        assert sorted(await store.folders(older_than=1800)) == ["empty", "job", "lost"]
        await store.put("job", b"new")  # it is in use again
        old = sorted(await store.folders(older_than=1800))
        assert old == ["empty", "lost"]
        for folder in old:
            await store.delete_folder(folder)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["job", "not.a.folder"]
        with pytest.raises(NotFound):
            await store.get("job/half")
        await store.delete_folder("job")
        assert not (tmp_path / "job").exists()

    asyncio.run(story())


def test_a_root_that_cannot_be_is_told_as_unavailable(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    async def story():
        store = FileBlobs(tmp_path / "file" / "blobs")
        with pytest.raises(StorageUnavailable) as told:
            await store.put("job", b"data")
        assert told.value.__cause__.errno == errno.ENOTDIR

    asyncio.run(story())
