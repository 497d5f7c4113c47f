"""ClipDrop's Cleanup API (clipdrop.co/apis/docs/cleanup), so that its clients need only another address and key.

Fields, headers and statuses are ClipDrop's. A credit is a call of the plan's day. Its limits (30 megabytes, 16
megapixels, JPEG and PNG) are not copied: those of the server and of the plan hold.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.principal import Principal, Scope
from magic_eraser.api import language
from magic_eraser.api.body.spool import Upload
from magic_eraser.api.compat.failures import route_with
from magic_eraser.api.deps import Caller, KeepingAsked, Needs, Seconds, TheRooms, WhileOpen, unless_gone
from magic_eraser.api.forms import read_fields, validate
from magic_eraser.api.idempotent import TakesKey, once
from magic_eraser.api.media_types import best
from magic_eraser.api.metered import Metered
from magic_eraser.api.problems import headers_of
from magic_eraser.api.rooms import Rooms
from magic_eraser.errors import EraserError, StorageUnavailable, ValidationFailed
from magic_eraser.models.inpainter import Effort
from magic_eraser.models.watch import Watch
from magic_eraser.service.request import EraseOptions, EraseRequest, EraseResult, OutputFormat, OutputOptions

NO_LIMIT = 2**31 - 1
"""`x-remaining-credits` where calls are not limited: clients read a whole number of 32 bits there."""
REMAINING, CONSUMED = "x-remaining-credits", "x-credits-consumed"
FORMATS: dict[str, OutputFormat] = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp"}
"""By media type, the usual one first."""
EFFORTS = {"fast": Effort.FAST, "quality": Effort.BEST}
_STATUS = {
    "insufficient_scope": 401,
    "account_disabled": 401,
    "plan_forbids_model": 402,
    "plan_forbids_feature": 402,
    "quota_exhausted": 402,
    "content_blocked": 400,
    "idempotency_in_flight": 429,
    "queue_full": 429,
    "draining": 429,
}
"""By the error's code, before its own status is asked."""
_AS_IT_IS = (400, 401, 402, 406, 413, 429, 499)
_BAD_INPUT = (408, 415, 422)


class NotAcceptable(EraserError):
    """None of the formats that `Accept` allows can be had (RFC 9110, 15.5.7)."""

    code = "not_acceptable"
    status = 406
    title = "The answer cannot be had in that format."
    title_zh = "无法以所要求的格式返回结果。"
    hint = "Ask for image/png, image/jpeg or image/webp in Accept, or leave it out."
    hint_zh = "请在 Accept 中指定 image/png、image/jpeg 或 image/webp，或不发送该头。"


def status_of(error: EraserError) -> int:
    """One of the statuses that ClipDrop documents; 499 for a caller who went away."""
    status = _STATUS.get(error.code, error.status)
    if status in _AS_IT_IS:
        return status
    return 400 if status in _BAD_INPUT else 500


def _failure(request: Request, error: EraserError) -> Response:
    status, headers = status_of(error), headers_of(error)
    if status == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer error="invalid_token"')
    return JSONResponse({"error": error.sentence(language.of(request))}, status, headers)


router = APIRouter(tags=["compatible"], route_class=route_with(_failure))


