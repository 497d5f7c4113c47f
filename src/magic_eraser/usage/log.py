"""Writing down what was done for whom: in the transaction that charges it, or a few seconds later where nobody pays."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.plans import Plans
from magic_eraser.db.base import now
from magic_eraser.db.database import Database
from magic_eraser.db.upsert import insert_into
from magic_eraser.errors import EraserError
from magic_eraser.telemetry.logging import get_logger
from magic_eraser.usage.event import UsageEvent
from magic_eraser.usage.tables import usage_events

log = get_logger(__name__)

AT_ONCE = 1000
"""Most events of one transaction of `BufferedUsage`: 30 ms on SQLite, in which nobody else writes."""
LONGEST_PAUSE = 60.0
"""Seconds between tries to write while the database is away."""


class UsageLog(Protocol):
    """Who is told of work."""

    async def record(self, event: UsageEvent, within: AsyncConnection | None = None) -> None:
        """One piece of work, once; a second telling of the same does nothing.

        Args:
            within: the transaction that charges it.
        """
        ...


class DatabaseUsage:
    """Into the transaction that charges the work: both are told, or neither.

    Args:
        plans: whose time zone has the day.
    """

    def __init__(self, plans: Plans) -> None:
        self._plans = plans

    async def record(self, event: UsageEvent, within: AsyncConnection | None = None) -> None:
        """See `UsageLog.record`.

        Raises:
            ValueError: there is no transaction.
            StorageUnavailable, StorageFull: see `Database.write`.
        """
        if within is None:
            raise ValueError("An event that is charged is written in the transaction that charges it.")
        if event.at is None and not event.day:
            event = replace(event, at=await _time(within))
        await within.execute(_insert(within).values(_row(event, self._plans)))


class BufferedUsage:
    """Into memory, and a few seconds later into the database: for work that nobody pays for. No request waits for it,
    and at rest there is no timer. What was told in the last seconds before a crash is lost.

    Args:
        plans: see `DatabaseUsage`.
        seconds: that an event waits for others.
        most: events kept while the database is away; more are dropped, counted in `dropped`, and logged once.
    """

    def __init__(self, database: Database, plans: Plans, seconds: float = 5.0, most: int = 10_000) -> None:
        self._database = database
        self._plans = plans
        self._seconds = seconds
        self._most = most
        self._waiting: deque[tuple[float, UsageEvent]] = deque()
        self._writing = asyncio.Lock()
        self._timer: asyncio.Task[None] | None = None
        self._full = False
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Events that are not written yet."""
        return len(self._waiting)

    async def record(self, event: UsageEvent, within: AsyncConnection | None = None) -> None:
        """See `UsageLog.record`; `within` is not looked at."""
        if len(self._waiting) >= self._most:
            self._drop(1)
            return
        self._waiting.append((time.monotonic(), event))
        if self._timer is None:
            self._timer = asyncio.create_task(self._write_later())

    async def flush(self) -> bool:
        """Write what waits; whether all of it was written. Where not, it waits on."""
        async with self._writing:
            while self._waiting:
                batch = list(islice(self._waiting, AT_ONCE))
                try:
                    await self._write(batch)
                except EraserError as error:  # of the database: it is away or full
                    log.warning("usage_not_written", waiting=len(self._waiting), reason=error.code)
                    return False
                except Exception:  # a defect of ours must not keep the others waiting for good
                    log.exception("usage_lost", events=len(batch))
                    self.dropped += len(batch)
                for _ in batch:  # only now: an event may be written twice, as the database keeps it once
                    self._waiting.popleft()
                self._full = False
        return True

    async def stop(self) -> None:
        """Write what waits, for the last time: before the database is closed."""
        timer, self._timer = self._timer, None
        if timer is not None:
            async with self._writing:  # not while it writes
                timer.cancel()
                with suppress(asyncio.CancelledError):
                    await timer
        if not await self.flush():
            self._drop(len(self._waiting))
            self._waiting.clear()

    async def _write_later(self) -> None:
        pause = self._seconds
        try:
            while True:
                await asyncio.sleep(pause)
                pause = self._seconds if await self.flush() else min(LONGEST_PAUSE, 2 * pause)
                if not self._waiting:
                    return
        finally:
            if self._timer is asyncio.current_task():
                self._timer = None

    async def _write(self, batch: Sequence[tuple[float, UsageEvent]]) -> None:
        async with self._database.write() as connection:
            at, here = await _time(connection), time.monotonic()
            rows = [
                _row(event if event.at is not None else replace(event, at=at - (here - told)), self._plans)
                for told, event in batch
            ]
            await connection.execute(_insert(connection), rows)

    def _drop(self, count: int) -> None:
        self.dropped += count
        if not self._full:
            self._full = True
            log.warning("usage_dropped", waiting=len(self._waiting), dropped=self.dropped)


async def _time(connection: AsyncConnection) -> float:
    found: float = (await connection.execute(sa.select(now()))).scalar_one()
    return found


def _insert(connection: AsyncConnection) -> Any:
    is_sqlite = connection.dialect.name == "sqlite"
    return insert_into(usage_events, is_sqlite=is_sqlite).on_conflict_do_nothing()


def _row(event: UsageEvent, plans: Plans) -> dict[str, Any]:
    day = event.day
    if not day:
        assert event.at is not None
        day = plans.book.day(event.at)
    return {
        "source": event.source,
        "source_id": event.source_id,
        "tenant_id": event.tenant_id,
        "subject": event.subject,
        "model": event.model,
        "units": event.units,
        "at": now() if event.at is None else event.at,
        "day": day,
        "plan": event.plan,
        "amount": event.amount,
        "cached": event.cached,
        "pixels": event.pixels,
        "seconds": event.seconds,
    }
