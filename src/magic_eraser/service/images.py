"""Pictures kept for a while between two requests: uploads, and results to go on with."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from magic_eraser.errors import NotFound, StorageFull, StorageUnavailable
from magic_eraser.service.files import Shelf, is_full

_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_NAME = re.compile(r"(?P<id>[A-Za-z0-9_-]{22})\.(?P<width>\d+)x(?P<height>\d+)\.(?P<format>[a-z]+)")


@dataclass(frozen=True, slots=True)
class StoredImage:
    """What is known of a kept picture; its facts are its file's name, so that no second file can disagree.

    Attributes:
        id: 128 random bits, unguessable.
        width, height: pixels, orientation applied.
        format: as `imaging.codec` names it.
        size: of the file, bytes.
        expires_at: when it goes.
    """

    id: str
    width: int
    height: int
    format: str
    size: int
    expires_at: datetime
    path: Path

    def read(self) -> bytes:
        """The encoded picture.

        Raises:
            NotFound: it went in the meantime.
        """
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            raise _gone() from None

    def sha256(self) -> bytes:
        """The digest of the encoded picture, 32 bytes.

        Raises:
            NotFound: it went in the meantime.
        """
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        except FileNotFoundError:
            raise _gone() from None


class ImageStore:
    """Files in `folder`, a sub-folder for each tenant; a tenant never sees another's. Does I/O: call it in a
    thread.

    Args:
        folder: made where it is missing.
        ttl_seconds: how long a picture stays.
        max_bytes: all pictures together; beyond it the oldest go, down to nine tenths.
    """

    def __init__(self, folder: Path, *, ttl_seconds: float, max_bytes: int) -> None:
        self._folder = folder
        self._ttl = ttl_seconds
        self._shelf = Shelf(folder, ttl_seconds=ttl_seconds, max_bytes=max_bytes)

    def put(self, tenant_id: str, data: bytes, *, width: int, height: int, format: str) -> StoredImage:
        """Keep an encoded picture. It appears whole or not at all.

        Raises:
            StorageFull: no room on the disk, even without those whose time is over.
            StorageUnavailable: the disk cannot be written to.
        """
        path = self._tenant(tenant_id) / f"{secrets.token_urlsafe(16)}.{width}x{height}.{format}"
        try:
            self._write(path, data)
        except OSError as error:
            if is_full(error):
                raise StorageFull from error
            raise StorageUnavailable(
                "The server cannot write to its disk right now.", "服务器暂时无法写入磁盘。"
            ) from error
        return self._stored(path)

    def _write(self, path: Path, data: bytes) -> None:
        try:
            self._shelf.write(path, data)
        except OSError as error:
            if not is_full(error):
                raise
            self._shelf.sweep()
            self._shelf.write(path, data)

    def get(self, tenant_id: str, image_id: str) -> StoredImage:
        """The picture of that id, if it is this tenant's and its time is not over.

        Raises:
            NotFound: otherwise, without saying which.
        """
        if _ID.fullmatch(image_id):
            for path in self._tenant(tenant_id).glob(f"{image_id}.*"):
                if _NAME.fullmatch(path.name):
                    stored = self._stored(path)
                    if stored.expires_at > datetime.now(UTC):
                        return stored
        raise _gone()

    def delete(self, tenant_id: str, image_id: str) -> None:
        """Let it go now.

        Raises:
            NotFound: see `get`.
        """
        self._shelf.remove(self.get(tenant_id, image_id).path)

    def sweep(self) -> None:
        """Remove what is over its time, what a crash left half-written, and the oldest beyond `max_bytes`."""
        self._shelf.sweep()

    def _tenant(self, tenant_id: str) -> Path:
        return self._folder / hashlib.sha256(tenant_id.encode()).hexdigest()[:32]

    def _stored(self, path: Path) -> StoredImage:
        match = _NAME.fullmatch(path.name)
        try:
            stat = path.stat()
        except FileNotFoundError:
            raise _gone() from None
        if match is None:
            raise _gone()
        return StoredImage(
            id=match["id"],
            width=int(match["width"]),
            height=int(match["height"]),
            format=match["format"],
            size=stat.st_size,
            expires_at=datetime.fromtimestamp(stat.st_mtime + self._ttl, UTC),
            path=path,
        )


def _gone() -> NotFound:
    return NotFound(
        "There is no such image: it was never uploaded by you, or its time is over.",
        "没有这张图片：它不是您上传的，或已过期。",
    )
