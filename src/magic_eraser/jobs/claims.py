"""Items from the queue to their end, by whichever server: claimed for a while, renewed, ended once."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.principal import Principal
from magic_eraser.accounts.priority import Priority
from magic_eraser.billing.quota import Quota, Reservation
from magic_eraser.db.base import now
from magic_eraser.db.database import Database
from magic_eraser.errors import (
    Cancelled,
    Draining,
    EraserError,
    InternalError,
    QueueFull,
    StorageFull,
    StorageUnavailable,
)
from magic_eraser.jobs.endings import OPEN, OnOver, end_item, failure, nobody_waits
from magic_eraser.jobs.options import from_json
from magic_eraser.jobs.tables import ItemState, JobState, job_items, jobs
from magic_eraser.jobs.turns import LONGEST_PAUSE, next_due
from magic_eraser.service.request import EraseOptions, EraseResult
from magic_eraser.telemetry.logging import get_logger
from magic_eraser.usage.event import UsageEvent
from magic_eraser.usage.log import UsageLog

log = get_logger(__name__)

FIRST_PAUSE = 2.0
"""Seconds before an item is begun again: 2, 8, 32 ... `LONGEST_PAUSE`."""
SHORTEST_PAUSE = 1.0
"""Where it was not the item's fault and nobody says for how long: not at once, or it would be tried without a rest."""
NOT_ITS_FAULT = (QueueFull, Draining, StorageUnavailable, StorageFull, Cancelled)
"""The item was not looked at, or what was made of it found no room: begun again, and the attempt does not count."""

Key = tuple[str, int, int]
"""Job, index, fence: one claim."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An item that belongs to this server for `lease_seconds`, or until it is renewed.

    Attributes:
        fence: counts its claims; whoever has an older one is too late.
        attempts: this one included.
        options: see `jobs.options`.
        reservation: held for it, settled or released by its end.
    """

    job_id: str
    index: int
    fence: int
    attempts: int
    name: str
    image_blob: str
    mask_blob: str
    principal: Principal
    options: dict[str, Any]
    reservation: Reservation

    @property
    def key(self) -> Key:
        return self.job_id, self.index, self.fence


