"""`/v1/admin/usage`: what all users used."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from magic_eraser.api.account_bodies import FirstDay, LastDay
from magic_eraser.api.deps import TheRooms
from magic_eraser.api.problems import responses
from magic_eraser.api.routes.account import usage_answer
from magic_eraser.api.routes.admin.guard import ADMIN
from magic_eraser.api.views.account import UsageView
from magic_eraser.api.views.csv_answers import DOCUMENTED, AsCsv
from magic_eraser.usage.reports import By

router = APIRouter(prefix="/v1/admin/usage", tags=["admin"], dependencies=ADMIN)


@router.get(
    "",
    summary="What was used, by day, model or user",
    response_model=UsageView,
    response_model_exclude_unset=True,
    responses={**DOCUMENTED, **responses(401, 403, 404, 422, 429, 503)},
)
async def usage(
    rooms: TheRooms,
    as_csv: AsCsv,
    first: FirstDay = None,
    last: LastDay = None,
    by: Annotated[Literal["day", "model", "user"], Query()] = "day",
) -> Response:
    """Of all users together, 366 days at most. Callers without a credential are `anonymous@ADDRESS`."""
    return usage_answer(await rooms.usage_reports.usage(By(by), first, last), as_csv=as_csv)
