"""What a request brings, in one temporary file: nothing large is in memory while the request waits for its turn."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from magic_eraser.errors import EraserError, StorageFull
from magic_eraser.service.files import is_full

Buffer = bytes | bytearray | memoryview
KIBIBYTE = 1024
IN_MEMORY = 1024 * KIBIBYTE
"""Smaller bodies never touch the disk: 64 clients that wait hold 64 MiB at most."""
BATCH = 256 * KIBIBYTE
"""Written at once, in a thread: 0.1 ms into the page cache, but seconds where the disk is slow."""
SPOOLS = "magic_eraser.spools"
"""Where an ASGI scope has those of its request."""


class RawFile(Protocol):
    """The part of an unbuffered binary file that is used."""

    def fileno(self) -> int: ...

    def write(self, data: Buffer, /) -> int | None: ...

    def close(self) -> None: ...


def unnamed_file(folder: Path | None = None) -> RawFile:
    """A file without a name in a folder, `TMPDIR` where None: nothing is left of it, however the process ends.

    Raises:
        FileNotFoundError: no folder can be written to, as where the disk is full from the start.
    """
    return tempfile.TemporaryFile(buffering=0, dir=folder)


class Spool:
    """Bytes that come in, in memory up to 1 MiB and in a temporary file beyond.

    Filled by one task (`append`, `settle`, then `finish`), read by any thread. It closes with `release`, when the
    request is over, or after that at the end of the last `hold`: others may wait for the work on a picture whose own
    request has gone. A spool that nobody releases closes once nobody knows it any more.
    """

    def __init__(self, open_file: Callable[[], RawFile] = unnamed_file) -> None:
        self._open_file = open_file
        self._tail = bytearray()
        self._file: RawFile | None = None
        self._written = 0
        self._digests: dict[tuple[int, int], bytes] = {}
        self._close: Callable[[], object] | None = None
        self._lock = threading.Lock()
        self._holds = 0
        self._released = False

    @property
    def size(self) -> int:
        """Bytes that came."""
        return self._written + len(self._tail)

    def append(self, data: Buffer) -> None:
        self._tail += data

    async def settle(self) -> None:
        """Write what is due; to be called now and then while the body comes in.

        Raises:
            StorageFull: there is no room for it.
        """
        if len(self._tail) >= (IN_MEMORY if self._file is None else BATCH):
            await asyncio.to_thread(self._flush)

    async def finish(self) -> None:
        """Nothing more will come. Raises as `settle` does."""
        if self._file is not None and self._tail:
            await asyncio.to_thread(self._flush)

    def digest(self, upload: Upload) -> bytes:
        """SHA-256 of a piece, 32 bytes, made once; raises as `read` does."""
        place = upload.offset, upload.length
        if place not in self._digests:
            digest = hashlib.sha256()
            for chunk in upload.chunks():
                digest.update(chunk)
            self._digests[place] = digest.digest()
        return self._digests[place]

    def read(self, offset: int, length: int) -> bytes:
        """A piece, once all is in.

        Raises:
            ValueError: the spool was closed.
        """
        if self._file is None:
            return bytes(memoryview(self._tail)[offset : offset + length])
        with (
            self._lock
        ):  # of one's own: this one may be closed, and its number mean another file, while one reads
            descriptor = os.dup(self._file.fileno())
        try:
            return _read(descriptor, offset, length)
        finally:
            os.close(descriptor)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep it open meanwhile, in the event loop's thread."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if self._released:
                self.release()

    def release(self) -> None:
        """The request is over: close it, unless somebody holds it; can be called again."""
        self._released = True
        if self._holds == 0:
            self.close()

    def close(self) -> None:
        """Close the file now, where there is one; can be called again."""
        if self._close is not None:
            with self._lock:
                self._close()

    def _flush(self) -> None:
        try:
            if self._file is None:
                self._file = self._open_file()
                self._close = weakref.finalize(self, self._file.close)
            with memoryview(self._tail) as left:
                done = 0
                while done < len(left):
                    done += self._file.write(left[done:]) or 0
        except OSError as error:
            raise _translated(error) from error
        self._written += len(self._tail)
        self._tail = bytearray()


def _read(descriptor: int, offset: int, length: int) -> bytes:
    pieces = []
    while length > 0 and (piece := os.pread(descriptor, length, offset)):
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _translated(error: OSError) -> EraserError | OSError:
    no_folder = isinstance(error, FileNotFoundError)  # `tempfile` tries each by writing to it
    return StorageFull() if no_folder or is_full(error) else error


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a request, or a picture that came as base64: a `service.request.Source`.

    Attributes:
        name: of the field.
        filename: as the client calls it, not to be trusted; empty where it has none.
        content_type: as the client says, empty where it does not.
        length: bytes.
    """

    name: str
    filename: str
    content_type: str
    offset: int
    length: int
    spool: Spool = field(repr=False, compare=False)

    def read(self) -> bytes:
        """All of it; from any thread, as often as needed."""
        return self.spool.read(self.offset, self.length)

    def chunks(self, size: int = IN_MEMORY) -> Iterator[bytes]:
        """The same piece by piece, for what is large; blocks as `read` does."""
        for start in range(0, self.length, size):
            yield self.spool.read(self.offset + start, min(size, self.length - start))

    def sha256(self) -> bytes:
        """Made when it is first asked for, in a thread of whoever asks: as the body comes in, the event loop would wait
        three times a request for its turn among the threads (0.7 ms of 1 MP under load)."""
        return self.spool.digest(self)

    def held(self) -> AbstractContextManager[None]:
        """For work that may go on when the request is over: it can be read meanwhile."""
        return self.spool.hold()


class Incoming:
    """An upload while it comes in; what is appended goes to the spool."""

    def __init__(self, spool: Spool, name: str = "", filename: str = "", content_type: str = "") -> None:
        self._spool = spool
        self._about = (name, filename, content_type)
        self._offset = spool.size

    def append(self, data: Buffer) -> None:
        self._spool.append(data)

    def finish(self) -> Upload:
        length = self._spool.size - self._offset
        return Upload(*self._about, self._offset, length, self._spool)
