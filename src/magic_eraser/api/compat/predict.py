"""`POST /api/predict`: base64 in, base64 out, as the clients of the deployment guide send it."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.principal import Scope
from magic_eraser.api import language
from magic_eraser.api.compat.failures import route_with
from magic_eraser.api.deps import Caller, KeepingAsked, Needs, Seconds, TheRooms, WhileOpen, unless_gone
from magic_eraser.api.forms import data_url, picture, read_json, validate
from magic_eraser.api.idempotent import TakesKey, once
from magic_eraser.api.metered import Metered
from magic_eraser.api.problems import headers_of
from magic_eraser.errors import EraserError
from magic_eraser.models.watch import Watch
from magic_eraser.service.request import EraseOptions, EraseRequest


def _failure(request: Request, error: EraserError) -> Response:
    """`{"error": ...}`; the guide's web clients look for the words "queue" and "timeout" in it."""
    message = error.sentence(language.of(request))
    if error.code == "queue_full" and "queue" not in message:
        message += " (queue)"
    if error.code == "deadline_exceeded" and "timeout" not in message:
        message += " (timeout)"
    return JSONResponse({"error": message, "code": error.code}, error.status, headers_of(error))


router = APIRouter(tags=["compatible"], route_class=route_with(_failure))


class PredictBody(BaseModel):
    """Image and mask, base64 or data URLs."""

    model_config = ConfigDict(extra="ignore")  # Gradio clients add session_hash, fn_index and the like

    data: Annotated[list[Any], Field(min_length=2)]


class PredictAnswer(BaseModel):
    data: list[str]
    """The result as a data URL."""
    duration: float
    """Seconds."""


_EXAMPLE = {"data": ["data:image/jpeg;base64,/9j/4AAQ...", "data:image/png;base64,iVBORw0KGgo..."]}


@router.post(
    "/api/predict",
    dependencies=[WhileOpen, Needs(Scope.ERASE), Metered, TakesKey],
    summary="Erase, base64 in and out",
    response_model=PredictAnswer,
    responses={
        status: {"description": "Failed", "content": {"application/json": {"example": {"error": "..."}}}}
        for status in (400, 401, 402, 403, 408, 409, 413, 415, 422, 429, 503, 504, 507)
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": PredictBody.model_json_schema(), "example": _EXAMPLE}},
        }
    },
)
async def predict(
    request: Request, rooms: TheRooms, caller: Caller, seconds: Seconds, keeping: KeepingAsked
) -> Response:
    """`{"data": [image, mask]}`; white in the mask erases."""
    start = time.monotonic()
    body = validate(PredictBody, await read_json(request))
    erase = EraseRequest(
        image=picture(body.data[0], "image"),
        mask=picture(body.data[1], "mask"),
        options=EraseOptions(model=rooms.settings.models.default),
        keeping=keeping,
    )

    async def answer() -> Response:
        result = await unless_gone(request, rooms.service.erase(caller, erase, Watch(seconds)))
        request.state.charged = result.reservation
        assert result.encoded is not None
        url = data_url(result.encoded.data, result.encoded.media_type)
        return JSONResponse({"data": [url], "duration": round(time.monotonic() - start, 3)})

    return await once(request, rooms, caller, {"image": erase.image, "mask": erase.mask}, answer)
