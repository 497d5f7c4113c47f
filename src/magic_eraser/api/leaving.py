"""From the first signal to the end: out of the balancer, no new work, what runs is finished, the rest given back."""

from __future__ import annotations

import asyncio

from magic_eraser.api.rooms import Rooms
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)


async def leave(rooms: Rooms) -> bool:
    """Empty the house, in order; whether it was empty before `drain_seconds` were over.

    `/readyz` says 503 from the first moment; for `grace_seconds` work is still taken, so that a balancer has time to
    look; then the door is closed, items of jobs go back to the queue for the next server, and requests are finished.
    """
    settings = rooms.settings.server
    rooms.leaving = True
    door = rooms.admission
    if settings.grace_seconds:
        log.info("leaving", grace_seconds=settings.grace_seconds)
        await asyncio.sleep(settings.grace_seconds)
    door.drain()
    log.info("draining", running=door.running, waiting=door.waiting)
    empty = asyncio.ensure_future(_empty(rooms))
    await asyncio.wait({empty}, timeout=settings.drain_seconds)
    if not empty.done():
        empty.cancel()  # and not waited for: what asks a database that answers nothing ends with its time limits
        log.warning("drain_limit_passed", running=door.running)
        return False
    empty.result()
    return True


async def _empty(rooms: Rooms) -> None:
    await rooms.runner.stop()
    await rooms.admission.idle()
