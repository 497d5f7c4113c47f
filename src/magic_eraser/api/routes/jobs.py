"""`/v1/jobs`: many pictures in one request, worked through whatever happens to a server."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from magic_eraser.accounts.plans import Feature
from magic_eraser.accounts.principal import Scope
from magic_eraser.api.body.read import read_body
from magic_eraser.api.deps import Caller, KeepingAsked, Needs, TheRooms, WhileOpen
from magic_eraser.api.events import HIGHEST_ID, MEDIA_TYPE, EventResponse, follow, last_seen
from magic_eraser.api.idempotent import TakesKey, once
from magic_eraser.api.metered import Counted
from magic_eraser.api.new_jobs import REPEATED, JobForm, accept, judge
from magic_eraser.api.problems import responses
from magic_eraser.api.views.jobs import JobList, JobView, error_of
from magic_eraser.errors import EraserError, NotFound
from magic_eraser.imaging.codec import FORMATS
from magic_eraser.jobs import archive
from magic_eraser.jobs.tables import ItemState
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)
router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

MINE = [Needs(Scope.JOBS)]
MOST_LISTED = 100
OPEN_AGAIN = 2.0
"""Seconds after which to ask again for the result of an item that is open."""
OTHER_FILES = 64
"""Files of a form beyond those that are taken, so that a few too many are answered with the right sentence."""
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,48}")
_NO_STORE = {"Cache-Control": "private, no-store"}
_BYTES: dict[int | str, dict[str, Any]] = {200: {"description": "The picture", "content": {"image/*": {}}}}
_ZIP: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A ZIP",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The events", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
    204: {"description": "The job is over and all was told: do not come back"},
}
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Accepted: it will be worked through",
        "model": JobView,
        "headers": {"Location": {"description": "The job", "schema": {"type": "string"}}},
    }
}
_CANCELLED: dict[int | str, dict[str, Any]] = {
    202: {"description": "It was open: cancelled", "model": JobView},
    204: {"description": "It was over: gone"},
}
_FORM = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": {"schema": JobForm.model_json_schema()}},
    }
}


async def _job_id(job_id: Annotated[str, Path(description="128 random bits")]) -> str:
    if not _JOB_ID.fullmatch(job_id):  # PostgreSQL refuses some characters
        raise NotFound
    return job_id


JobId = Annotated[str, Depends(_job_id)]


@router.post(
    "",
    status_code=202,
    dependencies=[WhileOpen, Needs(Scope.JOBS), Counted, TakesKey],
    summary="Erase from many pictures",
    response_class=Response,
    responses={**_ACCEPTED, **responses(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503, 507)},
    openapi_extra=_FORM,
)
async def create(request: Request, rooms: TheRooms, caller: Caller, keeping: KeepingAsked) -> Response:
    """Send `image` and `mask` as often as there are pairs, in the same order, or `archive`: a ZIP with the folders
    `images/` and `masks/`, paired by name. The other fields are those of `/v1/erase`, for all of them. Pictures are
    looked at when it is their turn: one that is broken fails alone."""
    caller.require_feature(Feature.BATCH_PROCESSING)
    await rooms.jobs.check_room(caller)
    most = 2 * rooms.settings.jobs.max_items + OTHER_FILES
    fields = (await read_body(request, max_files=most, repeated=REPEATED)).fields
    asked = await judge(rooms, caller, fields, keeping)
    return await once(request, rooms, caller, fields, lambda: accept(request, rooms, caller, asked))


@router.get(
    "",
    dependencies=MINE,
    summary="Your jobs, newest first",
    response_model=JobList,
    responses=responses(401, 403, 404, 422, 503),
)
async def listing(
    request: Request,
    rooms: TheRooms,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 20,
    after: Annotated[str | None, Query(description="Id of the last job of the page before")] = None,
) -> Response:
    """Without their items. `next` is the `after` of the next page."""
    last = None if after is None else await rooms.jobs.get(caller.tenant_id, await _job_id(after))
    found = await rooms.jobs.newest(caller.tenant_id, limit=limit + 1, after=last)
    page = [JobView.of(request, job).as_json() for job in found[:limit]]
    return JSONResponse(
        {"jobs": page, "next": page[-1]["id"] if len(found) > limit else None}, headers=_NO_STORE
    )


@router.get(
    "/{job_id}",
    dependencies=MINE,
    summary="Where a job stands",
    response_model=JobView,
    responses=responses(401, 403, 404, 503),
)
async def show(job_id: JobId, request: Request, rooms: TheRooms, caller: Caller) -> Response:
    """With all its items: `success` is null for those that are open."""
    job = await rooms.jobs.get(caller.tenant_id, job_id)
    items = await rooms.jobs.items(caller.tenant_id, job_id)  # after it: none is open of a job that is over
    return JSONResponse(JobView.of(request, job, items).as_json(), headers=_NO_STORE)


@router.get(
    "/{job_id}/items/{index}",
    dependencies=MINE,
    summary="The result of one item",
    response_class=Response,
    responses={**_BYTES, **responses(400, 401, 402, 403, 404, 413, 415, 422, 429, 500, 503, 504, 507)},
)
async def result(
    job_id: JobId,
    index: Annotated[int, Path(ge=0, le=HIGHEST_ID)],
    rooms: TheRooms,
    caller: Caller,
) -> Response:
    """The picture's bytes. Of an item that failed, its error, with the status that `/v1/erase` would have had; of one
    that is open, 404 with `Retry-After`."""
    item = await rooms.jobs.item(caller.tenant_id, job_id, index)
    if item.success is None:
        raise NotFound(f"Item {index} is not done yet.", f"第 {index} 项尚未完成。", retry_after=OPEN_AGAIN)
    if item.state is ItemState.CANCELLED:
        raise NotFound(
            f"Item {index} has no result: the job was cancelled.", f"任务已取消，第 {index} 项没有结果。"
        )
    if not item.success:
        raise error_of(item)
    data = await rooms.blobs.get(str(item.result_blob))
    headers = {**_NO_STORE, "X-Eraser-Model": item.model or "", "X-Eraser-Notice": ", ".join(item.notices)}
    if not item.notices:
        del headers["X-Eraser-Notice"]
    return Response(data, media_type=FORMATS[str(item.format)].media_type, headers=headers)


@router.get(
    "/{job_id}/archive",
    dependencies=MINE,
    summary="All results as a ZIP",
    response_class=StreamingResponse,
    responses={**_ZIP, **responses(401, 403, 404, 503)},
)
async def download(job_id: JobId, request: Request, rooms: TheRooms, caller: Caller) -> Response:
    """What there is at this moment: of a job that is not over, the results so far. `report.json` in it tells of every
    item, as `GET /v1/jobs/{id}` does."""
    job = await rooms.jobs.get(caller.tenant_id, job_id)
    items = await rooms.jobs.items(caller.tenant_id, job_id)
    report = JobView.of(request, job, items).as_json()
    return StreamingResponse(
        _whole_or_cut_off(job_id, archive.stream(rooms.blobs, items, report)),
        media_type="application/zip",
        headers={**_NO_STORE, "Content-Disposition": f'attachment; filename="job-{job_id}.zip"'},
    )


async def _whole_or_cut_off(job_id: str, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The status is out already when a result turns out to be gone: only the connection can tell."""
    try:
        async for piece in pieces:
            yield piece
    except EraserError as error:
        log.warning("archive_cut_off", job=job_id, reason=error.code)
        raise ClientDisconnect from None


