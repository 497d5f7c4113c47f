"""Bodies into fields: multipart or JSON, bytes or base64."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, PlainValidator, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from magic_eraser.api.body import base64_text
from magic_eraser.api.body.base64_text import NotBase64
from magic_eraser.api.body.read import read_body, read_json_body
from magic_eraser.api.body.spool import Upload
from magic_eraser.api.problems import translate
from magic_eraser.errors import EraserError, InvalidImage, InvalidMask, ValidationFailed
from magic_eraser.imaging.mask import MAX_GROWTH, Growth

M = TypeVar("M", bound=BaseModel)
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
    """The body's fields; files of a form, and pictures as long base64, as `Upload`. Raises as `read_body` does."""
    return (await read_body(request)).fields


async def read_json(request: Request) -> dict[str, Any]:
    """A JSON object, whatever its Content-Type says; pictures in it as `Upload`. Raises as `read_body` does."""
    return (await read_json_body(request)).fields


def validate(model: type[M], fields: Mapping[str, Any]) -> M:
    """Fields as a model.

    Raises:
        ValidationFailed: naming each fault.
    """
    try:
        return model.model_validate(fields)
    except ValueError as error:
        raise translate(error) or error from None


def picture(value: Any, name: str) -> bytes | Upload:
    """A picture field: a file, bare base64 or a data URL. Bytes where it is small.

    Args:
        value: as in a body's fields.
        name: "image" or "mask"; decides the error.

    Raises:
        ValidationFailed: missing, or of another type.
        InvalidImage, InvalidMask: broken base64.
    """
    if isinstance(value, bytes | Upload):
        return value
    fault: type[EraserError] = InvalidMask if name == "mask" else InvalidImage
    chinese = "蒙版" if name == "mask" else "图片"
    broken = fault(f'The field "{name}" is not valid base64.', f"{chinese}不是有效的 base64 文本。")
    if isinstance(value, NotBase64):
        raise broken
    if not isinstance(value, str) or not value:
        raise ValidationFailed(
            f'The field "{name}" is missing or is not a file or base64 text.',
            f"缺少{chinese}，或其内容不是文件或 base64 文本。",
            extra={"errors": [{"pointer": f"/{name}", "message": "a file or base64 text is required"}]},
        )
    try:
        return base64_text.decode(value)
    except ValueError:
        raise broken from None


def data_url(data: bytes, media_type: str) -> str:
    """RFC 2397."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
