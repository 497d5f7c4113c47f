"""Money in and out: grants, payments, refunds, and where a tenant stands. What calls cost is written by `calls`."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts import audit, money
from magic_eraser.accounts.plans import Plan, Plans
from magic_eraser.accounts.principal import Principal
from magic_eraser.accounts.tables import users
from magic_eraser.billing import entries, refunds, standing
from magic_eraser.billing.calls.database_quota import OnEvent, nobody_counts
from magic_eraser.billing.entries import Entry
from magic_eraser.billing.posting import NewEntry, post
from magic_eraser.billing.standing import Standing
from magic_eraser.billing.tables import Account, ledger_entries
from magic_eraser.db.database import Database
from magic_eraser.errors import NotFound, ValidationFailed

LONGEST_REFERENCE, LONGEST_NOTE = 60, 1000
MOST_ENTRIES = 200


class Ledger:
    """The ledger of all tenants. Append-only: what was wrong is put right by another entry.

    Args:
        database: where it lies.
        plans: whose time zone says what day it is.
        on_event: see `calls.database_quota.OnEvent`; told of refunds.
    """

    def __init__(self, database: Database, plans: Plans, *, on_event: OnEvent = nobody_counts) -> None:
        self._database = database
        self._plans = plans
        self._on_event = on_event

    async def post(
        self,
        within: AsyncConnection,
        *,
        tenant_id: str,
        source: str,
        source_id: str,
        from_account: Account,
        to_account: Account,
        amount: int,
        subject: str = "",
        plan: str = "",
        note: str = "",
    ) -> Entry:
        """One entry without a call, in a transaction of the caller's, with what it means for the wallet.

        Args:
            source, source_id: by which it is known: told again, the entry that is there is returned. At most 20 and 100
                characters.
            amount: milli-cents, 0 or more.

        Raises:
            Conflict: another entry is known by that.
            PaymentRequired: there is not that much credit.
            ValidationFailed: a negative amount, or from an account to itself.
        """
        new = NewEntry(
            tenant_id=tenant_id,
            source=source,
            source_id=source_id,
            from_account=from_account,
            to_account=to_account,
            amount=amount,
            subject=subject,
            plan=plan,
            note=note,
        )
        return (await post(within, self._plans, new))[0]

    async def grant(
        self,
        tenant_id: str,
        amount: int,
        *,
        reference: str,
        actor: str,
        note: str = "",
        within: AsyncConnection | None = None,
    ) -> Entry:
        """Credit, bought or given. See `payment`."""
        return await self._paid(
            entries.GRANT, Account.CREDIT, tenant_id, amount, reference, actor, note, within
        )

    async def payment(
        self,
        tenant_id: str,
        amount: int,
        *,
        reference: str,
        actor: str,
        note: str = "",
        within: AsyncConnection | None = None,
    ) -> Entry:
        """A payment of what is owed.

        Args:
            amount: milli-cents, above 0.
            reference: the operator's name for it, 1..60 characters: told twice for the same tenant, it counts once.
            actor: who tells it, for the audit log.

        Raises:
            NotFound: no such user.
            ValidationFailed: the amount, the reference or the note is out of range.
            Conflict: the reference was used for another amount.
        """
        return await self._paid(
            entries.PAYMENT, Account.OWED, tenant_id, amount, reference, actor, note, within
        )

    async def refund(
        self,
        entry_id: int,
        *,
        amount: int | None = None,
        call: bool = False,
        reference: str,
        actor: str,
        note: str = "",
        within: AsyncConnection | None = None,
    ) -> Entry:
        """Take back a charge, wholly or in part, by an entry that points at it.

        Args:
            amount: milli-cents; all that is left of it where None.
            call: give back its call, too, on the day for which it counted.
            reference, actor: see `payment`.

        Raises:
            NotFound: no such entry.
            ValidationFailed: not a charge, a negative amount, or neither money nor a call is given back.
            Conflict: so much is not left of it, its call was given back before, or the reference was used for another.
        """
        _check_texts(reference, note)
        async with self._database.joined(within) as connection:
            asked = refunds.Asked(entry_id, amount, call, f"{entry_id}/{reference}", note)
            entry, is_new = await refunds.refund(connection, self._plans, asked)
            if is_new:
                await audit.record(
                    connection,
                    actor,
                    "money.refund",
                    entry.tenant_id,
                    entry=entry.id,
                    original=entry_id,
                    amount=money.to_text(entry.amount),
                    calls=-entry.calls,
                    reference=reference,
                )
        if is_new and within is None:
            self._on_event(entry.plan, "refunded")
        return entry

    async def entries(
        self, tenant_id: str, *, limit: int = 50, after: int | None = None, source: str | None = None
    ) -> list[Entry]:
        """A tenant's, newest first.

        Args:
            limit: 1..200.
            after: id of the last one seen.
            source: only these.
        """
        column = ledger_entries.c
        query = sa.select(ledger_entries).where(column.tenant_id == tenant_id)
        if after is not None:
            query = query.where(column.id < after)
        if source is not None:
            query = query.where(column.source == source)
        query = query.order_by(column.id.desc()).limit(max(1, min(limit, MOST_ENTRIES)))
        async with self._database.read() as connection:
            return [entries.of_row(row) for row in await connection.execute(query)]

    async def standing(self, tenant: Principal | str, plan: Plan) -> Standing:
        """Calls of today and money, as the next call will find them."""
        tenant_id = tenant.tenant_id if isinstance(tenant, Principal) else tenant
        async with self._database.read() as connection:
            return await standing.read(connection, self._plans.book, tenant_id, plan)

    async def _paid(
        self,
        source: str,
        to_account: Account,
        tenant_id: str,
        amount: int,
        reference: str,
        actor: str,
        note: str,
        within: AsyncConnection | None,
    ) -> Entry:
        _check_texts(reference, note)
        _check_amount(amount)
        new = NewEntry(
            tenant_id=tenant_id,
            source=source,
            source_id=_source_id(tenant_id, reference),
            from_account=Account.OUTSIDE,
            to_account=to_account,
            amount=amount,
            note=note,
        )
        async with self._database.joined(within) as connection:
            await _expect_user(connection, tenant_id)
            entry, is_new = await post(connection, self._plans, new)
            if is_new:
                told = {"entry": entry.id, "amount": money.to_text(amount), "reference": reference}
                await audit.record(connection, actor, f"money.{source}", tenant_id, **told)
        return entry


async def _expect_user(within: AsyncConnection, tenant_id: str) -> None:
    if (await within.execute(sa.select(users.c.id).where(users.c.id == tenant_id))).first() is None:
        raise NotFound(f'There is no user "{tenant_id}".', f"没有用户“{tenant_id}”。")


def _source_id(tenant_id: str, reference: str) -> str:
    """Two tenants may have the same reference; a name of 100 characters and one of 60 do not fit beside each other."""
    return f"{reference}/{hashlib.sha256(tenant_id.encode()).hexdigest()[:32]}"


def _check_texts(reference: str, note: str) -> None:
    if not 1 <= len(reference) <= LONGEST_REFERENCE:
        raise ValidationFailed(
            f"A reference has 1 to {LONGEST_REFERENCE} characters, this one {len(reference)}.",
            f"参考号须为 1 到 {LONGEST_REFERENCE} 个字符，当前为 {len(reference)} 个。",
        )
    if len(note) > LONGEST_NOTE:
        raise ValidationFailed(
            f"A note has at most {LONGEST_NOTE} characters, this one {len(note)}.",
            f"备注最多 {LONGEST_NOTE} 个字符，当前为 {len(note)} 个。",
        )


def _check_amount(amount: int) -> None:
    if not 0 < amount <= money.MOST:
        least, most = money.to_text(1), money.to_text(money.MOST)
        raise ValidationFailed(
            f"An amount is from {least} to {most}, not {money.to_text(amount)}.",
            f"金额须在 {least} 到 {most} 之间，不能是 {money.to_text(amount)}。",
        )
