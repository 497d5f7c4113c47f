"""`Idempotency-Key`: a request that is sent again gets the answer that the first one got, and costs nothing more."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

from fastapi import Depends, Header
from starlette.requests import Request
from starlette.responses import Response

from magic_eraser.accounts.principal import Principal
from magic_eraser.api.accept import prefers_json
from magic_eraser.api.middleware import endpoint_of
from magic_eraser.api.rooms import Rooms
from magic_eraser.errors import EraserError, ValidationFailed
from magic_eraser.service.idempotency.keys import Answer, Attempt, IdempotencyKeys
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LONGEST = 255
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"(?:\s*;[ -~]*)?')
"""A String of RFC 9651, 3.3.3, and parameters, which mean nothing here."""
_BARE = re.compile(r"[!#-~][ -~]*")
"""As Stripe's clients send it: no quotes around it."""
_OF_ONE_ANSWER = frozenset({
    "connection", "content-length", "content-type", "date", "ratelimit", "ratelimit-policy", "server-timing",
    "x-request-id",
})  # fmt: skip
"""Headers that are not replayed, or are made anew."""


def key_of(request: Request) -> str | None:
    """The caller's key; None where it sent none.

    Raises:
        ValidationFailed: more than one, or not 1..255 printable ASCII characters, in quotes or bare.
    """
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    text = given[0].strip()
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r'\\(["\\])', r"\1", quoted[1]) if quoted else text
    if len(given) > 1 or not 1 <= len(key) <= LONGEST or not (quoted or _BARE.fullmatch(text)):
        raise ValidationFailed(
            f"{HEADER} is not 1 to {LONGEST} printable ASCII characters, sent once.",
            f"{HEADER} 应为 1 到 {LONGEST} 个可打印 ASCII 字符，且只发送一次。",
        )
    return key


async def _declared(
    request: Request,
    _key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            description="Names what is meant, such as a UUID. The same key with the same request is answered as the "
            "first time, without work or cost; with another request 422, while the first one runs 409.",
        ),
    ] = None,
) -> None:
    key_of(request)


TakesKey = Depends(_declared)
"""For routes that use `once`: the header stands in their documents, and a broken one is refused before the body is
read."""


async def once(
    request: Request,
    rooms: Rooms,
    caller: Principal,
    fields: Mapping[str, Any],
    answer: Callable[[], Awaitable[Response]],
) -> Response:
    """What `answer` answers; where the caller gave a key and had an answer by it, that one again, with
    `Idempotency-Replayed: true`.

    Args:
        request: its route and headers are looked at.
        rooms: those of the app.
        caller: whose key it is; callers that nobody knows have theirs by address.
        fields: what makes the request what it is, by name: JSON values, bytes and `Source`s, or lists of them.
        answer: does the work, and gives a response with a body; cancelled with the request.

    Raises:
        ValidationFailed: see `key_of`.
        IdempotencyInFlight, IdempotencyMismatch, StorageUnavailable: see `IdempotencyKeys.begin`.
        EraserError: of `answer`; the key is free again then.
    """
    key = key_of(request)
    if key is None:
        return await answer()
    route = f"{request.method} {endpoint_of(request.scope)}"
    print_ = await asyncio.to_thread(fingerprint, fields, as_json=prefers_json(request))
    begun = await rooms.idempotency.begin(caller.party, route, key, print_)
    if isinstance(begun, Answer):
        return _again(begun)
    try:
        async with _renewed(rooms.idempotency, begun):
            response = await answer()
    except BaseException:
        await asyncio.shield(_abandon(rooms.idempotency, begun))
        raise
    await asyncio.shield(_keep(rooms.idempotency, begun, response))
    return response


def fingerprint(fields: Mapping[str, Any], *, as_json: bool) -> str:
    """SHA-256, hex, of what is asked for and of the kind of answer; the way in which a picture was sent does not count.
    Reads every `Source`, so it belongs in a worker thread.

    Args:
        fields: see `once`.
        as_json: whether the caller prefers JSON.
    """
    canonical = {"fields": {name: _digested(value) for name, value in fields.items()}, "json": as_json}
    return hashlib.sha256(json.dumps(canonical, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _digested(value: Any) -> list[Any]:
    """Tagged by kind, so that the text of a digest is not the bytes that have it."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return ["bytes", hashlib.sha256(value).hexdigest()]
    if hasattr(value, "sha256"):
        return ["bytes", value.sha256().hex()]
    if isinstance(value, (list, tuple)):
        return ["list", [_digested(each) for each in value]]
    return ["json", value]


def _again(answer: Answer) -> Response:
    response = Response(answer.body, answer.status)
    for name, value in answer.headers:
        response.headers.append(name, value)
    if answer.media_type is not None:
        response.headers["Content-Type"] = answer.media_type
    response.headers[REPLAYED] = "true"
    return response


@asynccontextmanager
async def _renewed(keys: IdempotencyKeys, attempt: Attempt) -> AsyncIterator[None]:
    """A new job of a thousand pictures may take longer to keep than any lease: it must not be accepted twice."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(keys.lease_seconds / 3)
            with suppress(EraserError):  # the next time is well before its end
                await keys.renew(attempt)

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait({renewing})


async def _keep(keys: IdempotencyKeys, attempt: Attempt, response: Response) -> None:
    """The work is done and charged: its answer goes out even where it cannot be kept for a second time."""
    if not 200 <= response.status_code < 300:
        await _abandon(keys, attempt)
        return
    headers = tuple(
        (name, value) for name, value in response.headers.items() if name.lower() not in _OF_ONE_ANSWER
    )
    media_type = response.headers.get("content-type")
    answer = Answer(response.status_code, headers, media_type, bytes(response.body))
    try:
        if not await keys.finish(attempt, answer):
            log.warning("idempotency_taken_over", route=attempt.route)
    except EraserError as error:
        log.warning("idempotency_not_kept", route=attempt.route, reason=error.code)
        await _abandon(keys, attempt)


async def _abandon(keys: IdempotencyKeys, attempt: Attempt) -> None:
    with suppress(EraserError):  # the database is gone: the key is free once its lease is over
        await keys.abandon(attempt)
