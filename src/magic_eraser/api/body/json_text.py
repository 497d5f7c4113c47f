"""JSON that comes in pieces: the pictures in it go to the spool, and the rest, which is small, to `json`."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

from magic_eraser.api.body.base64_text import LONG, LONGEST, Base64Text, NotBase64, looks_like_base64
from magic_eraser.api.body.spool import Spool, Upload
from magic_eraser.errors import BodyTooLarge, ValidationFailed

MOST_REST = 1024 * 1024
"""Bytes beside the pictures; `json` makes up to 30 times as much of them in memory."""
_TO_ITS_END = re.compile(rb'(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BROKEN_OFF = re.compile(rb"\\(?:u[0-9A-Fa-f]{0,3})?\Z")


class JsonReader:
    """Reads one JSON text; a string in it that is long becomes an `Upload`, or `NOT_BASE64`.

    Args:
        spool: where pictures go.
        most_rest: bytes that the text may have beside them.
    """

    def __init__(self, spool: Spool, *, most_rest: int = MOST_REST) -> None:
        self._spool = spool
        self._most_rest = most_rest
        self._rest = bytearray()
        self._start: int | None = None
        """Where in the rest the string begins that is being read."""
        self._text: Base64Text | None = None
        self._kept_back = b""
        self._token = secrets.token_hex(16)  # so that no text can pass itself off as a picture
        self._pictures: dict[str, Upload | NotBase64] = {}

    def write(self, chunk: bytes) -> None:
        """The next piece.

        Raises:
            BodyTooLarge: there is too much beside the pictures.
            ValidationFailed: a long text has wrong escapes.
        """
        if self._kept_back:
            chunk, self._kept_back = self._kept_back + chunk, b""
        at = 0
        while at < len(chunk):
            at = self._outside(chunk, at) if self._start is None else self._inside(chunk, at)
            if len(self._rest) > self._most_rest:
                raise BodyTooLarge(
                    f"There are more than {self._most_rest // 1024} KiB of JSON beside the pictures.",
                    f"除图片外的 JSON 超过 {self._most_rest // 1024} KiB。",
                )

    def finish(self) -> Any:
        """What it says.

        Raises:
            ValidationFailed: it is no JSON.
        """
        self._rest += self._kept_back
        try:
            return self._restored(json.loads(self._rest))
        except (ValueError, RecursionError) as error:
            raise _invalid(error) from None

    def _outside(self, chunk: bytes, at: int) -> int:
        quote = chunk.find(b'"', at)
        if quote < 0:
            self._rest += chunk[at:]
            return len(chunk)
        self._rest += chunk[at : quote + 1]
        self._start = len(self._rest)
        return quote + 1

    def _inside(self, chunk: bytes, at: int) -> int:
        quote = chunk.find(b'"', at)
        if quote >= 0 and chunk.find(b"\\", at, quote) >= 0:  # it may be an escaped one
            found = _TO_ITS_END.match(chunk, at)
            quote = found.end() - 1 if found else -1
        if quote >= 0:
            self._feed(chunk[at:quote])
            self._end_of_string()
            return quote + 1
        end = len(chunk) - _broken_off(chunk[max(at, len(chunk) - 6) :], chunk, at)
        self._feed(chunk[at:end])
        self._kept_back = chunk[end:]
        return len(chunk)

    def _feed(self, piece: bytes) -> None:
        if self._text is not None:
            self._text.append(_plain(piece))
            return
        self._rest += piece
        assert self._start is not None
        length = len(self._rest) - self._start
        if length > LONGEST or (length > LONG and looks_like_base64(memoryview(self._rest)[self._start :])):
            head = bytes(self._rest[self._start :])
            del self._rest[self._start :]
            self._text = Base64Text(self._spool)
            self._text.append(_plain(head))

    def _end_of_string(self) -> None:
        if self._text is not None:
            name = f"{self._token}-{len(self._pictures)}"
            self._pictures[name] = self._text.finish()
            self._rest += name.encode()
            self._text = None
        self._rest += b'"'
        self._start = None

    def _restored(self, value: Any) -> Any:
        """With pictures in the place of their names; without recursion, as the text may be deep."""
        if not self._pictures:
            return value
        if isinstance(value, str):
            return self._pictures.get(value, value)
        open_ones = [value]
        while open_ones:
            container = open_ones.pop()
            if isinstance(container, dict):
                places = list(container.items())
            elif isinstance(container, list):
                places = list(enumerate(container))
            else:
                continue
            for place, inner in places:
                if isinstance(inner, str):
                    container[place] = self._pictures.get(inner, inner)
                else:
                    open_ones.append(inner)
        return value


def _broken_off(tail: bytes, chunk: bytes, at: int) -> int:
    """Bytes of an escape at the end of a piece whose rest is still to come."""
    found = _BROKEN_OFF.search(tail)
    if found is None:
        return 0
    length = len(tail) - found.start()
    before = chunk[at : len(chunk) - length]
    backslashes = len(before) - len(before.rstrip(b"\\"))
    return 0 if backslashes % 2 else length


def _plain(piece: bytes) -> bytes:
    """A piece of a string without JSON's escapes: some libraries write "+" as "\\u002B", and "/" as "\\/"."""
    if b"\\" not in piece:
        return piece
    try:
        text: str = json.loads(b'"' + piece + b'"')
    except ValueError as error:
        raise _invalid(error) from None
    return text.encode("utf-8", "surrogatepass")


def _invalid(error: Exception) -> ValidationFailed:
    return ValidationFailed(f"The body is not valid JSON: {str(error)[:200]}.", "请求内容不是有效的 JSON。")
