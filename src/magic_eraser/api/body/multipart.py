"""multipart/form-data (RFC 7578) that comes in pieces: files go to the spool, texts stay in memory and are short."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from magic_eraser.api.body.base64_text import LONG, LONGEST, Base64Text, NotBase64, looks_like_base64
from magic_eraser.api.body.spool import Incoming, Spool, Upload
from magic_eraser.errors import BodyTooLarge, ValidationFailed

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

Value = str | Upload | NotBase64
MOST_TEXT = 1024 * 1024
"""Bytes that the texts of a form may have together."""


class MultipartReader:
    """Reads one form. A part with a filename is a file, any other a text; a long text becomes an `Upload` where it is
    base64, and else `NOT_BASE64`. A part's headers are at most 8, of at most 4 KiB each.

    Args:
        content_type: of the request, with its boundary.
        spool: where files go.
        max_files, max_fields: most files, and most texts.

    Attributes:
        items: (name, value), in the order in which they came.

    Raises:
        ValidationFailed: there is no boundary, or one that is too long.
    """

    def __init__(self, content_type: str, spool: Spool, *, max_files: int, max_fields: int) -> None:
        _, options = parse_options_header(content_type)
        self._charset = _charset(options.get(b"charset", b"utf-8"))
        self._spool = spool
        self._left = {"files": max_files, "fields": max_fields}
        self._most = dict(self._left)
        self._text_bytes = 0
        self.items: list[tuple[str, Value]] = []
        self._part: _Text | Incoming | None = None
        self._header = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._complete = False
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(options[b"boundary"], callbacks)
        except KeyError:
            raise _unreadable("the Content-Type names no boundary") from None
        except FormParserError as error:
            raise _unreadable(str(error)) from None

    def write(self, chunk: bytes) -> None:
        """The next piece.

        Raises:
            BodyTooLarge: its texts are too long.
            ValidationFailed: it is no such form, or one with too many parts.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _unreadable(str(error)) from None

    def finish(self) -> None:
        """Nothing more will come.

        Raises:
            ValidationFailed: the form is cut off.
        """
        if not self._complete:
            raise _unreadable("it ends before its last boundary")

    # --- what the parser calls ------------------------------------------------------------------------

    def _on_part_begin(self) -> None:
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _on_header_end(self) -> None:
        field, value = self._header
        self._headers[bytes(field).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise _unreadable('a part has no "name" in its Content-Disposition')
        self._name = self._decoded(options[b"name"])
        kind = "files" if b"filename" in options else "fields"
        self._left[kind] -= 1
        if self._left[kind] < 0:
            raise _unreadable(f"it has more than {self._most[kind]} {kind}")
        if kind == "files":
            media_type = self._headers.get(b"content-type", b"").decode("latin-1")
            filename = self._decoded(options[b"filename"])
            self._part = Incoming(self._spool, self._name, filename, media_type)
        else:
            self._part = _Text(self._spool, self._name)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        assert self._part is not None
        self._part.append(memoryview(data)[start:end])
        if isinstance(self._part, _Text) and self._text_bytes + len(self._part.text) > MOST_TEXT:
            raise BodyTooLarge(
                f"The texts of the form are longer than {MOST_TEXT // 1024} KiB.",
                f"表单中的文本超过 {MOST_TEXT // 1024} KiB。",
            )

    def _on_part_end(self) -> None:
        part, self._part = self._part, None
        if part is None:  # a part without a body, as the parser understands it
            raise _unreadable("a part has no headers")
        if isinstance(part, Incoming):
            self.items.append((self._name, part.finish()))
            return
        self._text_bytes += len(part.text)
        picture = part.picture()
        self.items.append((self._name, self._decoded(part.text) if picture is None else picture))

    def _on_end(self) -> None:
        self._complete = True

    def _decoded(self, raw: bytes | bytearray) -> str:
        try:
            return raw.decode(self._charset)
        except (UnicodeError, LookupError):  # "undefined" and "idna" raise nothing finer
            return raw.decode("latin-1")


class _Text:
    """A text while it comes in."""

    def __init__(self, spool: Spool, name: str) -> None:
        self._spool = spool
        self._name = name
        self.text = bytearray()
        self._base64: Base64Text | None = None

    def append(self, data: memoryview) -> None:
        if self._base64 is not None:
            self._base64.append(bytes(data))
            return
        self.text += data
        length = len(self.text)
        if length > LONGEST or (length > LONG and looks_like_base64(self.text)):
            self._base64 = Base64Text(self._spool, self._name)
            self._base64.append(bytes(self.text))
            self.text = bytearray()

    def picture(self) -> Upload | NotBase64 | None:
        """None where it is a text."""
        return None if self._base64 is None else self._base64.finish()


def _charset(name: bytes) -> str:
    try:
        return codecs.lookup(name.decode("latin-1")).name
    except (LookupError, ValueError):
        return "latin-1"


def _unreadable(why: str) -> ValidationFailed:
    return ValidationFailed(f"The form cannot be read: {why}.", "无法解析上传的表单。")
