"""`POST /v1/erase`: a picture and a mask in, the picture without the object out."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.plans import Feature
from magic_eraser.accounts.principal import Principal, Scope
from magic_eraser.api import language
from magic_eraser.api.accept import prefers_async, prefers_json
from magic_eraser.api.deps import Caller, KeepingAsked, Needs, Seconds, TheRooms, WhileOpen, unless_gone
from magic_eraser.api.erase_fields import EraseFields, EraseForm, EraseJson, options_of
from magic_eraser.api.forms import data_url, picture, read_fields, validate
from magic_eraser.api.idempotent import TakesKey, once
from magic_eraser.api.metered import Metered
from magic_eraser.api.new_jobs import as_job
from magic_eraser.api.problems import responses
from magic_eraser.api.rooms import Rooms
from magic_eraser.api.views.jobs import JobView
from magic_eraser.errors import StorageFull, StorageUnavailable, ValidationFailed
from magic_eraser.models.watch import Watch
from magic_eraser.service.request import EraseRequest, EraseResult, Keeping, Source
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

router = APIRouter(prefix="/v1", tags=["erase"])


class EraseAnswer(BaseModel):
    """The answer where `Accept` prefers JSON."""

    image: str
    """Data URL."""
    width: int
    height: int
    model: str
    """The model that ran."""
    image_id: str | None
    """To erase further on the result; null where the server had no room to keep it."""
    notices: list[dict[str, str]]
    """What the format could not carry, the time did not allow or a model could not do: `{code, message}`."""


_IMAGES = {
    media: {"schema": {"type": "string", "format": "binary"}}
    for media in ("image/png", "image/jpeg", "image/webp", "image/avif", "image/tiff")
}


@router.post(
    "/erase",
    dependencies=[WhileOpen, Needs(Scope.ERASE), Metered, TakesKey],
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
        202: {"description": "A job, as `Prefer: respond-async` asked for", "model": JobView},
        **responses(400, 401, 402, 403, 404, 408, 409, 413, 415, 422, 429, 503, 504, 507),
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
async def erase(
    request: Request, rooms: TheRooms, caller: Caller, seconds: Seconds, keeping: KeepingAsked
) -> Response:
    """Send `image` (or `image_id`) and `mask`; get the image's bytes. `Accept: application/json` gives a data
    URL instead. Pixels outside the mask (after `dilate` and `feather`) come back bit-identical in lossless
    formats. `Prefer: respond-async` answers 202 and a job of one item."""
    fields = await read_fields(request)
    asked = await _request(rooms, caller, dict(fields), keeping)

    as_a_job = prefers_async(request) and caller.has(Feature.BATCH_PROCESSING)  # a preference, not an order
    if as_a_job:
        caller.require(Scope.JOBS)

    async def answer() -> Response:
        if as_a_job:
            return await as_job(request, rooms, caller, asked)
        return await unless_gone(request, _answer(request, rooms, caller, asked, Watch(seconds)))

    meant = {**fields, "respond-async": True} if as_a_job else fields
    return await once(request, rooms, caller, meant, answer)


async def _request(rooms: Rooms, caller: Principal, fields: dict[str, Any], keeping: Keeping) -> EraseRequest:
    image, image_id, mask = (fields.pop(name, None) for name in ("image", "image_id", "mask"))
    options, output = options_of(validate(EraseFields, fields), rooms.settings.models.default)
    hole = picture(mask, "mask")
    if image_id is not None and image is not None:
        raise ValidationFailed("Send image or image_id, not both.", "image 与 image_id 只能提供一个。")
    photo: bytes | Source
    if image_id is None:
        photo = picture(image, "image")
    else:
        photo = await asyncio.to_thread(rooms.images.get, caller.tenant_id, str(image_id))
    return EraseRequest(photo, hole, options, output, keeping)


async def _answer(
    request: Request, rooms: Rooms, caller: Principal, erase: EraseRequest, watch: Watch
) -> Response:
    result = await rooms.service.erase(caller, erase, watch)
    request.state.charged = result.reservation
    assert result.encoded is not None
    image_id = await _kept_for_next(rooms, caller, result)
    headers = _headers(result, image_id)
    if not prefers_json(request):
        return Response(result.encoded.data, media_type=result.encoded.media_type, headers=headers)
    zh = language.of(request) == "zh"
    answer = EraseAnswer(
        image=data_url(result.encoded.data, result.encoded.media_type),
        width=result.width,
        height=result.height,
        model=result.model,
        image_id=image_id,
        notices=[
            {"code": notice.code, "message": notice.message_zh if zh else notice.message}
            for notice in result.notices
        ],
    )
    return JSONResponse(answer.model_dump(), headers=headers)


async def _kept_for_next(rooms: Rooms, caller: Principal, result: EraseResult) -> str | None:
    """The id by which the result can be erased further; None where the disk is full or cannot be written to:
    the picture itself is done, and is not thrown away for that."""
    assert result.encoded is not None
    try:
        stored = await asyncio.to_thread(
            rooms.images.put,
            caller.tenant_id,
            result.encoded.data,
            width=result.width,
            height=result.height,
            format=result.encoded.format,
        )
    except (StorageFull, StorageUnavailable) as error:
        log.warning("result_not_kept", reason=error.code)
        return None
    return stored.id


def _headers(result: EraseResult, image_id: str | None) -> dict[str, str]:
    headers = {
        "X-Eraser-Model": result.model,
        "X-Eraser-Cache": result.cache,
        "Server-Timing": server_timing(result),
        "Cache-Control": "no-store",
    }
    if image_id is not None:
        headers["X-Eraser-Image-Id"] = image_id
    if result.notices:
        headers["X-Eraser-Notice"] = ", ".join(notice.code for notice in result.notices)
    return headers


def server_timing(result: EraseResult) -> str:
    """W3C Server Timing: `cache;dur=1.2, queue;dur=0.0, decode;dur=12.3, ...`, milliseconds; how many were ahead in the
    queue, where there were any; `wake` first where the request ended a sleep of the server."""
    ahead = f';desc="{result.ahead} ahead"' if result.ahead else ""
    stages = [
        f"{stage}{ahead if stage == 'queue' else ''};dur={value * 1000:.1f}"
        for stage, value in result.seconds.items()
    ]
    if result.slept is not None:
        stages.insert(0, f'wake;desc="slept {result.slept:.0f} s"')
    return ", ".join(stages)
