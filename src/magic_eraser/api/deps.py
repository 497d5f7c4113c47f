"""What a route may ask for by naming it in its signature."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import Request

from magic_eraser.accounts.principal import Principal, Scope
from magic_eraser.api.accounts import Accounts
from magic_eraser.api.caller import caller_of
from magic_eraser.api.rooms import Rooms
from magic_eraser.errors import Cancelled, Draining, NotAuthenticated, NotFound
from magic_eraser.service.request import Keeping

T = TypeVar("T")


def _of(request: Request) -> Rooms:
    rooms: Rooms = request.app.state.rooms
    return rooms


# Coroutines, though they wait for nothing: FastAPI runs plain functions in a thread each, which took 0.1 ms of the
# event loop for each of them in each request.
async def _rooms(request: Request) -> Rooms:
    return _of(request)


async def _caller(request: Request) -> Principal:
    rooms = _of(request)
    caller = await caller_of(rooms, request)
    rooms.users.saw(caller.party)
    return caller


async def _visitor(request: Request) -> Principal:
    try:
        return await _caller(request)
    except NotAuthenticated as error:
        if type(error) is not NotAuthenticated:  # it showed something, and that is not good
            raise
        return Principal("", "", plan=_of(request).plans.book.default, scopes=frozenset())


async def _accounts(request: Request) -> Accounts:
    accounts = _of(request).accounts
    if accounts is None:
        raise NotFound(
            "This server asks nobody who they are (ERASER_AUTH__MODE=off), so there are no accounts.",
            "此服务器未启用账户（ERASER_AUTH__MODE=off）。",
        )
    return accounts


_BEARER = HTTPBearer(
    scheme_name="bearer", description="An API key (`eras_live_...`) or a JWT.", auto_error=False
)
_KEY = APIKeyHeader(name="x-api-key", scheme_name="key", description="An API key.", auto_error=False)
"""For the document alone: `caller.credential_of` reads both headers."""
Caller = Annotated[Principal, Depends(_caller)]
Visitor = Annotated[Principal, Depends(_visitor)]
"""Whoever looks at what is on offer; without a credential, with the eyes of the default plan."""
TheAccounts = Annotated[Accounts, Depends(_accounts)]
"""404 where the server has none."""


def Needs(scope: Scope) -> Any:  # noqa: N802 (stands beside `Depends` and reads like it)
    """For routes: 401 without a good credential, 403 `insufficient_scope` with one that lacks the scope."""

    async def check(
        caller: Caller,
        _bearer: Annotated[Any, Security(_BEARER)] = None,
        _key: Annotated[Any, Security(_KEY)] = None,
    ) -> None:
        caller.require(scope)

    check.scope = scope  # type: ignore[attr-defined]  # read by the document, and by the test that no route lacks one
    return Depends(check)


async def _open(request: Request) -> None:
    if _of(request).admission.draining:
        raise Draining


async def _seconds(
    request: Request,
    asked: Annotated[
        float | None,
        Header(
            alias="X-Eraser-Deadline",
            gt=0,
            allow_inf_nan=False,
            description="Seconds that the answer may take from when the request is read, waiting included; the "
            "server's own limit holds where it is lower, or none is given.",
        ),
    ] = None,
) -> float:
    limit = _of(request).settings.queue.deadline_seconds
    return limit if asked is None else min(asked, limit)


async def _keeping(
    asked: Annotated[
        str | None,
        Header(
            alias="Cache-Control",
            description="`no-store`: the result is neither looked for nor kept; `no-cache`: it is made anew, and kept.",
        ),
    ] = None,
) -> Keeping:
    directives = {part.partition("=")[0].strip().lower() for part in (asked or "").split(",")}
    if "no-store" in directives:
        return Keeping.FORBIDDEN
    return Keeping.REFRESH if "no-cache" in directives else Keeping.ALLOWED


TheRooms = Annotated[Rooms, Depends(_rooms)]
Seconds = Annotated[float, Depends(_seconds)]
"""The time that the request may take, for its `Watch`: `X-Eraser-Deadline`, never above the server's setting."""
KeepingAsked = Annotated[Keeping, Depends(_keeping)]
"""What the caller allows the cache (RFC 9111, 5.2.1)."""
WhileOpen = Depends(_open)
"""For routes that begin new work: 503 `draining` once the server is leaving."""


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do the work, and stop it when the client goes away. The body must have been read.

    Raises:
        Cancelled: the client went; the work has been cancelled and has ended.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Cancelled
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
