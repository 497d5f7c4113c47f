"""`POST /v1/erase`: a picture and a mask in, the picture without the object out."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.principal import Principal
from magic_eraser.api import language
from magic_eraser.api.accept import prefers_json
from magic_eraser.api.deps import Caller, Seconds, TheRooms, WhileOpen, unless_gone
from magic_eraser.api.forms import (
    HIGH,
    PixelsOrAuto,
    QualityOrHigh,
    data_url,
    picture,
    read_fields,
    validate,
)
from magic_eraser.api.problems import responses
from magic_eraser.api.rooms import Rooms
from magic_eraser.errors import ValidationFailed
from magic_eraser.models.inpainter import Effort, Sampler
from magic_eraser.models.watch import Watch
from magic_eraser.service.request import (
    LONGEST_PROMPT,
    MOST_STEPS,
    EraseOptions,
    EraseRequest,
    EraseResult,
    OutputFormat,
    OutputOptions,
    Source,
)

router = APIRouter(prefix="/v1", tags=["erase"])


class EraseFields(BaseModel):
    """The fields beside the picture and the mask."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    model: str | None = Field(default=None, max_length=100, examples=["auto"])
    """A model id from `/v1/models`, or "auto"; the server's default where omitted."""
    dilate: PixelsOrAuto = Field(default=0, examples=[0, 4, "auto"])
    """Pixels by which the hole grows beyond the mask; "auto": where the rim of what it covers reaches beyond it."""
    feather: int = Field(default=0, ge=0, le=200)
    """Pixels of soft transition beyond that."""
    format: OutputFormat = "same"
    """Format of the answer: the picture's own, or another."""
    quality: QualityOrHigh = Field(default=None, examples=[90, "high"])
    """For lossy formats, 1..100; a JPEG keeps its own quantisation where omitted. "high" is of the fill, and the same
    as `effort` "best"."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Another seed gives a variant; the same one the same bytes."""
    effort: Annotated[Effort, WithJsonSchema({"type": "string", "enum": list(Effort)})] = Effort.BALANCED
    """How much work the fill is worth; only some models can take more or less of it."""
    steps: int | None = Field(default=None, ge=1, le=MOST_STEPS)
    """Of a diffusion model's sampler; the model's own number where omitted."""
    sampler: Annotated[Sampler, WithJsonSchema({"type": "string", "enum": list(Sampler)})] = Sampler.PLMS
    """Of models that have both."""
    prompt: str = Field(default="", max_length=LONGEST_PROMPT)
    """What is to come into the hole; only some models heed it."""
    negative_prompt: str = Field(default="", max_length=LONGEST_PROMPT)
    """What is not to."""
    rough_when_late: bool = False
    """Where the time limit comes near, answer the best that is there, with the notice `rough_result`, and not 504."""


class EraseJson(EraseFields):
    """The same as JSON: pictures as base64 or data URLs."""

    image: str | None = Field(default=None, examples=["data:image/png;base64,iVBORw0KGgo..."])
    """The picture; or give `image_id`."""
    image_id: str | None = Field(default=None, examples=["Zk3v0dXnQb2m8t1yJ5sWcA"])
    """A picture uploaded to `/v1/images`, or the `X-Eraser-Image-Id` of an earlier answer."""
    mask: str = Field(examples=["data:image/png;base64,iVBORw0KGgo..."])
    """White erases, black keeps; of the picture's size."""


class EraseForm(EraseFields):
    """The same as a multipart form: pictures as files."""

    image: Annotated[bytes | None, Field(json_schema_extra={"format": "binary"})] = None
    image_id: str | None = None
    mask: Annotated[bytes, Field(json_schema_extra={"format": "binary"})]


class EraseAnswer(BaseModel):
    """The answer where `Accept` prefers JSON."""

    image: str
    """Data URL."""
    width: int
    height: int
    model: str
    """The model that ran."""
    image_id: str
    """To erase further on the result."""
    notices: list[dict[str, str]]
    """What the format could not carry, the time did not allow or a model could not do: `{code, message}`."""


