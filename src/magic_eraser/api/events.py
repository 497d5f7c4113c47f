"""Server-sent events of a job (WHATWG HTML, 9.2): each item's end, then the job's own."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from magic_eraser.api.rooms import Rooms
from magic_eraser.api.views.jobs import ItemView, JobView
from magic_eraser.errors import EraserError, NotFound, ValidationFailed
from magic_eraser.jobs.job import Item, Job

MEDIA_TYPE = "text/event-stream"
LOOK_SECONDS = 0.5
"""Between two looks at the database, at one of which a job of ours or of another server has moved on."""
HEARTBEAT_SECONDS = 15.0
"""Proxies close what is silent for 30 to 60 s."""
RETRY_MILLISECONDS = 3000
"""After which a browser comes back where the stream broke."""
HIGHEST_ID = 2**31 - 1


class EventResponse(StreamingResponse):
    """A stream of events; `end` is called when it is over, however that comes about."""

    media_type = MEDIA_TYPE

    def __init__(self, content: AsyncIterator[str], end: Callable[[], None]) -> None:
        super().__init__(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end()


def last_seen(request: Request, after: int | None) -> int:
    """The number of the last event that the client has: `Last-Event-ID`, else `after`, else 0.

    Raises:
        ValidationFailed: it is not one that we sent.
    """
    given = request.headers.get("last-event-id", "").strip()
    if not given:
        return after or 0
    if not (given.isascii() and given.isdecimal() and int(given[:11]) <= HIGHEST_ID):
        raise ValidationFailed(
            "Last-Event-ID is not the id of an event of this job.", "Last-Event-ID 不是该任务的事件编号。"
        )
    return int(given[:11])


async def follow(
    request: Request,
    rooms: Rooms,
    job: Job,
    after: int,
    *,
    look_seconds: float = LOOK_SECONDS,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> AsyncIterator[str]:
    """What ended after the event of that number, from the database, then what ends while the client listens. Ends
    after the job's own event, when the job is removed, and when the server leaves: another one goes on by
    `Last-Event-ID`. While the database is away it waits."""
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    spoken = time.monotonic()
    while not rooms.admission.draining:
        try:
            news = await rooms.jobs.events(job.tenant_id, job.id, after)
        except NotFound:
            return
        except EraserError:
            news = []
        for each in news:
            after = each.sequence or after
            spoken = time.monotonic()
            yield event(request, job.id, each)
            if isinstance(each, Job):
                return
        if time.monotonic() - spoken >= heartbeat_seconds:
            spoken = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(look_seconds)


def event(request: Request, job_id: str, what: Item | Job) -> str:
    """As the stream has it; `what` has its number."""
    if isinstance(what, Job):
        name, data = "job", JobView.of(request, what).as_json()
    else:
        name, data = "item", ItemView.of(request, job_id, what).model_dump(mode="json")
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))  # one line: JSON escapes line breaks
    return f"id: {what.sequence}\nevent: {name}\ndata: {text}\n\n"
