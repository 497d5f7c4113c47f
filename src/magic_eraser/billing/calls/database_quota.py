"""Calls held, charged and given back, each in one transaction of the database that is the only truth of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.plans import Charging, Plan, Plans
from magic_eraser.accounts.principal import Principal
from magic_eraser.billing.calls.callers import Caller, Callers
from magic_eraser.billing.calls.counting import Counters, Held
from magic_eraser.billing.quota import Reservation
from magic_eraser.billing.tables import ReservationState, reservations
from magic_eraser.db.base import now
from magic_eraser.db.database import Database
from magic_eraser.errors import PaymentRequired, QuotaExhausted
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

OnEvent = Callable[[str, str], None]
"""Told `(plan id, event)` once it is in the database: reserved, settled, released, expired, refused, refunded, late."""


def nobody_counts(_plan: str, _event: str) -> None:
    """Where nobody wants to hear of it."""


EVENTS = {
    ReservationState.SETTLED: "settled",
    ReservationState.RELEASED: "released",
    ReservationState.EXPIRED: "late",
}
"""How a hold ended for which a settlement or a release was asked, as `OnEvent` names it."""
_STATE = sa.select(reservations.c.state, reservations.c.plan).where(
    reservations.c.id == sa.bindparam("the_id")
)


class DatabaseQuota:
    """Limits of a day and prepaid credit, exact to the call however many servers ask at once.

    What a refusal wrote within a transaction of its caller's is the caller's to roll back.

    Args:
        database: where all of it lies.
        plans: limits, prices, and whose midnight begins a day.
        hold_seconds: after which a call that nobody ended is given back (`reaper.reap`).
        on_event: see `OnEvent`.
    """

    def __init__(
        self, database: Database, plans: Plans, *, hold_seconds: float, on_event: OnEvent = nobody_counts
    ) -> None:
        self._database = database
        self._hold_seconds = hold_seconds
        self._on_event = on_event
        self._callers = Callers(plans, is_sqlite=database.is_sqlite)
        self._counters = Counters(is_sqlite=database.is_sqlite)

    async def reserve(
        self, principal: Principal, units: int, within: AsyncConnection | None = None
    ) -> Reservation:
        """Hold one call of the day and, where calls are paid for beforehand, its price.

        Args:
            units: 0 or more: how many times the plan's price of a call it costs.

        Raises:
            QuotaExhausted: the day's calls are used or under way; with the moment when the next day begins.
            PaymentRequired: the credit does not reach.
            InvalidToken, TokenExpired, AccountDisabled: see `Callers.look_up`.
            StorageUnavailable, StorageFull: see `Database.write`.
        """
        if within is not None:
            reservation, plan = await self._reserve(within, principal, units)
            self._tell_after(within, plan, "reserved")
            return reservation
        async with self._database.write() as own:
            reservation, plan = await self._reserve(own, principal, units)
        self._on_event(plan, "reserved")
        return reservation

    async def settle(
        self, reservation: Reservation, units: int, within: AsyncConnection | None = None
    ) -> bool:
        """Charge what is held, at most `units` of it; 0 counts the call without its price, or releases it where the
        plan has `free_cached`. A second call does nothing, and one for a hold that expired meanwhile neither: its call
        was given back. See `Quota.settle` for what is returned."""
        counts = units > 0 or (reservation.plan is not None and not reservation.plan.free_cached)
        return await self._close(reservation.id, units if counts else None, within)

    async def release(self, reservation: Reservation, within: AsyncConnection | None = None) -> None:
        """Give back what is held. A second call does nothing. Only `id` is looked at."""
        await self._close(reservation.id, None, within)

    async def renew(self, ids: Collection[str], within: AsyncConnection) -> None:
        """Those that are still held are for another `hold_seconds`."""
        column = reservations.c
        held = (column.id.in_(sorted(ids)), column.state == ReservationState.HELD)
        later = now() + self._hold_seconds
        await within.execute(reservations.update().where(*held).values(expires_at=later))

    async def _reserve(
        self, within: AsyncConnection, principal: Principal, units: int
    ) -> tuple[Reservation, str]:
        if units < 0:
            raise ValueError(f"a call of weight {units}")
        caller = await self._callers.look_up(within, principal)
        plan, tenant = caller.plan, principal.tenant_id
        day = caller.book.day(caller.at)
        stands = await self._counters.take_call(within, tenant, day, plan.calls_a_day)
        if stands is None:
            used = await self._counters.used(within, tenant, day)
            self._on_event(plan.id, "refused")
            raise _exhausted(caller, used)
        held = Held(
            id=secrets.token_urlsafe(16),
            tenant_id=tenant,
            subject=principal.subject,
            plan=plan.id,
            day=day,
            units=units,
            unit_price=plan.cost_a_call,
            charging=plan.charging,
        )
        if plan.charging is Charging.CREDIT and not await self._counters.take_credit(within, held):
            self._on_event(plan.id, "refused")
            raise _unpaid(plan, held.amount)
        await self._counters.hold(within, held, caller.at, self._hold_seconds)
        resets_at = None if plan.calls_a_day is None else caller.book.next_day(caller.at)
        reservation = Reservation(
            id=held.id,
            units=units,
            unit_price=held.unit_price,
            plan=plan,
            day=day,
            left=None if plan.calls_a_day is None else plan.calls_a_day - stands,
            resets_at=resets_at,
            resets_in=None if resets_at is None else resets_at - caller.at,
        )
        return reservation, plan.id

    async def _close(self, id: str, units: int | None, within: AsyncConnection | None) -> bool:
        """Whether it is charged, now or before; None gives it back."""
        if not id:  # nothing was counted
            return units is not None
        if within is not None:
            state, plan = await self._closed(within, id, units)
            if plan is not None:
                self._tell_after(within, plan, EVENTS[state])
        else:
            async with self._database.write() as own:
                state, plan = await self._closed(own, id, units)
            if plan is not None:
                self._on_event(plan, EVENTS[state])
        return units is not None and state is ReservationState.SETTLED

    async def _closed(
        self, within: AsyncConnection, id: str, units: int | None
    ) -> tuple[ReservationState, str | None]:
        """How the hold stands now, and the plan of one of which there is something to tell."""
        state = ReservationState.RELEASED if units is None else ReservationState.SETTLED
        held = await self._counters.end(within, id, state)
        if held is None:
            return (state, None) if units is None else await self._ended_before(within, id)
        if units is not None:
            await self._counters.charge(within, held, min(units, held.units))
        else:
            await self._counters.give_back(within, held)
        return state, held.plan

    async def _ended_before(self, within: AsyncConnection, id: str) -> tuple[ReservationState, str | None]:
        row = (await within.execute(_STATE, {"the_id": id})).first()
        if row is None:  # so long ago that it was removed
            return ReservationState.EXPIRED, None
        state = ReservationState(row.state)
        if state is not ReservationState.EXPIRED:
            return state, None  # told twice
        log.warning("settled_too_late", reservation=id, plan=row.plan)
        return state, row.plan

    def _tell_after(self, within: AsyncConnection, plan: str, what: str) -> None:
        """Once the caller's transaction is committed; never where it is rolled back."""
        connection = within.sync_connection

        def tell(_connection: Any) -> None:
            self._on_event(plan, what)

        event.listen(connection, "commit", tell, once=True)


