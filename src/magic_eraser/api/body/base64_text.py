"""Base64 that comes in pieces, decoded on its way to the spool: the text of a picture is never whole in memory."""

from __future__ import annotations

import base64
import binascii
import re

from magic_eraser.api.body.spool import Buffer, Incoming, Spool, Upload

LONG = 1024
"""A text that is longer, and looks like base64, is taken for a picture; prompts are shorter than that."""
LONGEST = 64 * 1024
"""Any other text may have so many bytes."""
DATA_URL = re.compile(rb"\s*data:[^,;]*(?:;[^,;]*)*;base64,", re.IGNORECASE)
WHITE_SPACE = b" \t\r\n\v\f\x1c\x1d\x1e\x1f"
_LIKE_BASE64 = re.compile(
    rb"\s*+(?:data:[^,]{0,200},)?(?:[A-Za-z0-9+/=\s]|\\[nrt/]|\\u00[0-9A-Fa-f]{2})*+", re.IGNORECASE
)


class NotBase64:
    """Stands in a body's fields for a long text that is no picture."""

    def __repr__(self) -> str:
        return "<a long text that is not base64>"


NOT_BASE64 = NotBase64()


def looks_like_base64(text: Buffer) -> bool:
    """Whether the beginning of a text, with or without JSON's escapes, is that of base64 or of a data URL."""
    return _LIKE_BASE64.fullmatch(text) is not None


class Base64Text:
    """A picture as text: the first piece brings the data URL's prefix whole, where there is one."""

    def __init__(self, spool: Spool, name: str = "") -> None:
        self._incoming = Incoming(spool, name)
        self._carried = b""
        self._begun = self._ended = self.broken = False

    def append(self, text: bytes) -> None:
        if self.broken:
            return
        if not self._begun:
            self._begun = True
            text = DATA_URL.sub(b"", text, count=1) if DATA_URL.match(text) else text
        text = self._carried + text
        try:
            self._decode(text)
        except binascii.Error:
            try:  # wrapped into lines, or broken
                self._decode(text.translate(None, WHITE_SPACE))
            except binascii.Error:
                self.broken = True

    def _decode(self, text: bytes) -> None:
        usable = len(text) - len(text) % 4
        decoded = binascii.a2b_base64(memoryview(text)[:usable], strict_mode=True)
        if decoded and self._ended:
            raise binascii.Error("data after the padding")
        self._carried = text[usable:].translate(None, WHITE_SPACE)
        self._ended = self._ended or text.endswith(b"=", 0, usable)
        self._incoming.append(decoded)

    def finish(self) -> Upload | NotBase64:
        if self.broken or self._carried:
            return NOT_BASE64
        return self._incoming.finish()


def decode(text: str) -> bytes:
    """Bare base64 or a data URL, however it is wrapped.

    Raises:
        ValueError: it is neither.
    """
    raw = text.encode("utf-8", "surrogatepass")
    raw = DATA_URL.sub(b"", raw, count=1) if DATA_URL.match(raw) else raw
    return base64.b64decode(raw.translate(None, WHITE_SPACE), validate=True)
