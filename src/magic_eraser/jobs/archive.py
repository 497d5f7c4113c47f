"""The results of a job as one ZIP, written while it is sent: one result is in memory at a time."""

from __future__ import annotations

import asyncio
import json
import struct
import time
import unicodedata
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from magic_eraser.db.blobs import Blobs
from magic_eraser.errors import StorageUnavailable
from magic_eraser.imaging.codec import extension_of
from magic_eraser.jobs.job import Item

REPORT = "report.json"
PATIENCE_SECONDS = 30.0
UTF8 = 0x0800
_LOCAL = struct.Struct("<4s5H3L2H")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_LARGE = 0xFFFFFFFF
_MANY = 0xFFFF


async def stream(blobs: Blobs, items: Sequence[Item], report: Mapping[str, Any]) -> AsyncIterator[bytes]:
    """A ZIP in pieces: `report.json`, then the result of every item that has one, stored as it is (pictures do not
    deflate), under its picture's name with the extension of what it is now.

    Args:
        report: JSON values.

    Raises:
        NotFound, StorageUnavailable: see `Blobs.get`. What was sent so far is a ZIP cut off, which its reader sees.
    """
    writer = ZipWriter()
    text = json.dumps(report, ensure_ascii=False, indent=2).encode() + b"\n"
    yield writer.header(REPORT, text, time.time())
    yield text
    done = [item for item in items if item.success and item.result_blob is not None]
    for item, name in zip(done, names(done), strict=True):
        data = await _patiently(blobs, str(item.result_blob))
        yield await asyncio.to_thread(writer.header, name, data, time.time())
        yield data
    yield writer.end()


async def _patiently(blobs: Blobs, blob_id: str) -> bytes:
    """A result, also where the database is away for a while: the beginning of the ZIP is with the client already."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await blobs.get(blob_id)
        except StorageUnavailable:
            if time.monotonic() > give_up:
                raise
        await asyncio.sleep(0.5)


def names(items: Iterable[Item]) -> list[str]:
    """Of the results of items, in order; of those that would be called the same, the later ones have a number. They
    differ in more than case, for file systems to which that is the same."""
    taken = {REPORT}
    found = []
    for item in items:
        stem = PurePosixPath(item.name).stem or f"image-{item.index + 1}"
        extension = extension_of(item.format) if item.format else PurePosixPath(item.name).suffix
        name, number = stem + extension, 1
        while _folded(name) in taken:
            number += 1
            name = f"{stem}-{number}{extension}"
        taken.add(_folded(name))
        found.append(name)
    return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


class ZipWriter:
    """A ZIP without compression (APPNOTE 6.3.10), whose sizes stand before the data, so that it can be read as it
    comes; ZIP64 where it grows beyond 4 GiB or 65,535 members. Each member is smaller than 4 GiB."""

    def __init__(self) -> None:
        self._at = 0
        self._entries: list[bytes] = []

    def header(self, name: str, data: bytes, moment: float) -> bytes:
        """What goes before the data of the next member.

        Args:
            data: all of it, to be sent right after.
            moment: when it was made, seconds since 1970.
        """
        raw = name.encode()
        size = len(data)
        facts = (UTF8, 0, *_dos_time(moment), zlib.crc32(data), size, size, len(raw))
        large = self._at >= _LARGE
        extra = struct.pack("<2HQ", 0x0001, 8, self._at) if large else b""
        version = 45 if large else 20
        place = _LARGE if large else self._at
        made_by = 3 << 8 | version  # Unix, so that the mode below is read
        entry = (b"PK\x01\x02", made_by, version, *facts, len(extra), 0, 0, 0, 0o100644 << 16, place)
        self._entries.append(_ENTRY.pack(*entry) + raw + extra)
        header = _LOCAL.pack(b"PK\x03\x04", 20, *facts, 0) + raw
        self._at += len(header) + size
        return header

    def end(self) -> bytes:
        """The directory."""
        directory = b"".join(self._entries)
        count, length, start = len(self._entries), len(directory), self._at
        end64 = b""
        if count >= _MANY or start >= _LARGE or length >= _LARGE:
            end64 = _END64.pack(
                b"PK\x06\x06", _END64.size - 12, 3 << 8 | 45, 45, 0, 0, count, count, length, start
            ) + _LOCATOR.pack(b"PK\x06\x07", 0, start + length, 1)
        few = min(count, _MANY)
        end = _END.pack(b"PK\x05\x06", 0, 0, few, few, min(length, _LARGE), min(start, _LARGE), 0)
        return directory + end64 + end


def _dos_time(moment: float) -> tuple[int, int]:
    """(time, date), UTC, by two seconds, from 1980 on."""
    when = time.gmtime(max(moment, 315_532_800))
    return when.tm_hour << 11 | when.tm_min << 5 | when.tm_sec // 2, (
        when.tm_year - 1980
    ) << 9 | when.tm_mon << 5 | when.tm_mday
