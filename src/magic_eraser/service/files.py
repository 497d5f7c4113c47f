"""Files that may go again: written whole or not at all, counted, let go by age and for room. All of it does I/O: call
it in a thread."""

from __future__ import annotations

import errno
import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LEFT = 0.9
"""Share that an eviction leaves: with all of it left, every write at the limit would look at every file again."""

_PART = ".part"
_PART_SECONDS = 60.0  # one that nobody wrote to for so long belongs to nobody
_ATTEMPTS = 3


def is_full(error: OSError) -> bool:
    """Whether there was no room: on the disk, in a quota, or below a limit on the size of files."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_over(moment: float, ttl_seconds: float, now: float) -> bool:
    """Whether the time of a file of that moment is over; one from far in the future, before the clock was set back,
    would stay for ever, so that it is over as well. All in seconds since 1970."""
    return abs(now - moment) >= ttl_seconds


def write_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file for the server's user alone, beside its place first, so that it appears whole or not at all, also
    where this process is killed. It need not survive a power cut: that takes a `fsync`, and 5 to 30 ms.

    Raises:
        OSError: nothing of it is left.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}{_PART}")
    try:
        with os.fdopen(_create(part), "wb") as file:
            file.writelines(pieces)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _create(path: Path) -> int:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # a sweep may take the empty folder away between the two
            if attempt == _ATTEMPTS:
                raise
            path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
    raise AssertionError


class _File(NamedTuple):
    order: float  # the least goes first
    path: str
    size: int


class Shelf:
    """Files `folder/NAME/NAME`, and how many bytes they are together. Thread-safe. Other processes may share the
    folder: what they add is counted with the next sweep.

    Args:
        folder: made where it is missing, like those in it.
        ttl_seconds: age after which a file goes.
        max_bytes: all files together; beyond it some go, down to `LEFT` of it.
        by_use: those not used for longest go first, where use is told by the time of access, which readers set;
            otherwise the oldest.
    """

    def __init__(self, folder: Path, *, ttl_seconds: float, max_bytes: int, by_use: bool = False) -> None:
        self.folder = folder
        self._ttl = ttl_seconds
        self._max_bytes = max_bytes
        self._by_use = by_use
        self._total: int | None = None  # not counted yet
        self._meanwhile = 0  # added while a sweep counts
        self._lock = threading.Lock()
        self._sweeping = threading.Lock()

    @property
    def total(self) -> int | None:
        """Bytes, as far as is known; None before the first write or sweep."""
        return self._total

    def write(self, path: Path, *pieces: bytes) -> int:
        """Put a file there, then make room where there is too much: how many others had to go for it.

        Raises:
            OSError: see `write_whole`.
        """
        before = _size(path)
        write_whole(path, pieces)
        self._add(sum(map(len, pieces)) - before)
        if self._fits():
            return 0
        with self._sweeping:
            return 0 if self._fits() else self._sweep()

    def remove(self, path: Path) -> None:
        """Let one go; nothing happens where it is gone."""
        size = _size(path)
        with suppress(FileNotFoundError):
            path.unlink()
            self._add(-size)

    def sweep(self) -> int:
        """Remove what is over its time and what a crash left half-written, then the first in order beyond `max_bytes`,
        though never the last of all: how many had to go for room. Counts anew."""
        with self._sweeping:
            return self._sweep()

    def yield_share(self) -> int:
        """Let go of a tenth, first in order, because the disk is full: how many went."""
        with self._sweeping:
            files = self._count()
            return self._make_room(files, int(LEFT * sum(file.size for file in files)))

    def _sweep(self) -> int:
        files = self._count()
        if self._fits():
            return 0
        return self._make_room(files[:-1], int(LEFT * self._max_bytes))

    def _fits(self) -> bool:
        with self._lock:
            return self._total is not None and self._total <= self._max_bytes

    def _add(self, size: int) -> None:
        with self._lock:
            self._meanwhile += size
            if self._total is not None:
                self._total += size

    def _count(self) -> list[_File]:
        """Those that stay, in the order in which they would go."""
        with self._lock:
            self._meanwhile = 0
        files = sorted(self._look())
        with self._lock:  # what came meanwhile may be counted twice, until the next time
            self._total = sum(file.size for file in files) + self._meanwhile
        return files

    def _look(self) -> Iterator[_File]:
        now = time.time()
        for folder in _entries(self.folder):
            if not folder.is_dir(follow_symlinks=False):
                continue
            empty = True
            for entry in _entries(Path(folder.path)):
                file = self._judged(entry, now)
                empty = empty and file is None
                if file is not None:
                    yield file
            if empty:
                with suppress(OSError):
                    Path(folder.path).rmdir()

    def _judged(self, entry: os.DirEntry[str], now: float) -> _File | None:
        """None for one that went just now, or in a moment before."""
        try:
            stat = entry.stat(follow_symlinks=False)
            part = entry.name.endswith(_PART)
            if is_over(stat.st_mtime, _PART_SECONDS if part else self._ttl, now):
                Path(entry.path).unlink()
                return None
        except FileNotFoundError:
            return None
        except IsADirectoryError:
            return _File(now, entry.path, 0)  # somebody else's; it stays
        used = max(stat.st_atime, stat.st_mtime) if self._by_use else stat.st_mtime
        return _File(used, entry.path, stat.st_size)

    def _make_room(self, files: Iterable[_File], most: int) -> int:
        gone = 0
        for file in files:
            if self._total is None or self._total <= most:
                break
            try:
                Path(file.path).unlink()
            except (FileNotFoundError, IsADirectoryError):
                continue
            self._add(-file.size)
            gone += 1
        return gone


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
