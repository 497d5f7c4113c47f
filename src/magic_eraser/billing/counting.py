"""The statements by which a call moves the counters; locks are taken in the order reservation, day, wallet, ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.plans import Charging
from magic_eraser.billing.entries import CALL_ENTRY
from magic_eraser.billing.tables import Account, ReservationState, quota_days, reservations, wallets

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
)
_charge_credit = (
    wallets.update()
    .where(_wallet)
    .values(
        held=wallets.c.held - sa.bindparam("the_held", type_=sa.BigInteger),
        credit=wallets.c.credit - _amount,
    )
)
_hold = reservations.insert()
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
        insert: Any = sqlite.insert if is_sqlite else postgresql.insert
        first = insert(quota_days).values(
            tenant_id=sa.bindparam("the_tenant"), day=sa.bindparam("the_day"), held=1, used=0
        )
        one_more = {"held": quota_days.c.held + 1}
        key = [quota_days.c.tenant_id, quota_days.c.day]
        stands = quota_days.c.used + quota_days.c.held
        limit = sa.bindparam("the_limit", type_=sa.BigInteger)
        self._take_any = first.on_conflict_do_update(index_elements=key, set_=one_more).returning(stands)
        self._take_limited = first.on_conflict_do_update(
            index_elements=key, set_=one_more, where=stands + 1 <= limit
        ).returning(stands)
        self._owe = (
            insert(wallets)
            .values(tenant_id=sa.bindparam("the_tenant"), credit=0, held=0, owed=_amount)
            .on_conflict_do_update(
                index_elements=[wallets.c.tenant_id], set_={"owed": wallets.c.owed + _amount}
            )
        )

    async def take_call(
        self, within: AsyncConnection, tenant_id: str, day: str, limit: int | None
    ) -> int | None:
        """One more of the day is held. How many are used and held then; None: the limit is reached."""
        if limit is not None and limit < 1:  # the first of a day finds no row whose limit could be asked
            return None
        values: dict[str, Any] = {"the_tenant": tenant_id, "the_day": day}
        if limit is None:
            return int((await within.execute(self._take_any, values)).scalar_one())
        stands = (await within.execute(self._take_limited, {**values, "the_limit": limit})).scalar()
        return None if stands is None else int(stands)

    async def used(self, within: AsyncConnection, tenant_id: str, day: str) -> int:
        """Calls of the day that were charged."""
        asked = {"the_tenant": tenant_id, "the_day": day}
        return int((await within.execute(_used, asked)).scalar() or 0)

    async def take_credit(self, within: AsyncConnection, held: Held) -> bool:
        """Its price lies in the wallet for it; False where there is not that much."""
        if not held.held_credit:
            return True
        asked = {"the_tenant": held.tenant_id, "the_amount": held.held_credit}
        return (await within.execute(_hold_credit, asked)).rowcount == 1

    async def hold(self, within: AsyncConnection, held: Held, at: float, seconds: float) -> None:
        """The reservation's row."""
        values = {
            "id": held.id,
            "tenant_id": held.tenant_id,
            "subject": held.subject,
            "plan": held.plan,
            "day": held.day,
            "units": held.units,
            "unit_price": held.unit_price,
            "charging": held.charging,
            "state": ReservationState.HELD,
            "created_at": at,
            "expires_at": at + seconds,
        }
        await within.execute(_hold, values)

    async def end(self, within: AsyncConnection, id: str, state: ReservationState) -> Held | None:
        """The reservation is held no more; None where it was not."""
        row = (await within.execute(_end, {"the_id": id, "the_state": state})).first()
        return None if row is None else Held(*row)

    async def charge(self, within: AsyncConnection, held: Held, units: int) -> None:
        """A call of `units`, at most what was held, with its entry in the ledger, also where it costs nothing."""
        whose = {"the_tenant": held.tenant_id, "the_day": held.day}
        amount = units * held.unit_price
        await within.execute(_charge_day, whose)
        on_credit = held.charging == Charging.CREDIT
        if on_credit and held.held_credit:
            moved = {"the_tenant": held.tenant_id, "the_held": held.held_credit, "the_amount": amount}
            await within.execute(_charge_credit, moved)
        elif amount:
            await within.execute(self._owe, {"the_tenant": held.tenant_id, "the_amount": amount})
        await within.execute(
            CALL_ENTRY,
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
        await within.execute(_give_back_day, {**whose, "the_calls": calls})

    async def give_back_credit(self, within: AsyncConnection, tenant_id: str, amount: int) -> None:
        """What lay in the wallet, milli-cents."""
        if amount:
            moved = {"the_tenant": tenant_id, "the_held": amount, "the_amount": 0}
            await within.execute(_charge_credit, moved)
