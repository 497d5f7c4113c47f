"""Bytes too large for a row, kept until the row that names them goes."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Protocol, TypeVar

import sqlalchemy as sa

from magic_eraser.db.base import Seconds, metadata, now
from magic_eraser.db.database import Database
from magic_eraser.errors import NotFound, StorageFull, StorageUnavailable

PIECE = 1024 * 1024
"""Bytes in one row of `blob_pieces`."""

blobs = sa.Table(
    "blobs",
    metadata,
    sa.Column("id", sa.String(80), primary_key=True),
    sa.Column("folder", sa.String(48), nullable=False, index=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("created_at", Seconds, nullable=False),
)
blob_pieces = sa.Table(
    "blob_pieces",
    metadata,
    sa.Column("blob_id", sa.ForeignKey("blobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)


class Blobs(Protocol):
    """Where they lie. A blob appears whole or not at all, is never changed, and is durable once `put` returns.

    A `folder` is what goes as one: a job, an idempotency key. Its name is 1 to 48 characters of `[A-Za-z0-9_-]`; a
    blob's id is `folder/name`. A `put` that was cancelled may have been done: `delete_folder` takes that with it.
    """

    async def put(self, folder: str, data: bytes) -> str:
        """Keep it; the id by which it is found.

        Raises:
            StorageFull: no room.
            StorageUnavailable: nobody answers.
            ValueError: not the name of a folder.
        """
        ...

    async def get(self, blob_id: str) -> bytes:
        """The bytes.

        Raises:
            NotFound: it went, or nothing was ever called so.
            StorageUnavailable: nobody answers.
        """
        ...

    async def delete(self, blob_id: str) -> None:
        """Let one go; nothing happens where it is gone."""
        ...

    async def delete_folder(self, folder: str) -> None:
        """Let all of a folder go."""
        ...

    async def folders(self, *, older_than: float) -> Iterable[str]:
        """Folders to which nothing was added for so many seconds: what a crash left behind is among them."""
        ...


class FileBlobs:
    """Files `root/folder/name`; written beside as `name.part`, then renamed (`os.replace`).

    Does no I/O until the first blob; all of it in threads.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, folder: str, data: bytes) -> str:
        blob_id = _new_id(folder)
        unwanted = Event()
        try:
            await _in_thread(lambda: self._write(self._root / blob_id, data, unwanted))
        except asyncio.CancelledError:
            unwanted.set()  # the thread cannot be stopped: it takes away what it wrote
            raise
        return blob_id

    async def get(self, blob_id: str) -> bytes:
        if not _ID.fullmatch(blob_id):
            raise NotFound
        return await _in_thread((self._root / blob_id).read_bytes)

    async def delete(self, blob_id: str) -> None:
        if _ID.fullmatch(blob_id):
            await _in_thread(lambda: _remove(self._root / blob_id))

    async def delete_folder(self, folder: str) -> None:
        if _FOLDER.fullmatch(folder):
            await _in_thread(lambda: _remove_folder(self._root / folder))

    async def folders(self, *, older_than: float) -> Iterable[str]:
        return await _in_thread(lambda: self._folders(time.time() - older_than))

    def _write(self, path: Path, data: bytes, unwanted: Event) -> None:
        for _attempt in range(100):
            with suppress(FileNotFoundError, FileExistsError):  # somebody lets the folder go in this moment
                self._try_to_write(path, data)
                break
        else:
            raise StorageUnavailable
        if unwanted.is_set():
            _remove(path)

    def _try_to_write(self, path: Path, data: bytes) -> None:
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _sync_folder(self._root)
        part = path.with_suffix(".part")
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
            _sync_folder(path.parent)
        except FileNotFoundError:
            raise  # the part went with the folder, which may be there again by now
        except BaseException:
            _remove(part)
            raise

    def _folders(self, moment: float) -> list[str]:
        if not self._root.is_dir():
            return []
        found = (path for path in self._root.iterdir() if _FOLDER.fullmatch(path.name) and path.is_dir())
        return [path.name for path in found if _last_change(path) < moment]


class DatabaseBlobs:
    """Rows of at most `PIECE` bytes, for servers that share a database and nothing else."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, folder: str, data: bytes) -> str:
        blob_id = _new_id(folder)
        async with self._database.write() as connection:
            blob = {"id": blob_id, "folder": folder, "size": len(data), "created_at": now()}
            await connection.execute(sa.insert(blobs).values(blob))
            for number, start in enumerate(range(0, len(data), PIECE)):
                piece = {"blob_id": blob_id, "number": number, "data": data[start : start + PIECE]}
                await connection.execute(sa.insert(blob_pieces), piece)
        return blob_id

    async def get(self, blob_id: str) -> bytes:
        if not _ID.fullmatch(blob_id):  # PostgreSQL refuses some characters
            raise NotFound
        pieces = sa.select(blob_pieces.c.data).where(blob_pieces.c.blob_id == blob_id)
        async with self._database.read() as connection:
            size = await connection.scalar(sa.select(blobs.c.size).where(blobs.c.id == blob_id))
            data = b"".join(await connection.scalars(pieces.order_by(blob_pieces.c.number)))
        if size != len(data):  # none, or deleted between the two
            raise NotFound
        return data

    async def delete(self, blob_id: str) -> None:
        if not _ID.fullmatch(blob_id):
            return
        async with self._database.write() as connection:
            await connection.execute(sa.delete(blobs).where(blobs.c.id == blob_id))

    async def delete_folder(self, folder: str) -> None:
        if not _FOLDER.fullmatch(folder):
            return
        async with self._database.write() as connection:
            await connection.execute(sa.delete(blobs).where(blobs.c.folder == folder))

    async def folders(self, *, older_than: float) -> Iterable[str]:
        old = sa.select(blobs.c.folder).group_by(blobs.c.folder)
        async with self._database.read() as connection:
            return list(
                await connection.scalars(old.having(sa.func.max(blobs.c.created_at) < now() - older_than))
            )


_FOLDER = re.compile(r"[A-Za-z0-9_-]{1,48}")
_ID = re.compile(_FOLDER.pattern + r"/[A-Za-z0-9_-]{1,31}")
_T = TypeVar("_T")


def _new_id(folder: str) -> str:
    if not _FOLDER.fullmatch(folder):
        raise ValueError(f"not the name of a folder: {folder!r}")
    return f"{folder}/{secrets.token_urlsafe(16)}"


async def _in_thread(work: Callable[[], _T]) -> _T:
    try:
        return await asyncio.to_thread(work)
    except FileNotFoundError as error:
        raise NotFound from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise StorageFull from error
        raise StorageUnavailable from error


def _remove(path: Path) -> None:
    """The file, and its folder where that was the last one."""
    path.unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()


def _remove_folder(path: Path) -> None:
    while path.is_dir():
        with suppress(FileNotFoundError):  # somebody else lets it go as well
            for entry in path.iterdir():
                entry.unlink(missing_ok=True)
        try:
            path.rmdir()
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST}:  # a file came in this moment
                raise


def _last_change(path: Path) -> float:
    try:
        return max(entry.stat().st_mtime for entry in (path, *path.iterdir()))
    except OSError:  # it goes in this moment
        return float("inf")


def _sync_folder(path: Path) -> None:
    """A renamed file is not there after a power cut until its folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
