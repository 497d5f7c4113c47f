"""`/v1/admin/models`: into memory before anybody asks, and out of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.audit import actor_of, record
from magic_eraser.api.deps import Caller, TheRooms, WhileOpen
from magic_eraser.api.problems import responses
from magic_eraser.api.rooms import Rooms
from magic_eraser.api.routes.admin.guard import ADMIN
from magic_eraser.api.views.account import NO_STORE
from magic_eraser.errors import ModelUnavailable
from magic_eraser.hosting.states import ModelState
from magic_eraser.models.catalog import find

router = APIRouter(prefix="/v1/admin/models", tags=["admin"], dependencies=ADMIN)

PATIENCE = 2.0
"""Seconds that an answer waits for the model to come or go; after that it says 202."""
ModelId = Annotated[str, Path(description="From `/v1/models`")]


class ModelAtWork(BaseModel):
    """A model that comes or goes."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    state: ModelState
    """absent, loading, ready, unloading or failed."""


_DOCUMENTED = {
    202: {"description": "Not there yet: ask `/v1/models` for its state", "model": ModelAtWork},
    **responses(401, 403, 404, 429, 503, 507),
}


@router.post(
    "/{model_id}/load",
    dependencies=[WhileOpen],
    summary="Make a model ready",
    response_model=ModelAtWork,
    responses=_DOCUMENTED,
)
async def load(model_id: ModelId, request: Request, rooms: TheRooms, caller: Caller) -> Response:
    """200 once it is ready, 202 while it loads. It goes again when nobody uses it for its idle time."""
    find(model_id, rooms.pool.cards())
    lacking = await asyncio.to_thread(rooms.pool.why_not, model_id)  # looks at the disk
    if lacking is not None:
        raise lacking.error(model_id)
    _refuse_failed(rooms, model_id)
    await _tell(rooms, caller, "model.load", model_id)
    if rooms.pool.state(model_id) is not ModelState.READY:
        await _begin(request, rooms.pool.preload([model_id]))
        _refuse_failed(rooms, model_id)
    state = rooms.pool.state(model_id)
    ready = state is ModelState.READY
    return _answer(model_id, state if ready else ModelState.LOADING, 200 if ready else 202)


@router.post(
    "/{model_id}/unload", summary="Let a model go", response_model=ModelAtWork, responses=_DOCUMENTED
)
async def unload(model_id: ModelId, request: Request, rooms: TheRooms, caller: Caller) -> Response:
    """200 once it is out of memory, 202 while somebody still uses it. Whoever asks for it later has it loaded again."""
    find(model_id, rooms.pool.cards())
    await _tell(rooms, caller, "model.unload", model_id)
    await _begin(request, rooms.pool.unload(model_id))
    state = rooms.pool.state(model_id)
    return _answer(model_id, state, 202 if state is ModelState.UNLOADING else 200)


def _refuse_failed(rooms: Rooms, model_id: str) -> None:
    wait = rooms.pool.retry_after(model_id)
    if wait:
        raise ModelUnavailable(
            f'The model "{model_id}" could not be loaded; the log says why.',
            f"模型“{model_id}”加载失败，原因见日志。",
            retry_after=wait,
        )


async def _tell(rooms: Rooms, caller: Caller, action: str, model_id: str) -> None:
    async with rooms.database.write() as within:
        await record(within, actor_of(caller), action, model_id)


async def _begin(request: Request, work: Awaitable[None]) -> None:
    """It goes on when the answer is out, and when the caller has gone."""
    task = asyncio.ensure_future(work)
    at_work: set[asyncio.Future[None]] = getattr(request.app.state, "models_at_work", set())
    request.app.state.models_at_work = at_work  # else nothing but the loop's weak reference would hold it
    at_work.add(task)
    task.add_done_callback(at_work.discard)
    await asyncio.wait({task}, timeout=PATIENCE)
    if task.done():
        task.result()


def _answer(model_id: str, state: ModelState, status: int) -> Response:
    view = ModelAtWork(id=model_id, state=state)
    return JSONResponse(view.model_dump(mode="json"), status, NO_STORE)
