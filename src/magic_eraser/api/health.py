"""Alive, ready, healthy, and what goes on inside. Never behind a login."""

from __future__ import annotations

import time
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import JSONResponse, PlainTextResponse, Response

from magic_eraser import __version__
from magic_eraser.api.deps import TheRooms
from magic_eraser.hosting.pool import ModelState, states

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok", "starting", "draining"]


class QueueStatus(BaseModel):
    slots: int
    depth: int
    running: int
    waiting: int


class ModelStatus(BaseModel):
    id: str
    state: ModelState


class Status(BaseModel):
    state: Literal["starting", "ready", "draining"]
    version: str
    uptime_seconds: float
    queue: QueueStatus
    models: list[ModelStatus]


_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"description": "Starting or shutting down", "model": Health}
}


@router.get("/livez", summary="Is the process alive?", response_model=Health)
async def livez() -> Health:
    return Health(status="ok")


@router.get("/readyz", summary="May it be sent work?", response_model=Health, responses={**_NOT_READY})
async def readyz(rooms: TheRooms) -> Response:
    """503 while starting or draining. A full queue is busy, not unready."""
    ready = rooms.state == "ready"
    return JSONResponse({"status": "ok" if ready else rooms.state}, 200 if ready else 503)


@router.get("/health", summary="200 or 503, for balancers", response_model=Health, responses={**_NOT_READY})
async def health(rooms: TheRooms) -> Response:
    return await readyz(rooms)


@router.get("/v1/status", summary="What is loaded and queued", response_model=Status)
async def status(rooms: TheRooms) -> Status:
    door = rooms.admission
    return Status(
        state=rooms.state,
        version=__version__,
        uptime_seconds=round(time.monotonic() - rooms.since, 3),
        queue=QueueStatus(slots=door.slots, depth=door.depth, running=door.running, waiting=door.waiting),
        models=[ModelStatus(id=name, state=state) for name, state in states(rooms.pool)],
    )


@router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
async def metrics(rooms: TheRooms) -> Response:
    """Text exposition format 0.0.4."""
    return Response(rooms.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
