"""The end of a ZIP (APPNOTE 4.3.14 to 4.3.16): how much directory there is, before anybody reads it into memory."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from magic_eraser.errors import BatchTooLarge, InvalidArchive

LOCAL_HEADER = 30
ENTRY = 46
MOST_PER_MEMBER = 2048
"""Bytes of directory for one: 46, a name, and what systems add about times and owners."""
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LONGEST_COMMENT = 0xFFFF


def check(file: BinaryIO, *, most_members: int) -> int:
    """Where the directory begins, which is where the members end.

    Raises:
        InvalidArchive: no ZIP, cut off, in several parts, with something in front of it or behind, or with two ends
            that do not say the same.
        BatchTooLarge: more members than allowed.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END.size - _LONGEST_COMMENT))
    tail = file.read()
    end_at, count, length, start, disk = _end(tail, size)
    file.seek(max(0, end_at - _LOCATOR.size))
    locator = file.read(_LOCATOR.size)
    if end_at >= _LOCATOR.size and locator.startswith(b"PK\x06\x07"):
        end_at, count, length, start = _end64(file, locator, end_at - _LOCATOR.size, (count, length, start))
    elif disk or 0xFFFFFFFF in (length, start):
        raise _no_zip("it is in several parts", "是分卷压缩包")
    if start + length != end_at:
        raise _no_zip("its directory is not where it should be", "目录位置不正确")
    if count > most_members or length > most_members * MOST_PER_MEMBER:
        raise BatchTooLarge(
            f"The archive has {count} members; at most {most_members} are looked at.",
            f"压缩包包含 {count} 个文件，最多 {most_members} 个。",
            extra={"max_members": most_members},
        )
    file.seek(start)
    if _entries(file.read(length)) != count:
        raise _no_zip("its directory does not hold what it says", "目录内容与记录不符")
    _check_front(file, empty=count == 0)
    return start


def _end(tail: bytes, size: int) -> tuple[int, int, int, int, bool]:
    """(where it is, members, bytes of directory, its place, whether in parts) by the record that ends with the file."""
    at = tail.rfind(b"PK\x05\x06")  # the last one, as every reader takes it: a comment may not hold another
    if at < 0 or at + _END.size > len(tail):
        raise _no_zip("it is not a ZIP, or is cut off", "不是 ZIP 文件或不完整")
    _, disk, first, here, count, length, start, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise _no_zip("it is not a ZIP, or is cut off", "不是 ZIP 文件或不完整")
    return size - len(tail) + at, count, length, start, bool(disk or first or here != count)


def _end64(
    file: BinaryIO, locator: bytes, locator_at: int, short: tuple[int, int, int]
) -> tuple[int, int, int, int]:
    _, disk, at, disks = _LOCATOR.unpack(locator)
    file.seek(max(0, locator_at - _END64.size))
    record = file.read(_END64.size)
    if at != locator_at - _END64.size or disk or disks > 1 or not record.startswith(b"PK\x06\x06"):
        raise _no_zip("its ZIP64 end is not where it should be", "ZIP64 目录位置不正确")
    _, _, _, _, disk, first, here, count, length, start = _END64.unpack(record)
    said = zip(short, (count, length, start), (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF), strict=True)
    if disk or first or here != count or any(value not in (true, mark) for value, true, mark in said):
        raise _no_zip("its two ends do not say the same", "两处目录信息不一致")
    return at, count, length, start


def _entries(directory: bytes) -> int:
    """How many there are; -1 where it is no directory."""
    at = count = 0
    while at + ENTRY <= len(directory) and directory.startswith(b"PK\x01\x02", at):
        at += ENTRY + sum(struct.unpack_from("<3H", directory, at + 28))  # its name, extras and comment
        count += 1
    return count if at == len(directory) else -1


def _check_front(file: BinaryIO, *, empty: bool) -> None:
    file.seek(0)
    if not empty and file.read(4) != b"PK\x03\x04":
        raise _no_zip("there is something in front of it", "文件开头含有其他内容")
    file.seek(0)


def _no_zip(why: str, zh: str) -> InvalidArchive:
    return InvalidArchive(f"The archive is refused: {why}.", f"压缩包被拒绝：{zh}。")
