"""The HTTP API of IOPaint 1.6 for erase models, so that its clients need only another address.

Fields, defaults, status codes and headers are IOPaint's; what it answers wrongly with 500 (a broken picture, an
unknown model, an unknown `ldm_sampler`) is a 4xx here. Steps, samplers and prompts are for the models that have
them; the other fields of diffusion models are accepted and have no effect.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.principal import Scope
from magic_eraser.api.compat.failures import route_with
from magic_eraser.api.compat.iopaint_facts import SAMPLERS, model_info, server_config
from magic_eraser.api.deps import Caller, KeepingAsked, Needs, Seconds, TheRooms, WhileOpen, unless_gone
from magic_eraser.api.forms import picture, read_json, validate
from magic_eraser.api.idempotent import TakesKey, once
from magic_eraser.api.metered import Metered
from magic_eraser.api.problems import headers_of
from magic_eraser.api.rooms import Rooms
from magic_eraser.errors import EraserError
from magic_eraser.models.catalog import AUTO, find
from magic_eraser.models.inpainter import Sampler
from magic_eraser.models.watch import Watch
from magic_eraser.service.request import EraseOptions, EraseRequest

CV2 = "cv2"
"""IOPaint's name for the PDE fills; `cv2_flag` says which."""


def _failure(_request: Request, error: EraserError) -> Response:
    """IOPaint's envelope."""
    if error.code == "validation_failed" and "errors" in error.extra:  # FastAPI's own shape, as there
        faults = [
            {
                "type": "value_error",
                "loc": ["body", *fault["pointer"].strip("/").split("/")],
                "msg": fault["message"],
            }
            for fault in error.extra["errors"]
        ]
        return JSONResponse({"detail": faults}, 422)
    body = {
        "error": type(error).__name__,
        "detail": error.detail,
        "body": "",
        "errors": f"{error.status}: {error.detail}",
    }
    return JSONResponse(body, error.status, headers_of(error))


router = APIRouter(prefix="/api/v1", tags=["compatible"], route_class=route_with(_failure))


class InpaintBody(BaseModel):
    """The fields of IOPaint's `InpaintRequest` that models here heed, and the types of some others."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    image: str | None = None
    """Base64 or data URL."""
    mask: str | None = None
    """Base64 or data URL; above 127 erases."""
    cv2_flag: Literal["INPAINT_NS", "INPAINT_TELEA"] = "INPAINT_NS"
    cv2_radius: int = Field(default=4, ge=1, le=64)
    sd_seed: int = 42
    """-1 draws one."""
    sd_steps: int = 50
    """Of a model with a prompt, 1..1000."""
    ldm_steps: int = 20
    """Of another model that has a sampler, 1..1000."""
    ldm_sampler: Literal["plms", "ddim"] = "plms"
    zits_wireframe: bool = True
    hd_strategy: str = "Crop"
    hd_strategy_crop_trigger_size: int = 800
    hd_strategy_crop_margin: int = 128
    hd_strategy_resize_limit: int = 1280
    prompt: str = ""
    """What is to come into the hole, at most 1,000 characters; for a model with a prompt."""
    negative_prompt: str = ""
    sd_keep_unmasked_area: bool = True


class SwitchBody(BaseModel):
    name: str


def _fails(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for failures, in IOPaint's envelope."""
    example = {"error": "InvalidImage", "detail": "...", "body": "", "errors": "400: ..."}
    content = {"application/json": {"example": example}}
    return {status: {"description": "Failed", "content": content} for status in statuses}


