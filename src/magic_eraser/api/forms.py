"""Bodies into fields: multipart or JSON, bytes or base64."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, PlainValidator, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from magic_eraser.api.problems import translate
from magic_eraser.errors import EraserError, InvalidImage, InvalidMask, ValidationFailed
from magic_eraser.imaging.mask import MAX_GROWTH, Growth

M = TypeVar("M", bound=BaseModel)
_DATA_URL = re.compile(r"\s*data:[^,;]*(?:;[^,;]*)*;base64,", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_PIXELS: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=0, le=MAX_GROWTH)])


def _growth(value: Any) -> Growth:
    if value == "auto":
        return "auto"
    try:
        return _PIXELS.validate_python(value)
    except ValidationError:  # one sentence, where a union of types gives one for each of them
        raise PydanticCustomError(
            "growth", 'Input should be a whole number from 0 to {most}, or "auto"', {"most": MAX_GROWTH}
        ) from None


PixelsOrAuto = Annotated[
    Growth,
    PlainValidator(_growth),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_GROWTH},
                {"const": "auto", "type": "string"},
            ]
        }
    ),
]
"""A field of pixels, 0..200, or "auto"."""


_QUALITY: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=1, le=100)])
HIGH = "high"


def _quality(value: Any) -> int | str | None:
    if value is None:
        return None
    if value == HIGH:
        return HIGH
    try:
        return _QUALITY.validate_python(value)
    except ValidationError:
        raise PydanticCustomError(
            "quality", 'Input should be a whole number from 1 to 100, or "high"'
        ) from None


QualityOrHigh = Annotated[
    int | str | None,
    PlainValidator(_quality),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 100},
                {"const": HIGH, "type": "string"},
                {"type": "null"},
            ]
        }
    ),
]
"""A field of a lossy format's quality, 1..100, or of the fill's: "high"."""


async def read_fields(request: Request) -> dict[str, Any]:
    """The body's fields; files of a multipart body as bytes.

    Raises:
        ValidationFailed: neither multipart nor a JSON object, or broken.
        BodyTooLarge: see `middleware.BodyCap`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        return await _read_form(request)
    if kind == "application/json" or kind.endswith("+json"):
        return await read_json(request)
    raise ValidationFailed(
        f'The Content-Type is "{kind}"; send multipart/form-data or application/json.',
        f"Content-Type 为“{kind}”；请使用 multipart/form-data 或 application/json。",
    )


async def read_json(request: Request) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValidationFailed: it is something else.
    """
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise ValidationFailed(
            f"The body is not valid JSON: {str(error)[:200]}.", "请求内容不是有效的 JSON。"
        ) from None
    if not isinstance(body, dict):
        raise ValidationFailed("The body must be a JSON object.", "请求内容必须是 JSON 对象。")
    return body


async def _read_form(request: Request) -> dict[str, Any]:
    try:
        async with request.form(max_files=8, max_fields=64) as form:
            fields: dict[str, Any] = {}
            for name, value in form.multi_items():
                if name in fields:
                    raise ValidationFailed(
                        f'The field "{name[:60]}" comes twice.', f"字段“{name[:60]}”重复。"
                    )
                fields[name] = await value.read() if isinstance(value, UploadFile) else value
            return fields
    except HTTPException as error:
        raise ValidationFailed(f"The form cannot be read: {error.detail}.", "无法解析上传的表单。") from None


def validate(model: type[M], fields: Mapping[str, Any]) -> M:
    """Fields as a model.

    Raises:
        ValidationFailed: naming each fault.
    """
    try:
        return model.model_validate(fields)
    except ValueError as error:
        raise translate(error) or error from None


def picture(value: Any, name: str) -> bytes:
    """The bytes of a picture field: a file, bare base64 or a data URL.

    Args:
        value: bytes or str.
        name: "image" or "mask"; decides the error.

    Raises:
        ValidationFailed: missing, or of another type.
        InvalidImage, InvalidMask: broken base64.
    """
    if isinstance(value, bytes):
        return value
    fault: type[EraserError] = InvalidMask if name == "mask" else InvalidImage
    chinese = "蒙版" if name == "mask" else "图片"
    if not isinstance(value, str) or not value:
        raise ValidationFailed(
            f'The field "{name}" is missing or is not a file or base64 text.',
            f"缺少{chinese}，或其内容不是文件或 base64 文本。",
            extra={"errors": [{"pointer": f"/{name}", "message": "a file or base64 text is required"}]},
        )
    text = _SPACE.sub("", _DATA_URL.sub("", value, count=1))
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise fault(
            f'The field "{name}" is not valid base64.', f"{chinese}不是有效的 base64 文本。"
        ) from None


def data_url(data: bytes, media_type: str) -> str:
    """RFC 2397."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
