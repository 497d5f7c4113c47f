"""What the server does for itself once a minute, and how it falls asleep."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from magic_eraser.api.books import Books
from magic_eraser.api.rooms import Rooms
from magic_eraser.errors import EraserError
from magic_eraser.hosting import memory
from magic_eraser.jobs.sweeping import sweep
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

SECONDS, SHORTEST = 60.0, 1.0
ASLEEP_SECONDS = 600.0
"""Uploads whose time is over go from the disk while the server sleeps, too."""


async def keep_house(rooms: Rooms) -> None:
    """Until cancelled: what is over its time goes, the memory of requests that are done goes back, and a server that
    nobody uses sleeps."""
    woken = asyncio.Event()
    books = Books(rooms)

    def wake() -> None:
        rooms.runner.rouse()
        woken.set()

    rooms.activity.on_wake = wake
    while True:
        for chore in (*_chores(rooms), books.keep):
            await _done(chore)
        if rooms.activity.asleep:
            await rooms.database.close()
        if rooms.admission.running == 0:
            await asyncio.to_thread(memory.give_back)
        if not rooms.activity.asleep:
            await asyncio.sleep(_until_next(rooms))
        if _time_to_sleep(rooms):
            await fall_asleep(rooms)
        if rooms.activity.asleep:
            woken.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(ASLEEP_SECONDS):
                    await woken.wait()


def _chores(rooms: Rooms) -> list[Callable[[], Awaitable[object]]]:
    return [
        lambda: asyncio.to_thread(rooms.images.sweep),
        rooms.cache.trim,
        rooms.idempotency.sweep,
        lambda: sweep(rooms.database, rooms.blobs),
    ]


async def _done(chore: Callable[[], Awaitable[object]]) -> None:
    """One that fails, as where the database is gone, is done the next time."""
    try:
        await chore()
    except (EraserError, OSError) as error:
        log.warning("chore_failed", chore=getattr(chore, "__qualname__", str(chore)), reason=str(error))
    except Exception:  # a defect of one must not end the others, and the server's sleep, for good
        log.exception("chore_failed", chore=getattr(chore, "__qualname__", str(chore)))


def _until_next(rooms: Rooms) -> float:
    """Seconds to the next round: sooner where it is nearly time to sleep."""
    limit = rooms.settings.server.sleep_after_seconds
    if not limit:
        return SECONDS
    return min(SECONDS, max(SHORTEST, limit - rooms.activity.idle_seconds))


def _time_to_sleep(rooms: Rooms) -> bool:
    limit = rooms.settings.server.sleep_after_seconds
    return bool(limit) and rooms.activity.idle_seconds >= limit and not rooms.runner.busy


async def fall_asleep(rooms: Rooms) -> None:
    """Everything that a later request can bring back leaves memory; nothing but the sockets is waited on closely."""
    if not rooms.activity.fall_asleep():
        return
    rooms.runner.doze()
    await rooms.pool.rest()
    await rooms.cache.close()
    await rooms.usage.flush()
    await rooms.database.close()
    await asyncio.to_thread(memory.give_back)
    log.info("asleep", idle_seconds=round(rooms.activity.idle_seconds))
