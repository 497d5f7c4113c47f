"""Uploads that are read from the disk while they are sent."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PIECE = 256 * 1024


class Form:
    """A body of `multipart/form-data` (RFC 7578), to be iterated over once for each time it is sent; no more than one
    file is open at a time.

    Args:
        fields: text, by name; they come first.
        files: field, file name and path of each, in the order in which they are sent.

    Raises:
        OSError: a file is not there.
    """

    def __init__(self, fields: Mapping[str, str], files: Sequence[tuple[str, str, Path]]) -> None:
        boundary = secrets.token_hex(16)
        self._texts = b"".join(
            _head(boundary, f'name="{name}"') + text.encode() + b"\r\n" for name, text in fields.items()
        )
        self._parts = [
            (_head(boundary, f'name="{field}"; filename="{_escaped(name)}"', binary=True), path)
            for field, name, path in files
        ]
        self._tail = f"--{boundary}--\r\n".encode()
        sizes = sum(len(head) + path.stat().st_size + 2 for head, path in self._parts)
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._texts) + sizes + len(self._tail)),
        }

    def __iter__(self) -> Iterator[bytes]:
        yield self._texts
        for head, path in self._parts:
            yield head
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece
            yield b"\r\n"
        yield self._tail


def _head(boundary: str, disposition: str, *, binary: bool = False) -> bytes:
    kind = "Content-Type: application/octet-stream\r\n" if binary else ""
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n".encode()


def _escaped(name: str) -> str:
    """As browsers do (WHATWG HTML, 4.10.21.8); a name of bytes that are no UTF-8 has question marks for them."""
    escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.encode(errors="replace").decode()
