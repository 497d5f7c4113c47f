"""Alive, ready, healthy, and what goes on inside. Never behind a login."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, PlainTextResponse, Response

from magic_eraser import __version__
from magic_eraser.api.deps import TheRooms
from magic_eraser.api.rooms import Rooms
from magic_eraser.errors import StorageFull, StorageUnavailable
from magic_eraser.hosting.pool import ModelState, states
from magic_eraser.jobs.tables import JobState

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok", "starting", "draining"]


class QueueStatus(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)

    slots: int
    depth: int
    running: int
    waiting: int
    waiting_by_class: dict[str, int]
    """By priority: `batch` (items of jobs), `normal`, `first` (plans that go first)."""


class Dependencies(BaseModel):
    """What the server leans on: `ok`, `down`, or `none` where it is not configured."""

    database: Literal["ok", "down"]
    redis: Literal["ok", "down", "none"]


class ModelStatus(BaseModel):
    id: str
    state: ModelState


class Status(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)

    state: Literal["starting", "ready", "draining"]
    version: str
    uptime_seconds: float
    asleep: bool
    """Nobody has asked for anything for long; the next request wakes it."""
    dependencies: Dependencies
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
    """503 while starting or draining. A full queue is busy, not unready; a database that is gone keeps only those
    waiting who need it (see `/v1/status`)."""
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
        asleep=rooms.activity.asleep,
        dependencies=Dependencies(database=await _database(rooms), redis=_redis(rooms)),
        queue=QueueStatus(
            slots=door.slots,
            depth=door.depth,
            running=door.running,
            waiting=door.waiting,
            waiting_by_class={each.name.lower(): count for each, count in door.queued.items()},
        ),
        models=[ModelStatus(id=name, state=state) for name, state in states(rooms.pool)],
    )


async def _database(rooms: Rooms) -> Literal["ok", "down"]:
    try:
        async with asyncio.timeout(1):
            await rooms.database.ping()
    except (StorageUnavailable, StorageFull, TimeoutError):
        return "down"
    return "ok"


def _redis(rooms: Rooms) -> Literal["ok", "down", "none"]:
    if rooms.redis is None:
        return "none"
    return "ok" if rooms.redis.available else "down"


@router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
async def metrics(rooms: TheRooms) -> Response:
    """Text exposition format 0.0.4."""
    await _count_jobs(rooms)
    return Response(rooms.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _count_jobs(rooms: Rooms) -> None:
    """Jobs by state, where the database answers in time for a scrape; else as they were."""
    with suppress(StorageUnavailable, StorageFull, TimeoutError):
        async with asyncio.timeout(1):
            counts = await rooms.jobs.counts()
        for state in JobState:
            rooms.metrics.jobs.labels(state).set(counts.get(state, 0))
