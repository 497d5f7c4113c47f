"""One file for all that a request brings."""

from __future__ import annotations

import asyncio
import errno
import gc
import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from magic_eraser.api.body.spool import IN_MEMORY, Incoming, Spool, unnamed_file
from magic_eraser.errors import StorageFull


def filled(*contents: bytes, spool: Spool | None = None):
    async def fill():
        into = spool or Spool()
        uploads = []
        for content in contents:
            coming = Incoming(into, "image", "a.png", "image/png")
            for start in range(0, len(content), 50_000):
                coming.append(content[start : start + 50_000])
                await into.settle()
            uploads.append(coming.finish())
        await into.finish()
        return uploads

    return asyncio.run(fill())


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("size", [0, 1, 100_000, IN_MEMORY - 1, IN_MEMORY, 3 * IN_MEMORY + 7])
def test_what_was_put_in_comes_out_with_its_digest(size):
    contents = [os.urandom(size), b"between", os.urandom(size)]
    for upload, content in zip(filled(*contents), contents, strict=True):
        assert upload.read() == content
        assert upload.length == len(content)
        assert upload.sha256() == hashlib.sha256(content).digest()
        assert b"".join(upload.chunks(70_000)) == content


def test_a_small_body_opens_no_file_and_a_large_one_opens_one_however_many_uploads_it_has():
    before = open_files()
    small = filled(b"x" * 1000)
    assert open_files() == before
    large = filled(*[b"x" * 200_000] * 40)
    assert open_files() == before + 1
    del small, large


def test_the_file_closes_with_the_last_upload_and_not_before():
    before = open_files()
    first, second = filled(b"a" * IN_MEMORY, b"b" * IN_MEMORY)
    del first
    assert second.read() == b"b" * IN_MEMORY
    del second
    assert open_files() == before


def test_a_released_spool_closes_after_the_last_who_holds_it():
    before = open_files()
    spool = Spool()
    (upload,) = filled(b"a" * 2 * IN_MEMORY, spool=spool)
    with upload.held():
        with upload.held():
            spool.release()
        assert upload.read() == b"a" * 2 * IN_MEMORY
    assert open_files() == before


def test_a_held_spool_that_nobody_releases_stays_open():
    spool = Spool()
    (upload,) = filled(b"a" * 2 * IN_MEMORY, spool=spool)
    with upload.held():
        pass
    assert upload.read() == b"a" * 2 * IN_MEMORY


def test_a_thread_that_reads_while_it_closes_reads_that_file_or_none():
    for _ in range(20):
        spool = Spool()
        (upload,) = filled(b"a" * 2 * IN_MEMORY, spool=spool)
        seen = set()

        def read(upload=upload, seen=seen):
            with suppress(ValueError):
                while True:
                    seen.add(upload.read())

        thread = threading.Thread(target=read)
        thread.start()
        while not seen:
            pass
        spool.close()
        others = [os.open("/dev/zero", os.O_RDONLY) for _ in range(3)]
        thread.join()
        assert seen == {b"a" * 2 * IN_MEMORY}
        for other in others:
            os.close(other)


def test_a_spool_that_is_closed_has_no_file_any_more():
    before = open_files()
    spool = Spool()
    (upload,) = filled(b"a" * 2 * IN_MEMORY, spool=spool)
    spool.close()
    spool.close()
    assert open_files() == before
    with pytest.raises(ValueError, match="closed"):
        upload.read()


def test_threads_read_at_the_same_time():
    contents = [bytes([number]) * 300_000 for number in range(8)]
    uploads = filled(*contents)
    wrong = []

    def read(number):
        wrong.extend(number for _ in range(30) if uploads[number].read() != contents[number])

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_full_disk_is_said_so_and_leaves_nothing_open():
    before = open_files()
    with pytest.raises(StorageFull):
        filled(b"a" * 2 * IN_MEMORY, spool=Spool(lambda: Path("/dev/full").open("wb", buffering=0)))  # noqa: SIM115
    assert open_files() == before


def test_a_temporary_folder_that_takes_nothing_is_a_full_disk():
    def nowhere():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    with pytest.raises(StorageFull):
        filled(b"a" * 2 * IN_MEMORY, spool=Spool(nowhere))


def test_another_fault_of_the_disk_is_not_called_full():
    def broken():
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        filled(b"a" * 2 * IN_MEMORY, spool=Spool(broken))


def test_the_file_has_no_name(tmp_path):
    file = unnamed_file(tmp_path)
    assert list(tmp_path.iterdir()) == []
    file.close()