class Claims:
    """The queue of items, of all tenants and all servers on one database.

    Args:
        database: see `JobStore`.
        quota: the item is paid for in the transaction that claims it, and settled in the one that ends it.
        units: the weight of a call with these options on its price.
        weight: of the model that ran.
        usage: told of each item that ends well, in that transaction.
        lease_seconds: that an item belongs to a server which is not heard of.
        attempts: most beginnings of one item.
        ttl_seconds, on_over: see `JobStore`.
    """

    def __init__(
        self,
        database: Database,
        *,
        quota: Quota,
        units: Callable[[EraseOptions, Principal], int],
        weight: Callable[[str], int],
        usage: UsageLog,
        lease_seconds: float,
        attempts: int,
        ttl_seconds: float,
        on_over: OnOver = nobody_waits,
    ) -> None:
        self._database = database
        self._quota = quota
        self._units = units
        self._weight = weight
        self._usage = usage
        self.lease_seconds = lease_seconds
        self._attempts = attempts
        self._ttl = ttl_seconds
        self._on_over = on_over

    async def claim(self, owner: str) -> Claimed | None:
        """The next item for `owner`; None where nothing is due. See `turns` for which. One item is one transaction:
        with more, two servers could each hold a tenant's row that the other waits for.

        Raises:
            StorageUnavailable, StorageFull: see `Database.write`. The item may be `owner`'s nevertheless, where the
                answer to the commit was lost: see `give_back_strays`.
        """
        while True:
            async with self._database.write() as connection:
                found = await next_due(connection, self.lease_seconds)
                if found is None:
                    return None
                claimed = await self._take(connection, *found, owner)
            if claimed is not None:
                return claimed

    async def _take(self, connection: AsyncConnection, job: Any, item: Any, owner: str) -> Claimed | None:
        """None: the item came to its end instead, or is put off."""
        if item.attempts >= self._attempts:  # each time, whoever had it was never heard of again
            gone = InternalError(
                f"The server ended {item.attempts} times while it worked on this picture.",
                f"处理这张图片时服务器意外中止了 {item.attempts} 次。",
            )
            await self._end(connection, job.id, item.index, failure(gone))
            return None
        principal = Principal(job.tenant_id, job.subject, job.address, Priority.BATCH)
        if item.reservation_id is not None:  # of a server that was never heard of again
            await self._quota.release(Reservation(item.reservation_id, 0), within=connection)
        try:
            units = self._units(from_json(job.options)[0], principal)
            async with connection.begin_nested():  # what a refusal wrote before it refused does not stay
                reservation = await self._quota.reserve(principal, units, within=connection)
        except (StorageUnavailable, StorageFull):
            raise
        except EraserError as error:
            await self._failed(connection, job.id, item.index, item.attempts + 1, error)
            return None
        except Exception:  # one item that nobody can begin must not keep the others from their turn
            log.exception("item_not_begun", job=job.id, index=item.index)
            await self._failed(connection, job.id, item.index, item.attempts + 1, InternalError())
            return None
        await self._lease(connection, job.id, item, owner, reservation)
        return Claimed(
            job_id=job.id,
            index=item.index,
            fence=item.fence + 1,
            attempts=item.attempts + 1,
            name=item.name,
            image_blob=item.image_blob,
            mask_blob=item.mask_blob,
            principal=replace(principal, plan=reservation.plan),
            options=job.options,
            reservation=reservation,
        )

    async def _lease(
        self, connection: AsyncConnection, job_id: str, item: Any, owner: str, reservation: Reservation
    ) -> None:
        await connection.execute(
            job_items.update()
            .where(job_items.c.job_id == job_id, job_items.c.index == item.index)
            .values(
                state=ItemState.LEASED,
                owner=owner,
                lease_until=now() + self.lease_seconds,
                fence=item.fence + 1,
                attempts=item.attempts + 1,
                reservation_id=reservation.id or None,
            )
        )
        await connection.execute(
            jobs.update()
            .where(jobs.c.id == job_id, jobs.c.state.in_(OPEN))
            .values(state=JobState.RUNNING, claimed_at=now())
        )

    async def renew(self, owner: str) -> set[Key]:
        """All that `owner` has is its own for longer; which they are, by `Claimed.key`. What is missing is not its own
        any more: cancelled, or taken over. Neither do its holds run out."""
        async with self._database.write() as connection:
            kept = await connection.execute(
                job_items.update()
                .where(job_items.c.owner == owner, job_items.c.state == ItemState.LEASED)
                .values(lease_until=now() + self.lease_seconds)
                .returning(
                    job_items.c.job_id,
                    job_items.c.index,
                    job_items.c.fence,
                    job_items.c.reservation_id,
                )
            )
            rows = kept.all()
            held = [reservation for *_, reservation in rows if reservation is not None]
            if held:
                await self._quota.renew(held, connection)
            return {(job_id, index, fence) for job_id, index, fence, _ in rows}

    async def held(self, owner: str) -> set[Key]:
        """The same, without renewing it."""
        async with self._database.read() as connection:
            return await _held(connection, owner)

    async def give_back_strays(self, owner: str, working: Collection[Key]) -> int:
        """What `owner` has but does not work on, since it never heard that the claim was granted, or could not tell
        the end: anybody may have it at once. The attempt counts. How many there were."""
        async with self._database.write() as connection:
            strays = sorted(await _held(connection, owner) - set(working))
            held: list[str] = []
            for job_id, index, fence in strays:
                given_back = await connection.execute(
                    job_items.update()
                    .where(*_is_claim(job_id, index, fence))
                    .values(state=ItemState.QUEUED, owner=None, lease_until=None, run_at=now())
                    .returning(job_items.c.reservation_id)
                )
                held += [each for each in given_back.scalars() if each is not None]
            for reservation_id in held:  # after all items: locks are taken in one order everywhere
                await self._quota.release(Reservation(reservation_id, 0), within=connection)
        return len(strays)

    async def finish(self, claimed: Claimed, result: EraseResult, result_blob: str) -> bool:
        """The item succeeded: its end, its charge, its usage event and, with the last one, the job's end are one
        transaction. May be told again where the answer was lost.

        Returns:
            Whether the item ended by this result; where not, somebody else had it meanwhile, or it was cancelled: the
            blob is of no use to anybody.
        """
        assert result.encoded is not None
        hit = result.cache == "hit"
        units = 0 if hit else min(claimed.reservation.units, self._weight(result.model))
        async with self._database.write() as connection:
            if not await _ours(connection, claimed):
                return await _ended_by(connection, claimed, result_blob)
            charged = await self._quota.settle(claimed.reservation, units, within=connection)
            await self._usage.record(_event(claimed, result, units if charged else 0), connection)
            done = {
                "state": ItemState.SUCCEEDED,
                "result_blob": result_blob,
                "format": result.encoded.format,
                "width": result.width,
                "height": result.height,
                "model": result.model,
                "seconds": sum(result.seconds.values()),
                "notices": [notice.code for notice in result.notices],
            }
            await self._end(connection, claimed.job_id, claimed.index, done)
            return True

    async def fail(self, claimed: Claimed, error: EraserError) -> None:
        """It failed: for good where its caller has to mend something or it was begun often enough, else it is begun
        again later. Nothing is charged. Does nothing where the item is not ours any more."""
        async with self._database.write() as connection:
            if not await _ours(connection, claimed):
                return
            await self._quota.release(claimed.reservation, within=connection)
            if isinstance(error, NOT_ITS_FAULT):
                pause = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, error.retry_after or 0.0))
                await _again(connection, claimed.job_id, claimed.index, claimed.attempts - 1, pause)
            else:
                await self._failed(connection, claimed.job_id, claimed.index, claimed.attempts, error)

    async def give_back(self, claimed: Claimed) -> None:
        """It was begun and not ended, by no fault of its own: the next server may have it at once, and the attempt does
        not count."""
        async with self._database.write() as connection:
            if await _ours(connection, claimed):
                await self._quota.release(claimed.reservation, within=connection)
                await _again(connection, claimed.job_id, claimed.index, claimed.attempts - 1, 0.0)

    async def let_go(self, claimed: Claimed) -> None:
        """It is not ours any more: what was held for it is released."""
        await self._quota.release(claimed.reservation)

    async def _failed(
        self, connection: AsyncConnection, job_id: str, index: int, attempts: int, error: EraserError
    ) -> None:
        """After that many attempts, this one included."""
        if error.status >= 500 and attempts < self._attempts:
            pause = min(LONGEST_PAUSE, max(_pause(attempts), error.retry_after or 0.0))
            await _again(connection, job_id, index, attempts, pause)
        else:
            await self._end(connection, job_id, index, failure(error))

    async def _end(
        self, connection: AsyncConnection, job_id: str, index: int, values: dict[str, Any]
    ) -> None:
        await end_item(connection, job_id, index, values, self._ttl, self._on_over)