class CleanupFields(BaseModel):
    """The fields beside the pictures; those that are not known mean nothing."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    mode: Literal["fast", "quality"] = "fast"
    """`quality` takes longer; where the time limit comes near, it answers the best that is ready."""


class CleanupForm(CleanupFields):
    """The whole form, for the document."""

    image_file: Annotated[bytes, Field(json_schema_extra={"format": "binary"})]
    """The picture, in any format that `/v1/erase` reads."""
    mask_file: Annotated[bytes, Field(json_schema_extra={"format": "binary"})]
    """Of the same size: white is removed, black stays."""


async def _media_type(request: Request) -> str:
    found = best(",".join(request.headers.getlist("accept")), list(FORMATS))
    if found is None:
        raise NotAcceptable
    return found


MediaType = Annotated[str, Depends(_media_type)]
_CREDITS = {
    name: {"schema": {"type": "integer"}, "description": text}
    for name, text in (
        (REMAINING, f"Calls that are left today; {NO_LIMIT} where they are not limited."),
        (CONSUMED, "1, or 0 for a result from the cache where the plan has them free."),
    )
}
_FAILS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "content": {"application/json": {"example": {"error": "..."}}},
    }
    for status, text in (
        (400, "The picture, the mask or a field cannot be used"),
        (401, "It is not known who calls, or the key may not do this"),
        (402, "Nothing left to pay with, or not in the plan"),
        (406, "Not to be had in that format"),
        (413, "Too large"),
        (429, "Too many requests, or the queue is full"),
        (500, "Failed; nothing was charged"),
    )
}


@router.post(
    "/cleanup/v1",
    dependencies=[WhileOpen, Needs(Scope.ERASE), Depends(_media_type), Metered, TakesKey],
    summary="Erase (ClipDrop)",
    response_class=Response,
    responses={
        200: {
            "description": "The picture",
            "headers": _CREDITS,
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in FORMATS
            },
        },
        **_FAILS,
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": CleanupForm.model_json_schema()}},
        }
    },
)
async def cleanup(
    request: Request,
    rooms: TheRooms,
    caller: Caller,
    media_type: MediaType,
    seconds: Seconds,
    keeping: KeepingAsked,
) -> Response:
    """`image_file` and `mask_file` (white is removed) give the picture: PNG, or JPEG or WebP as `Accept` says.
    `x-remaining-credits` has the calls that are left today, 2147483647 where they are not limited, and
    `x-credits-consumed` is 1, or 0 for a result from the cache where the plan has them free."""
    given = await read_fields(request)
    mode = validate(CleanupFields, given).mode
    erase = EraseRequest(
        image=_file(given, "image_file"),
        mask=_file(given, "mask_file"),
        options=EraseOptions(
            model=rooms.settings.models.default, effort=EFFORTS[mode], rough_when_late=mode == "quality"
        ),
        output=OutputOptions(FORMATS[media_type]),
        keeping=keeping,
    )

    async def answer() -> Response:
        result = await unless_gone(request, rooms.service.erase(caller, erase, Watch(seconds)))
        assert result.encoded is not None
        request.state.charged = result.reservation
        headers = await _headers(rooms, caller, result)
        return Response(result.encoded.data, media_type=result.encoded.media_type, headers=headers)

    meant = {"image": erase.image, "mask": erase.mask, "mode": mode, "media_type": media_type}
    return await once(request, rooms, caller, meant, answer)


def _file(given: dict[str, Any], name: str) -> bytes | Upload:
    value = given.get(name)
    if isinstance(value, bytes | Upload):
        return value
    raise ValidationFailed(
        f'The form has no file "{name}".',
        f"表单中缺少文件“{name}”。",
        extra={"errors": [{"pointer": f"/{name}", "message": "a file is required"}]},
    )


async def _headers(rooms: Rooms, caller: Principal, result: EraseResult) -> dict[str, str]:
    headers = {
        CONSUMED: "0" if result.cache == "hit" and result.reservation is None else "1",
        "Vary": "Accept",
        "Cache-Control": "no-store",
    }
    with suppress(StorageUnavailable):  # the picture is done, and is not thrown away for a number
        left = await _left(rooms, caller, result)
        headers[REMAINING] = str(NO_LIMIT if left is None else min(left, NO_LIMIT))
    if result.notices:
        headers["X-Eraser-Notice"] = ", ".join(notice.code for notice in result.notices)
    return headers


async def _left(rooms: Rooms, caller: Principal, result: EraseResult) -> int | None:
    """None for no limit."""
    if result.reservation is not None:
        return result.reservation.left
    if rooms.accounts is None or caller.plan is None or caller.plan.calls_a_day is None:
        return None
    return (await rooms.accounts.ledger.standing(caller, caller.plan)).left
