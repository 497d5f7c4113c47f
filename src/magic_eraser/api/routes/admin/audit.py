"""`/v1/admin/audit`: who did what to whom."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts import deeds
from magic_eraser.api.account_bodies import AfterId, Limit, Line
from magic_eraser.api.deps import TheRooms
from magic_eraser.api.problems import responses
from magic_eraser.api.routes.admin.guard import ADMIN
from magic_eraser.api.views.account import NO_STORE
from magic_eraser.api.views.admin import DeedList, DeedView

router = APIRouter(prefix="/v1/admin/audit", tags=["admin"], dependencies=ADMIN)


@router.get(
    "",
    summary="Who did what to whom, newest first",
    response_model=DeedList,
    responses=responses(401, 403, 404, 422, 429, 503),
)
async def listing(
    rooms: TheRooms,
    limit: Limit = 50,
    after: AfterId = None,
    target: Annotated[
        Line | None, Query(description="Only what was done to this user, key, plan or model")
    ] = None,
) -> Response:
    """Of keys, plans, money, admins and models. Nothing in it can be changed or removed."""
    found = await deeds.newest(rooms.database, limit=limit + 1, after=after, target=target)
    page = [DeedView.of(deed) for deed in found[:limit]]
    view = DeedList(entries=page, next=page[-1].id if len(found) > limit else None)
    return JSONResponse(view.as_json(), headers=NO_STORE)
