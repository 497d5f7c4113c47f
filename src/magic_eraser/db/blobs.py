"""Bytes too large for a row, kept until the row that names them goes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from magic_eraser.db.base import Seconds, metadata
from magic_eraser.db.database import Database

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
    """Where they lie. A blob appears whole or not at all, and is never changed.

    A `folder` is what goes as one: a job, an idempotency key. Its name and a blob's are of `[A-Za-z0-9_-]`.
    """

    async def put(self, folder: str, data: bytes) -> str:
        """Keep it; the id by which it is found.

        Raises:
            StorageFull: no room.
            StorageUnavailable: nobody answers.
        """
        ...

    async def get(self, blob_id: str) -> bytes:
        """The bytes.

        Raises:
            NotFound: it went.
        """
        ...

    async def delete(self, blob_id: str) -> None:
        """Let one go; nothing happens where it is gone."""
        ...

    async def delete_folder(self, folder: str) -> None:
        """Let all of a folder go."""
        ...

    async def folders(self, *, older_than: float) -> Iterable[str]:
        """Folders whose newest blob is older than so many seconds: what a crash left behind is among them."""
        ...


class FileBlobs:
    """Files under `root`, a sub-folder for each folder; written beside, then renamed (`os.replace`)."""

    def __init__(self, root: Path) -> None:
        self._root = root


class DatabaseBlobs:
    """Rows of at most `PIECE` bytes, for servers that share a database and nothing else."""

    def __init__(self, database: Database) -> None:
        self._database = database