def _event(claimed: Claimed, result: EraseResult, units: int) -> UsageEvent:
    plan = claimed.reservation.plan
    return UsageEvent(
        source="job",
        source_id=f"{claimed.job_id}/{claimed.index}",
        tenant_id=claimed.principal.tenant_id,
        subject=claimed.principal.subject,
        model=result.model,
        units=units,
        amount=units * claimed.reservation.unit_price,
        plan=None if plan is None else plan.id,
        cached=result.cache == "hit",
        pixels=result.width * result.height,
        seconds=sum(result.seconds.values()),
        day=claimed.reservation.day or None,
    )


async def _held(connection: AsyncConnection, owner: str) -> set[Key]:
    item = job_items.c
    found = await connection.execute(
        sa.select(item.job_id, item.index, item.fence).where(
            item.owner == owner, item.state == ItemState.LEASED
        )
    )
    return {(job_id, index, fence) for job_id, index, fence in found}


def _is_claim(job_id: str, index: int, fence: int) -> tuple[sa.ColumnElement[bool], ...]:
    item = job_items.c
    return (
        item.job_id == job_id,
        item.index == index,
        item.fence == fence,
        item.state == ItemState.LEASED,
    )


async def _ours(connection: AsyncConnection, claimed: Claimed) -> bool:
    """Whether the claim still holds; the row is locked from here on."""
    query = sa.select(job_items.c.index).where(*_is_claim(*claimed.key))
    return (await connection.execute(query.with_for_update())).first() is not None


async def _ended_by(connection: AsyncConnection, claimed: Claimed, result_blob: str) -> bool:
    """Whether it is this very result by which the item ended."""
    item = job_items.c
    query = sa.select(item.index).where(
        item.job_id == claimed.job_id, item.index == claimed.index, item.result_blob == result_blob
    )
    return (await connection.execute(query)).first() is not None


async def _again(connection: AsyncConnection, job_id: str, index: int, attempts: int, pause: float) -> None:
    """Back into the queue, for the time after `pause`."""
    await connection.execute(
        job_items.update()
        .where(job_items.c.job_id == job_id, job_items.c.index == index)
        .values(
            state=ItemState.QUEUED,
            owner=None,
            lease_until=None,
            reservation_id=None,
            run_at=now() + pause,
            attempts=attempts,
        )
    )


def _pause(attempts: int) -> float:
    return FIRST_PAUSE * 4.0 ** (attempts - 1) * random.uniform(0.8, 1.2)  # noqa: S311 (no secret)
