"""Bodies into fields, without ever having a whole one in memory: forms and JSON, pictures as files or as base64."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

from starlette.requests import Request

from magic_eraser.api.body.json_text import MOST_REST, JsonReader
from magic_eraser.api.body.multipart import MultipartReader
from magic_eraser.api.body.spool import SPOOLS, Spool
from magic_eraser.errors import BodyTooLarge, ValidationFailed

SLICE = 256 * 1024
"""Taken in at once, between which the loop may turn to others."""


@dataclass(frozen=True, slots=True)
class Body:
    """What came.

    Attributes:
        fields: by name: text, number, list or object; an `Upload` for a file of a form and for a long text that is
            base64; `NOT_BASE64` for another long text. A list of them for a name that may be repeated.
    """

    fields: dict[str, Any]


class Reader(Protocol):
    """Takes one body in, piece by piece."""

    def write(self, chunk: bytes) -> None: ...

    def finish(self) -> Any: ...


async def read_body(
    request: Request,
    *,
    max_files: int = 8,
    max_fields: int = 64,
    repeated: frozenset[str] = frozenset(),
    most_json: int = MOST_REST,
    spool: Callable[[], Spool] = Spool,
) -> Body:
    """The fields of a form or of a JSON object.

    Args:
        request: whose body has not been read.
        max_files, max_fields: most files and most texts of a form.
        repeated: fields of a form that may come several times; always a list then.
        most_json: bytes of JSON beside its pictures.
        spool: makes the one that pictures go to; `middleware.BodyCap` releases it when the request is over.

    Raises:
        ValidationFailed: neither a form nor a JSON object, broken, or with a field twice.
        BodyTooLarge: see `middleware.BodyCap`; or there is too much beside the pictures.
        RequestTimeout: see there.
        StorageFull: there is no room for it in the temporary folder.
        ClientDisconnect: the client went away.
    """
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    into = _registered(request, spool())
    try:
        if kind == "multipart/form-data":
            form = MultipartReader(content_type, into, max_files=max_files, max_fields=max_fields)
            await _take_in(request, form, into)
            return Body(_gathered(form.items, repeated))
        if kind == "application/x-www-form-urlencoded":
            pairs = await _take_in(request, _UrlEncoded(max_fields), into)
            return Body(_gathered(pairs, repeated))
        if kind == "application/json" or kind.endswith("+json"):
            return Body(_object(await _take_in(request, JsonReader(into, most_rest=most_json), into)))
    except BaseException:
        into.close()
        raise
    raise ValidationFailed(
        f'The Content-Type is "{kind[:100]}"; send multipart/form-data or application/json.',
        f"Content-Type 为“{kind[:100]}”；请使用 multipart/form-data 或 application/json。",
    )


async def read_json_body(request: Request, *, most_json: int = MOST_REST) -> Body:
    """A JSON object, whatever its Content-Type says. Raises as `read_body` does."""
    into = _registered(request, Spool())
    try:
        return Body(_object(await _take_in(request, JsonReader(into, most_rest=most_json), into)))
    except BaseException:
        into.close()
        raise


def _registered(request: Request, spool: Spool) -> Spool:
    request.scope.setdefault(SPOOLS, []).append(spool)
    return spool


async def _take_in(request: Request, reader: Reader, spool: Spool) -> Any:
    async for chunk in request.stream():
        for start in range(0, len(chunk), SLICE):
            if start:
                await asyncio.sleep(0)
            reader.write(chunk if len(chunk) <= SLICE else chunk[start : start + SLICE])
            await spool.settle()
    taken = reader.finish()
    await spool.finish()
    return taken


def _gathered(items: Iterable[tuple[str, Any]], repeated: frozenset[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in items:
        if name in repeated:
            fields.setdefault(name, []).append(value)
        elif name in fields:
            raise ValidationFailed(f'The field "{name[:60]}" comes twice.', f"字段“{name[:60]}”重复。")
        else:
            fields[name] = value
    return fields


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValidationFailed("The body must be a JSON object.", "请求内容必须是 JSON 对象。")
    return value


class _UrlEncoded:
    """A form without files; it is short."""

    MOST = 1024 * 1024

    def __init__(self, max_fields: int) -> None:
        self._max_fields = max_fields
        self._text = bytearray()

    def write(self, chunk: bytes) -> None:
        self._text += chunk
        if len(self._text) > self.MOST:
            raise BodyTooLarge(
                "A form of this type may have 1 MiB; send pictures as multipart/form-data.",
                "此类表单不得超过 1 MiB；请使用 multipart/form-data 上传图片。",
            )

    def finish(self) -> list[tuple[str, str]]:
        try:
            return parse_qsl(
                self._text.decode("latin-1"), keep_blank_values=True, max_num_fields=self._max_fields
            )
        except ValueError:
            raise ValidationFailed(
                f"The form cannot be read: it has more than {self._max_fields} fields.",
                "无法解析上传的表单。",
            ) from None
