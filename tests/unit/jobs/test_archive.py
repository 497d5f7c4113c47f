"""The results of a job as a ZIP."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import struct
import subprocess
import zipfile
from dataclasses import replace

import pytest

from magic_eraser.db.blobs import FileBlobs
from magic_eraser.errors import NotFound, StorageUnavailable
from magic_eraser.jobs import archive
from magic_eraser.jobs.archive import ZipWriter
from magic_eraser.jobs.job import Item
from magic_eraser.jobs.tables import ItemState

DONE = Item(
    index=0,
    name="a.jpg",
    state=ItemState.SUCCEEDED,
    attempts=1,
    sequence=1,
    error_code=None,
    error=None,
    error_zh=None,
    result_blob=None,
    format="jpeg",
    width=1,
    height=1,
    model="telea",
    seconds=0.1,
    notices=(),
)


async def gather(stream, pieces: list[bytes]) -> None:
    async for piece in stream:
        pieces.append(piece)  # noqa: PERF401 (kept where the stream breaks off)


def test_every_result_is_in_it_as_it_is_and_so_is_a_report(tmp_path):
    async def story():
        blobs = FileBlobs(tmp_path)
        results = [os.urandom(5000), b"", "照".encode()]
        items = [
            replace(DONE, index=index, name=name, format=kind, result_blob=await blobs.put("job", data))
            for index, (name, kind, data) in enumerate(
                zip(["a.jpg", "b.heic", "照片.png"], ["jpeg", "png", "png"], results, strict=True)
            )
        ]
        failed = replace(DONE, index=3, state=ItemState.FAILED, error="x")
        still_open = replace(DONE, index=4, state=ItemState.QUEUED)
        pieces = []
        await gather(archive.stream(blobs, [*items, failed, still_open], {"id": "job", "名": 1}), pieces)
        path = tmp_path / "made.zip"
        path.write_bytes(b"".join(pieces))
        with zipfile.ZipFile(path) as made:
            assert made.testzip() is None
            assert made.namelist() == ["report.json", "a.jpg", "b.png", "照片.png"]
            assert [made.read(name) for name in made.namelist()[1:]] == results
            assert json.loads(made.read("report.json")) == {"id": "job", "名": 1}
            assert {info.compress_type for info in made.infolist()} == {zipfile.ZIP_STORED}
            assert not any(info.flag_bits & 8 for info in made.infolist())  # sizes come first
            made.extractall(tmp_path / "out")
        assert (tmp_path / "out" / "a.jpg").stat().st_size == 5000

    asyncio.run(story())
    if shutil.which("unzip"):
        subprocess.run(["unzip", "-tq", str(tmp_path / "made.zip")], check=True, capture_output=True)


def test_one_result_is_in_memory_at_a_time(tmp_path):
    class Counting(FileBlobs):
        got = 0

        async def get(self, blob_id: str) -> bytes:
            self.got += 1
            return await super().get(blob_id)

    async def story():
        blobs = Counting(tmp_path)
        items = [replace(DONE, index=n, result_blob=await blobs.put("job", b"x" * 10)) for n in range(5)]
        sent = 0
        async for piece in archive.stream(blobs, items, {}):
            sent += piece == b"x" * 10
            assert blobs.got - sent <= 1

    asyncio.run(story())


def test_a_database_that_is_away_for_a_moment_does_not_cut_it_off(tmp_path):
    class Away(FileBlobs):
        asked = 0

        async def get(self, blob_id):
            self.asked += 1
            if self.asked == 1:
                raise StorageUnavailable
            return await super().get(blob_id)

    async def story():
        blobs, pieces = Away(tmp_path), []
        items = [replace(DONE, result_blob=await blobs.put("job", b"one"))]
        await gather(archive.stream(blobs, items, {}), pieces)
        assert zipfile.ZipFile(io.BytesIO(b"".join(pieces))).read("a.jpg") == b"one"

    asyncio.run(story())


def test_a_result_that_went_meanwhile_cuts_it_off(tmp_path):
    async def story():
        blobs = FileBlobs(tmp_path)
        blob = await blobs.put("job", b"x")
        items = [replace(DONE, result_blob=blob), replace(DONE, index=1, result_blob="job/gone")]
        pieces = []
        with pytest.raises(NotFound):
            await gather(archive.stream(blobs, items, {}), pieces)
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(b"".join(pieces)))

    asyncio.run(story())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.png", "a.png", "a.png"], ["a.png", "a-2.png", "a-3.png"]),
        (["a.png", "a.jpg"], ["a.png", "a-2.png"]),
        (["A.png", "a.png"], ["A.png", "a-2.png"]),
        (["a.png", "a.png", "a-2.png"], ["a.png", "a-2.png", "a-2-2.png"]),
        (["\u00e9.png", "e\u0301.png"], ["\u00e9.png", "e\u0301-2.png"]),
        (["..", ""], ["...png", "image-2.png"]),
    ],
)
def test_no_two_results_have_one_name(names, expected):
    items = [replace(DONE, index=index, name=name, format="png") for index, name in enumerate(names)]
    assert archive.names(items) == expected


def test_the_reports_name_is_taken():
    items = [replace(DONE, name="report.json", format=None)]
    assert archive.names(items) == ["report-2.json"]


def test_more_than_65535_members_are_a_zip64():
    writer = ZipWriter()
    pieces = []
    for number in range(70_000):
        pieces += [writer.header(f"{number}", b"x", 0), b"x"]
    whole = io.BytesIO(b"".join([*pieces, writer.end()]))
    with zipfile.ZipFile(whole) as made:
        assert len(made.namelist()) == 70_000
        assert made.read("69999") == b"x"


def test_members_beyond_4_gibibytes_are_found(tmp_path):
    """A sparse file: the large member is a hole in it."""

    class Length(bytes):
        def __len__(self):
            return 0xFFFF_FFF0

    writer = ZipWriter()
    first = writer.header("large", Length(), 0)
    path = tmp_path / "sparse.zip"
    with path.open("wb") as file:
        file.write(first)
        file.seek(len(first) + 0xFFFF_FFF0)
        file.write(writer.header("small", b"found", 0) + b"found")
        file.write(writer.end())
    with zipfile.ZipFile(path) as made:
        assert made.namelist() == ["large", "small"]
        assert made.read("small") == b"found"
        assert made.getinfo("small").header_offset > 0xFFFF_FFFF
    assert struct.unpack("<L", first[22:26])[0] == 0xFFFF_FFF0