@router.post(
    "/inpaint",
    dependencies=[WhileOpen, Needs(Scope.ERASE), Metered, TakesKey],
    summary="Erase (IOPaint)",
    response_class=Response,
    responses={
        200: {"description": "The picture", "content": {"image/*": {}}},
        **_fails(400, 401, 402, 403, 404, 408, 409, 413, 415, 422, 429, 503, 504, 507),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": InpaintBody.model_json_schema()}},
        }
    },
)
async def inpaint(
    request: Request, rooms: TheRooms, caller: Caller, seconds: Seconds, keeping: KeepingAsked
) -> Response:
    """The picture's bytes in its own format, and `X-Seed`."""
    fields = await read_json(request)
    image, mask = (fields.pop(name, None) for name in ("image", "mask"))
    body = validate(InpaintBody, fields)
    seed = body.sd_seed if body.sd_seed >= 0 else random.randint(1, 99_999_999)  # noqa: S311 (no secret)
    erase = EraseRequest(
        image=picture(image, "image"),
        mask=picture(mask, "mask"),
        options=_options(current(request, rooms), body, rooms, seed % 2**32),
        keeping=keeping,
    )

    async def answer() -> Response:
        result = await unless_gone(request, rooms.service.erase(caller, erase, Watch(seconds)))
        request.state.charged = result.reservation
        assert result.encoded is not None
        data, media_type = result.encoded.data, result.encoded.media_type
        return Response(data, media_type=media_type, headers={"X-Seed": str(seed)})

    asked = body.model_dump() | {"image": erase.image, "mask": erase.mask}
    return await once(request, rooms, caller, asked, answer)


@router.get("/model", summary="The current model (IOPaint)")
async def show_model(request: Request, rooms: TheRooms) -> dict[str, Any]:
    return _info(current(request, rooms), rooms)


@router.post(
    "/model",
    summary="Choose the model of this API's later requests (IOPaint)",
    responses=_fails(401, 403, 404, 413, 422, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": SwitchBody.model_json_schema()}},
        }
    },
)
async def switch_model(request: Request, rooms: TheRooms, caller: Caller) -> dict[str, Any]:
    """Only requests to `/api/v1` follow it; a wrong name, or one of a model that cannot be used, changes nothing. All
    callers follow it: where there are several, it takes an admin."""
    caller.require(Scope.ERASE if rooms.accounts is None else Scope.ADMIN)
    name = validate(SwitchBody, await read_json(request)).name
    if name not in (AUTO, CV2):
        find(name, rooms.pool.cards())
        why = rooms.pool.why_not(name)
        if why is not None:
            raise why.error(name)
    request.app.state.iopaint_model = name
    return _info(name, rooms)


@router.get("/server-config", summary="What this server offers (IOPaint)")
async def show_config(rooms: TheRooms) -> dict[str, Any]:
    """Of the models, those that can be used now, as IOPaint lists those it has downloaded."""
    usable = [name for name in rooms.pool.cards() if rooms.pool.why_not(name) is None]
    return server_config([_info(name, rooms) for name in (AUTO, CV2, *usable)])


@router.get("/samplers", summary="Names of diffusion samplers (IOPaint)")
async def samplers() -> list[str]:
    return list(SAMPLERS)


@router.get("/inputimage", summary="The picture given at start: none (IOPaint)")
async def input_image() -> dict[str, Any]:
    """IOPaint answers 200 with an error's envelope when it was started without one; so do we."""
    message = "No input image configured"
    return {"error": "HTTPException", "detail": message, "body": "", "errors": f"200: {message}"}


def current(request: Request, rooms: Rooms) -> str:
    """The model that this API's requests use: as last switched, else the server's default."""
    name: str = getattr(request.app.state, "iopaint_model", rooms.settings.models.default)
    return name


def _info(name: str, rooms: Rooms) -> dict[str, Any]:
    card = rooms.pool.cards().get(name)
    return model_info(name, prompt=card is not None and card.prompt)


def _options(name: str, body: InpaintBody, rooms: Rooms, seed: int) -> EraseOptions:
    """What the current model heeds; the rest is not judged, as clients send all of it always."""
    model = _model(name, body.cv2_flag)
    card = rooms.pool.cards().get(model)
    options = EraseOptions(model=model, seed=seed, radius=body.cv2_radius)
    if card is not None and card.prompt:
        return replace(options, steps=body.sd_steps, prompt=body.prompt, negative_prompt=body.negative_prompt)
    if card is not None and card.steps is not None:
        return replace(options, steps=body.ldm_steps, sampler=Sampler(body.ldm_sampler))
    return options


def _model(name: str, flag: str) -> str:
    if name != CV2:
        return name
    return "telea" if flag == "INPAINT_TELEA" else "ns"
