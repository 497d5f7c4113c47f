"""The statements by which a call moves the counters; locks are taken in the order reservation, day, wallet, ledger."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.plans import Charging
from magic_eraser.billing.entries import CALL_ENTRY
from magic_eraser.billing.tables import Account, ReservationState, quota_days, reservations, wallets
from magic_eraser.db.prepared import Prepared, first
from magic_eraser.db.upsert import insert_into

_day = (quota_days.c.tenant_id == sa.bindparam("the_tenant"), quota_days.c.day == sa.bindparam("the_day"))
_wallet = wallets.c.tenant_id == sa.bindparam("the_tenant")
_amount = sa.bindparam("the_amount", type_=sa.BigInteger)
_used = sa.select(quota_days.c.used).where(*_day)
_charge_day = quota_days.update().where(*_day).values(held=quota_days.c.held - 1, used=quota_days.c.used + 1)
_give_back_day = (
    quota_days.update()
    .where(*_day)
    .values(held=quota_days.c.held - sa.bindparam("the_calls", type_=sa.BigInteger))
)
_hold_credit = (
    wallets.update()
    .where(_wallet, wallets.c.credit - wallets.c.held >= _amount)
    .values(held=wallets.c.held + _amount)
    .returning(wallets.c.held)
)
_charge_credit = (
    wallets.update()
    .where(_wallet)
    .values(
        held=wallets.c.held - sa.bindparam("the_held", type_=sa.BigInteger),
        credit=wallets.c.credit - _amount,
    )
)
_hold = (
    reservations.insert()
    .inline()
    .values({column.name: sa.bindparam(f"the_{column.name}") for column in reservations.c})
)
_end = (
    reservations.update()
    .where(reservations.c.id == sa.bindparam("the_id"), reservations.c.state == ReservationState.HELD)
    .values(state=sa.bindparam("the_state"))
    .returning(
        reservations.c.id,
        reservations.c.tenant_id,
        reservations.c.subject,
        reservations.c.plan,
        reservations.c.day,
        reservations.c.units,
        reservations.c.unit_price,
        reservations.c.charging,
    )
)


@dataclass(frozen=True, slots=True)
class Held:
    """A row of `reservations`, as far as counters need it."""

    id: str
    tenant_id: str
    subject: str
    plan: str
    day: str
    units: int
    unit_price: int
    charging: str

    @property
    def amount(self) -> int:
        """Milli-cents of the whole."""
        return self.units * self.unit_price

    @property
    def held_credit(self) -> int:
        """Milli-cents that lie in the wallet for it."""
        return self.amount if self.charging == Charging.CREDIT else 0


class Counters:
    """Executes them within transactions of others. Statements are built once, as every request executes them."""

    def __init__(self, *, is_sqlite: bool) -> None:
        first_of_day = insert_into(quota_days, is_sqlite=is_sqlite).values(
            tenant_id=sa.bindparam("the_tenant"), day=sa.bindparam("the_day"), held=1, used=0
        )
        one_more = {"held": quota_days.c.held + 1}
        key = [quota_days.c.tenant_id, quota_days.c.day]
        stands = quota_days.c.used + quota_days.c.held
        limit = sa.bindparam("the_limit", type_=sa.BigInteger)
        any_number = first_of_day.on_conflict_do_update(index_elements=key, set_=one_more)
        limited = first_of_day.on_conflict_do_update(
            index_elements=key, set_=one_more, where=stands + 1 <= limit
        )
        owe = (
            insert_into(wallets, is_sqlite=is_sqlite)
            .values(tenant_id=sa.bindparam("the_tenant"), credit=0, held=0, owed=_amount)
            .on_conflict_do_update(
                index_elements=[wallets.c.tenant_id], set_={"owed": wallets.c.owed + _amount}
            )
        )
        prepared = partial(Prepared, is_sqlite=is_sqlite)
        self._take_any = prepared(any_number.returning(stands))
        self._take_limited = prepared(limited.returning(stands))
        self._used = prepared(_used)
        self._hold = prepared(_hold)
        self._hold_credit = prepared(_hold_credit)
        self._end = prepared(_end)
        self._charge_day = prepared(_charge_day)
        self._give_back_day = prepared(_give_back_day)
        self._charge_credit = prepared(_charge_credit)
        self._owe = prepared(owe)
        self._enter = prepared(CALL_ENTRY)

    async def take_call(
        self, within: AsyncConnection, tenant_id: str, day: str, limit: int | None
    ) -> int | None:
        """One more of the day is held. How many are used and held then; None: the limit is reached."""
        if limit is not None and limit < 1:  # the first of a day finds no row whose limit could be asked
            return None
        values: dict[str, Any] = {"the_tenant": tenant_id, "the_day": day}
        if limit is None:
            row = first(await self._take_any.rows(within, values))
        else:
            row = first(await self._take_limited.rows(within, {**values, "the_limit": limit}))
        return None if row is None else int(row[0])

    async def used(self, within: AsyncConnection, tenant_id: str, day: str) -> int:
        """Calls of the day that were charged."""
        row = first(await self._used.rows(within, {"the_tenant": tenant_id, "the_day": day}))
        return 0 if row is None else int(row[0])

    async def take_credit(self, within: AsyncConnection, held: Held) -> bool:
        """Its price lies in the wallet for it; False where there is not that much."""
        if not held.held_credit:
            return True
        asked = {"the_tenant": held.tenant_id, "the_amount": held.held_credit}
        return bool(await self._hold_credit.rows(within, asked))

    async def hold(self, within: AsyncConnection, held: Held, at: float, seconds: float) -> None:
        """The reservation's row."""
        values = {
            "the_id": held.id,
            "the_tenant_id": held.tenant_id,
            "the_subject": held.subject,
            "the_plan": held.plan,
            "the_day": held.day,
            "the_units": held.units,
            "the_unit_price": held.unit_price,
            "the_charging": held.charging,
            "the_state": ReservationState.HELD,
            "the_created_at": at,
            "the_expires_at": at + seconds,
        }
        await self._hold.rows(within, values)

    async def end(self, within: AsyncConnection, id: str, state: ReservationState) -> Held | None:
        """The reservation is held no more; None where it was not."""
        row = first(await self._end.rows(within, {"the_id": id, "the_state": state}))
        return None if row is None else Held(*row)

    async def charge(self, within: AsyncConnection, held: Held, units: int) -> None:
        """A call of `units`, at most what was held, with its entry in the ledger, also where it costs nothing."""
        whose = {"the_tenant": held.tenant_id, "the_day": held.day}
        amount = units * held.unit_price
        await self._charge_day.rows(within, whose)
        on_credit = held.charging == Charging.CREDIT
        if on_credit and held.held_credit:
            moved = {"the_tenant": held.tenant_id, "the_held": held.held_credit, "the_amount": amount}
            await self._charge_credit.rows(within, moved)
        elif amount:
            await self._owe.rows(within, {"the_tenant": held.tenant_id, "the_amount": amount})
        await self._enter.rows(
            within,
            {
                **whose,
                "the_subject": held.subject,
                "the_id": held.id,
                "the_account": Account.CREDIT if on_credit else Account.OWED,
                "the_amount": amount,
                "the_plan": held.plan,
            },
        )

    async def give_back(self, within: AsyncConnection, held: Held) -> None:
        """A call that is held no more, and what lay in the wallet for it."""
        await self.give_back_calls(within, held.tenant_id, held.day, 1)
        await self.give_back_credit(within, held.tenant_id, held.held_credit)

    async def give_back_calls(self, within: AsyncConnection, tenant_id: str, day: str, calls: int) -> None:
        """Of one day."""
        whose = {"the_tenant": tenant_id, "the_day": day}
        await self._give_back_day.rows(within, {**whose, "the_calls": calls})

    async def give_back_credit(self, within: AsyncConnection, tenant_id: str, amount: int) -> None:
        """What lay in the wallet, milli-cents."""
        if amount:
            moved = {"the_tenant": tenant_id, "the_held": amount, "the_amount": 0}
            await self._charge_credit.rows(within, moved)