@router.get(
    "/{job_id}/events",
    dependencies=MINE,
    status_code=200,
    summary="What happens to a job, as it happens",
    response_class=EventResponse,
    responses={**_EVENTS, **responses(401, 403, 404, 422, 429, 503)},
)
async def events(
    job_id: JobId,
    request: Request,
    rooms: TheRooms,
    caller: Caller,
    after: Annotated[int | None, Query(ge=0, le=HIGHEST_ID, description="As `Last-Event-ID`")] = None,
) -> Response:
    """Server-sent events: `item` for each that ends, `job` at the end, with ids. A client that comes back with
    `Last-Event-ID`, as browsers do, gets what it missed, from any server."""
    seen = last_seen(request, after)
    job = await rooms.jobs.get(caller.tenant_id, job_id)
    if job.over and seen >= job.sequence:
        return Response(status_code=204)  # which keeps an EventSource from coming back
    return EventResponse(follow(request, rooms, job, seen), rooms.streams.begin(caller.party))


@router.delete(
    "/{job_id}",
    dependencies=MINE,
    status_code=202,
    summary="Cancel it, or let it go",
    response_class=Response,
    responses={**_CANCELLED, **responses(401, 403, 404, 503)},
)
async def delete(job_id: JobId, request: Request, rooms: TheRooms, caller: Caller) -> Response:
    """One that is open is cancelled: what is done stays. One that is over goes, with all its pictures."""
    job = await rooms.jobs.get(caller.tenant_id, job_id)
    if job.over:
        await rooms.jobs.remove(caller.tenant_id, job_id)
        return Response(status_code=204)
    job = await rooms.jobs.cancel(caller.tenant_id, job_id)
    rooms.runner.wake()
    items = await rooms.jobs.items(caller.tenant_id, job_id)
    return JSONResponse(JobView.of(request, job, items).as_json(), 202, _NO_STORE)
