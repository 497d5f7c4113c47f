"""One shape for every failure: RFC 9457 `application/problem+json`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from magic_eraser.api import language
from magic_eraser.errors import (
    BodyTooLarge,
    EraserError,
    MethodNotAllowed,
    NotFound,
    ValidationFailed,
)

MEDIA_TYPE = "application/problem+json"


class FieldFault(BaseModel):
    """One field that is not as expected."""

    pointer: str = Field(examples=["/dilate"])
    message: str = Field(examples=["Input should be less than or equal to 200"])


class Problem(BaseModel):
    """What every failure looks like on the wire."""

    type: str = Field(examples=["urn:magic-eraser:error:empty_mask"])
    title: str = Field(examples=["The mask marks nothing to erase."])
    status: int = Field(examples=[400])
    detail: str = Field(examples=["The mask marks nothing to erase."])
    hint: str = Field(examples=["Paint over what should go: white (above 127) erases."])
    instance: str = Field(examples=["/v1/erase"])
    code: str = Field(examples=["empty_mask"])
    request_id: str = Field(examples=["0b9f6c1d3a5e4f7c8d9e0a1b2c3d4e5f"])
    retry_after: int | None = Field(default=None, examples=[2])
    errors: list[FieldFault] | None = None


def headers_of(error: EraserError) -> dict[str, str]:
    """`Retry-After` (whole seconds) where waiting helps, `WWW-Authenticate` on 401."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    challenge = _challenge(error)
    if challenge:
        headers["WWW-Authenticate"] = challenge
    if error.code in (
        "draining",
        "body_too_large",
        "request_timeout",
    ):  # nothing more is read from this connection
        headers["Connection"] = "close"
    return headers


def _challenge(error: EraserError) -> str:
    """RFC 6750, 3: the codes are its own."""
    if error.status == 401:
        return "Bearer" if error.code == "not_authenticated" else 'Bearer error="invalid_token"'
    if error.code == "insufficient_scope":
        return f'Bearer error="insufficient_scope", scope="{error.extra.get("scope", "")}"'
    return ""


def problem(request: Request, error: EraserError) -> Response:
    """The answer to a failed request, in the caller's language."""
    zh = language.of(request) == "zh"
    body = {
        "type": f"urn:magic-eraser:error:{error.code}",
        "title": error.title_zh if zh else error.title,
        "status": error.status,
        "detail": error.detail_zh if zh else error.detail,
        "hint": error.hint_zh if zh else error.hint,
        "instance": request.url.path,
        "code": error.code,
        "request_id": request.scope.get("request_id", ""),
        **error.extra,
    }
    if error.retry_after is not None:
        body["retry_after"] = max(1, math.ceil(error.retry_after))
    return JSONResponse(body, error.status, headers_of(error), media_type=MEDIA_TYPE)


def from_pydantic(faults: Sequence[Any], *, skip: int = 0) -> ValidationFailed:
    """Pydantic's faults as our error; `skip` leading parts of each location are not the caller's business."""
    errors = [
        {
            "pointer": "".join(f"/{part}" for part in fault["loc"][skip:]) or "/",
            "message": str(fault["msg"]),
        }
        for fault in faults
    ]
    first = errors[0]
    name = first["pointer"].lstrip("/") or "the body"
    return ValidationFailed(
        f"{name}: {first['message']}.",
        f"字段 {name} 不符合要求：{first['message']}。",
        extra={"errors": errors},
    )


def from_http(error: HTTPException) -> EraserError:
    """Starlette's own errors (no route, wrong method, unreadable form) as ours."""
    if error.status_code == 404:
        return NotFound()
    if error.status_code == 405:
        return MethodNotAllowed()
    if error.status_code == 413:
        return BodyTooLarge()
    return ValidationFailed(str(error.detail))


def translate(error: Exception) -> EraserError | None:
    """Any error that a request can cause as one of the tree; None for a defect of ours."""
    if isinstance(error, EraserError):
        return error
    if isinstance(error, RequestValidationError):
        return from_pydantic(error.errors(), skip=1)
    if isinstance(error, ValidationError):
        return from_pydantic(error.errors())
    if isinstance(error, HTTPException):
        return from_http(error)
    return None


def install(app: FastAPI) -> None:
    """Answer every error of the tree, and the framework's own, as a problem."""

    async def handle(request: Request, error: Exception) -> Response:
        known = translate(error)
        if known is None:
            raise error
        response = problem(request, known)
        if isinstance(error, HTTPException) and error.headers:
            response.headers.update(error.headers)
        return response

    for kind in (EraserError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the failures of a route."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _TITLES[status], "content": content} for status in statuses}


_TITLES = {
    400: "The image or the mask cannot be used",
    401: "It is not known who calls",
    402: "Nothing left to pay with",
    403: "Not allowed",
    404: "No such thing",
    408: "The body came too slowly",
    406: "Not to be had in that form",
    409: "Not now: the first request with this Idempotency-Key is still running, or things have changed",
    413: "Too large",
    415: "Format not supported",
    422: "The fields are not as expected",
    429: "Too many requests",
    499: "The caller went away",
    500: "A defect of ours",
    503: "Full, or shutting down",
    504: "The time limit passed",
    507: "No room to keep it",
}
