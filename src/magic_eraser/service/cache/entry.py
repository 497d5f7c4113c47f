"""A result as bytes: one line of JSON, then the picture. Damage anywhere in it is seen."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, BinaryIO

from magic_eraser.service.cache.port import Kept

VERSION = 1
"""Raised when the form changes; entries of another one are misses."""

_LONGEST_LINE = 1024 * 1024
_KEY = re.compile(r"[0-9a-f]{64}")


def checked(key: str) -> str:
    """The key, which becomes part of a path.

    Raises:
        ValueError: not hex SHA-256, which is a defect of ours.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a cache key: {key!r}")
    return key


def to_pieces(key: str, kept: Kept) -> tuple[bytes, bytes]:
    """The line, and the picture."""
    head = {"version": VERSION, "key": key, "length": len(kept.data), "facts": kept.facts}
    return _line({**head, "sha256": _digest(head, kept.data)}) + b"\n", kept.data


def read(file: BinaryIO, size: int, key: str) -> Kept | None:
    """What `to_pieces` made of it for this key; None where it is damaged, cut off, of another version or not ours.

    Args:
        file: at its beginning.
        size: of all of it, bytes.
    """
    line = file.readline(_LONGEST_LINE)
    try:
        head = json.loads(line)
        digest = head.pop("sha256")
        facts = head["facts"]
        ours = (head["version"], head["key"], head["length"]) == (VERSION, key, size - len(line))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not ours:  # before so many bytes are read
        return None
    data = file.read(head["length"])
    return Kept(data, facts) if digest == _digest(head, data) else None


def _digest(head: dict[str, Any], data: bytes) -> str:
    digest = hashlib.sha256(_line(head))
    digest.update(data)
    return digest.hexdigest()


def _line(head: dict[str, Any]) -> bytes:
    return json.dumps(head, sort_keys=True, separators=(",", ":")).encode()