def _exhausted(caller: Caller, used: int) -> QuotaExhausted:
    plan, zone = caller.plan, caller.book.zone
    resets_at = caller.book.next_day(caller.at)
    begins = datetime.fromtimestamp(resets_at, zone)
    told = {"limit": plan.calls_a_day, "used": used, "resets_at": begins.isoformat()}
    wait = max(1.0, resets_at - caller.at)
    if plan.calls_a_day == 0:
        return QuotaExhausted(
            f'The plan "{plan.id}" includes no calls.',
            f"套餐“{plan.title_zh}”不含任何调用次数。",
            retry_after=wait,
            extra=told,
        )
    when = f"{begins:%Y-%m-%d %H:%M} ({zone})"
    return QuotaExhausted(
        f'All {plan.calls_a_day} calls a day of the plan "{plan.id}" are used or under way; '
        f"the next one is free at {when}.",
        f"套餐“{plan.title_zh}”每天的 {plan.calls_a_day} 次调用已用完或正在处理；下一次可用时间：{when}。",
        retry_after=wait,
        extra=told,
    )


def _unpaid(plan: Plan, amount: int) -> PaymentRequired:
    return PaymentRequired(
        f'This call costs {to_text(amount)} on the plan "{plan.id}", and there is not that much credit left.',
        f"套餐“{plan.title_zh}”下此次调用需 {to_text(amount)}，余额不足。",
        extra={"amount": to_text(amount)},
    )
