"""Requests that become jobs."""

from __future__ import annotations

import asyncio
import io
import os
import random
import zipfile

import pytest
from starlette.requests import Request

from magic_eraser.api.accept import prefers_async
from magic_eraser.api.body.spool import Incoming, Spool, Upload
from magic_eraser.api.new_jobs import UploadFile


def upload(content: bytes) -> Upload:
    """One that lies between others, in the file."""

    async def fill():
        spool = Spool()
        spool.append(bytes(2_000_000))
        await spool.settle()
        coming = Incoming(spool)
        coming.append(content)
        found = coming.finish()
        spool.append(b"behind")
        await spool.finish()
        return found

    return asyncio.run(fill())


def test_an_upload_is_read_like_any_file():
    content = os.urandom(100_000)
    ours, theirs = io.BufferedReader(UploadFile(upload(content)), 4096), io.BytesIO(content)
    dice = random.Random(7)
    for _ in range(300):
        whence = dice.choice([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END])
        offset = dice.randint(-50_000, 120_000)
        if whence == os.SEEK_SET:
            offset = abs(offset)
        elif (theirs.tell() if whence == os.SEEK_CUR else len(content)) + offset < 0:
            continue
        assert ours.seek(offset, whence) == theirs.seek(offset, whence)
        length = dice.choice([0, 1, 5000, 200_000])
        assert ours.read(length) == theirs.read(length)
        assert ours.tell() == theirs.tell()


def test_no_place_before_its_beginning():
    with pytest.raises(OSError, match="Invalid argument"):
        UploadFile(upload(b"abc")).seek(-4, os.SEEK_END)


def test_an_empty_zip_is_known_for_one():
    with zipfile.ZipFile(io.BufferedReader(UploadFile(upload(b"PK\5\6" + bytes(18))))) as archive:
        assert archive.namelist() == []


def test_what_lies_behind_it_is_not_read():
    assert io.BufferedReader(UploadFile(upload(b"abc"))).read() == b"abc"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], False),
        (["respond-async"], True),
        (["Respond-Async"], True),
        (["wait=10, respond-async"], True),
        (["wait=10", "respond-async; x=1"], True),
        (["return=minimal"], False),
        (["respond-asynchronously"], False),
        (["x=respond-async"], False),
    ],
)
def test_prefer_is_read_as_rfc_7240_has_it(headers, expected):
    raw = [(b"prefer", value.encode()) for value in headers]
    assert prefers_async(Request({"type": "http", "headers": raw})) is expected