_IMAGES = {
    media: {"schema": {"type": "string", "format": "binary"}}
    for media in ("image/png", "image/jpeg", "image/webp", "image/avif", "image/tiff")
}


@router.post(
    "/erase",
    dependencies=[WhileOpen],
    summary="Erase what the mask marks",
    response_class=Response,
    responses={
        200: {
            "description": "The picture without the object",
            "content": {
                **_IMAGES,
                "application/json": {"schema": EraseAnswer.model_json_schema()},
            },
        },
        **responses(400, 404, 413, 415, 422, 503, 504),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": EraseForm.model_json_schema()},
                "application/json": {"schema": EraseJson.model_json_schema()},
            },
        }
    },
)
async def erase(request: Request, rooms: TheRooms, caller: Caller, seconds: Seconds) -> Response:
    """Send `image` (or `image_id`) and `mask`; get the image's bytes. `Accept: application/json` gives a data
    URL instead. Pixels outside the mask (after `dilate` and `feather`) come back bit-identical in lossless
    formats."""
    fields = await read_fields(request)
    erase_request = await _request(rooms, caller, fields)
    return await unless_gone(request, _answer(request, rooms, caller, erase_request, Watch(seconds)))


async def _request(rooms: Rooms, caller: Principal, fields: dict[str, Any]) -> EraseRequest:
    image, image_id, mask = (fields.pop(name, None) for name in ("image", "image_id", "mask"))
    options = validate(EraseFields, fields)
    hole = picture(mask, "mask")
    if image_id is not None and image is not None:
        raise ValidationFailed("Send image or image_id, not both.", "image 与 image_id 只能提供一个。")
    photo: bytes | Source
    if image_id is None:
        photo = picture(image, "image")
    else:
        photo = await asyncio.to_thread(rooms.images.get, caller.tenant_id, str(image_id))
    return EraseRequest(
        image=photo,
        mask=hole,
        options=EraseOptions(
            model=options.model or rooms.settings.models.default,
            dilate=options.dilate,
            feather=options.feather,
            seed=options.seed,
            effort=Effort.BEST if options.quality == HIGH else options.effort,
            rough_when_late=options.rough_when_late,
            steps=options.steps,
            sampler=options.sampler,
            prompt=options.prompt,
            negative_prompt=options.negative_prompt,
        ),
        output=OutputOptions(
            format=options.format, quality=options.quality if isinstance(options.quality, int) else None
        ),
    )


async def _answer(
    request: Request, rooms: Rooms, caller: Principal, erase: EraseRequest, watch: Watch
) -> Response:
    result = await rooms.service.erase(caller, erase, watch)
    assert result.encoded is not None
    stored = await asyncio.to_thread(
        rooms.images.put,
        caller.tenant_id,
        result.encoded.data,
        width=result.width,
        height=result.height,
        format=result.encoded.format,
    )
    headers = _headers(result, stored.id)
    if not prefers_json(request):
        return Response(result.encoded.data, media_type=result.encoded.media_type, headers=headers)
    zh = language.of(request) == "zh"
    answer = EraseAnswer(
        image=data_url(result.encoded.data, result.encoded.media_type),
        width=result.width,
        height=result.height,
        model=result.model,
        image_id=stored.id,
        notices=[
            {"code": notice.code, "message": notice.message_zh if zh else notice.message}
            for notice in result.notices
        ],
    )
    return JSONResponse(answer.model_dump(), headers=headers)


def _headers(result: EraseResult, image_id: str) -> dict[str, str]:
    headers = {
        "X-Eraser-Model": result.model,
        "X-Eraser-Cache": result.cache,
        "X-Eraser-Image-Id": image_id,
        "Server-Timing": server_timing(result.seconds),
        "Cache-Control": "no-store",
    }
    if result.notices:
        headers["X-Eraser-Notice"] = ", ".join(notice.code for notice in result.notices)
    return headers


def server_timing(seconds: dict[str, float]) -> str:
    """W3C Server Timing: `decode;dur=12.3, queue;dur=0.0, ...`, milliseconds."""
    return ", ".join(f"{stage};dur={value * 1000:.1f}" for stage, value in seconds.items())
