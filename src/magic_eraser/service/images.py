"""Pictures kept for a while between two requests: uploads, and results to go on with."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from magic_eraser.errors import NotFound

_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_NAME = re.compile(r"(?P<id>[A-Za-z0-9_-]{22})\.(?P<width>\d+)x(?P<height>\d+)\.(?P<format>[a-z]+)")
_PART = ".part"


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


class ImageStore:
    """Files in `folder`, a sub-folder for each tenant; a tenant never sees another's. Does I/O: call it in a
    thread.

    Args:
        folder: made where it is missing.
        ttl_seconds: how long a picture stays.
        max_bytes: all pictures together; the oldest go first.
    """

    def __init__(self, folder: Path, *, ttl_seconds: float, max_bytes: int) -> None:
        self._folder = folder
        self._ttl = ttl_seconds
        self._max_bytes = max_bytes

    def put(self, tenant_id: str, data: bytes, *, width: int, height: int, format: str) -> StoredImage:
        """Keep an encoded picture. It appears whole or not at all."""
        folder = self._tenant(tenant_id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{secrets.token_urlsafe(16)}.{width}x{height}.{format}"
        part = path.with_name(path.name + _PART)
        try:
            part.write_bytes(data)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        self.sweep()
        return self._stored(path)

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
        self.get(tenant_id, image_id).path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what is over its time, what a crash left half-written, and the oldest beyond `max_bytes`."""
        found = []
        now = time.time()
        for path in self._folder.glob("*/*"):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            age = now - stat.st_mtime
            # a part older than a minute belongs to nobody: writing one takes well under a second
            if age >= (60 if path.name.endswith(_PART) else self._ttl):
                path.unlink(missing_ok=True)
            else:
                found.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found)[:-1]:  # the newest stays, however large
            if total <= self._max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size

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
