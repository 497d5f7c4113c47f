"""What a call costs and what is told of it, in one transaction: the ledger and the events of usage."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from magic_eraser.accounts.principal import Principal
from magic_eraser.billing.quota import NullQuota, Quota, Reservation
from magic_eraser.errors import EraserError, StorageFull, StorageUnavailable
from magic_eraser.service.request import EraseResult
from magic_eraser.telemetry.logging import get_logger
from magic_eraser.usage.event import UsageEvent

if TYPE_CHECKING:  # the library needs no database
    from sqlalchemy.ext.asyncio import AsyncConnection

    from magic_eraser.db.database import Database
    from magic_eraser.usage.log import UsageLog

log = get_logger(__name__)

PAUSES = (0.2, 1.0)
"""Seconds before a charge that the database did not take is tried again: the picture is done, and waits for it."""


class Metering:
    """Reserves before the work; after it settles and tells what was done.

    Args:
        quota: the ledger; nothing is counted where None.
        database: where ledger and events lie; None where nobody pays.
        usage: told of calls, within the transaction that charges them; nobody where None.
        hits: told of results from the cache that are no calls.
    """

    def __init__(
        self,
        quota: Quota | None = None,
        *,
        database: Database | None = None,
        usage: UsageLog | None = None,
        hits: UsageLog | None = None,
    ) -> None:
        self._quota = quota or NullQuota()
        self._database = database
        self._usage = usage
        self._hits = hits

    async def reserve(self, principal: Principal, units: int) -> Reservation:
        """See `Quota.reserve`. A caller that goes away meanwhile holds nothing: the database may have it already."""
        holding = asyncio.ensure_future(self._quota.reserve(principal, units))
        try:
            return await asyncio.shield(holding)
        except asyncio.CancelledError:
            await asyncio.shield(self._undone(holding))
            raise

    async def release(self, reservation: Reservation) -> None:
        """The work came to nothing. Where the database does not hear of it, the hold ends by itself."""
        try:
            await asyncio.shield(self._quota.release(reservation))
        except (StorageUnavailable, StorageFull) as error:
            log.warning("hold_not_released", reservation=reservation.id, reason=error.code)

    async def settle(
        self, principal: Principal, reservation: Reservation, weight: int, result: EraseResult
    ) -> EraseResult:
        """The picture is done: charge it, whether or not its caller is still there.

        Args:
            weight: of the model that ran.

        Returns:
            The result, with what it cost.

        Raises:
            StorageUnavailable: it could not be charged, so it is not handed out either.
        """
        units = min(reservation.units, weight)
        event = _event(principal, reservation, units, result)
        if not await asyncio.shield(self._settled(reservation, units, event)):
            return replace(result, reservation=None, units=0)
        return replace(result, reservation=reservation if reservation.id else None, units=units)

    async def hit(self, principal: Principal, result: EraseResult) -> EraseResult:
        """A result from the cache costs no money. It is a call of the day like any other, unless the plan has
        `free_cached`.

        Returns:
            The result, with what it was counted by.

        Raises:
            EraserError: see `reserve`.
        """
        plan = principal.plan
        if self._database is None or plan is None or plan.free_cached:
            if self._hits is not None:
                await self._hits.record(_event(principal, Reservation(uuid4().hex[:22], 0), 0, result))
            return result
        async with self._database.write() as within:
            reservation = await self._quota.reserve(principal, 0, within)
            await self._quota.settle(reservation, 0, within)
            await self._tell(_event(principal, reservation, 0, result), within)
        return replace(result, reservation=reservation)

    async def _undone(self, holding: asyncio.Future[Reservation]) -> None:
        with suppress(EraserError):  # it was refused
            await self.release(await holding)

    async def _settled(self, reservation: Reservation, units: int, event: UsageEvent) -> bool:
        """Whether it is charged: not where its hold ran out, and what it held was given back."""
        for pause in PAUSES:  # told twice, it is charged once
            try:
                return await self._settle(reservation, units, event)
            except StorageUnavailable:
                await asyncio.sleep(pause)
        return await self._settle(reservation, units, event)

    async def _settle(self, reservation: Reservation, units: int, event: UsageEvent) -> bool:
        if self._database is None:
            charged = await self._quota.settle(reservation, units)
            await self._tell(event if charged else event.free())
            return charged
        async with self._database.write() as within:
            charged = await self._quota.settle(reservation, units, within)
            await self._tell(event if charged else event.free(), within)
        return charged

    async def _tell(self, event: UsageEvent, within: AsyncConnection | None = None) -> None:
        if self._usage is not None:
            await self._usage.record(event, within)


def _event(principal: Principal, reservation: Reservation, units: int, result: EraseResult) -> UsageEvent:
    return UsageEvent(
        source="request",
        source_id=reservation.id or uuid4().hex[:22],
        tenant_id=principal.tenant_id,
        subject=principal.subject,
        model=result.model,
        units=units,
        amount=units * reservation.unit_price,
        plan=reservation.plan.id if reservation.plan is not None else None,
        cached=result.cache == "hit",
        pixels=result.width * result.height,
        seconds=sum(result.seconds.values()),
        day=reservation.day or None,
    )
