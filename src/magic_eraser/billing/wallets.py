"""What a tenant has paid in advance and what it owes: the sums of its entries, moved only with one."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.money import to_text
from magic_eraser.billing.tables import Account, wallets
from magic_eraser.db.upsert import insert_into
from magic_eraser.errors import PaymentRequired


@dataclass(frozen=True, slots=True)
class Wallet:
    """Milli-cents.

    Attributes:
        credit: bought and left.
        held: of the credit, by calls at work.
        owed: to be paid; below 0 where more was paid than was owed.
    """

    credit: int
    held: int
    owed: int


async def lock(within: AsyncConnection, tenant_id: str) -> Wallet:
    """The wallet, made where there was none. From here to the end of the transaction it is nobody else's, so that what
    is decided by it stays true."""
    first = insert_into(wallets, is_sqlite=within.dialect.name == "sqlite").values(tenant_id=tenant_id)
    await within.execute(first.on_conflict_do_nothing())
    query = sa.select(wallets.c.credit, wallets.c.held, wallets.c.owed).where(
        wallets.c.tenant_id == tenant_id
    )
    return Wallet(*(await within.execute(query.with_for_update())).one())


async def move(
    within: AsyncConnection,
    tenant_id: str,
    wallet: Wallet,
    from_account: Account,
    to_account: Account,
    amount: int,
) -> None:
    """What an entry means for a wallet that is locked.

    Raises:
        PaymentRequired: it takes more credit than there is beside what calls at work hold.
    """
    credit = amount * ((to_account is Account.CREDIT) - (from_account is Account.CREDIT))
    owed = amount * ((from_account is Account.OWED) - (to_account is Account.OWED))
    if wallet.credit + credit < wallet.held:
        left = to_text(wallet.credit - wallet.held)
        raise PaymentRequired(
            f"This takes {to_text(amount)} of the credit, of which {left} is left.",
            f"此操作需要 {to_text(amount)} 余额，目前仅剩 {left}。",
            extra={"amount": to_text(amount)},
        )
    if credit or owed:
        await within.execute(
            wallets.update()
            .where(wallets.c.tenant_id == tenant_id)
            .values(credit=wallets.c.credit + credit, owed=wallets.c.owed + owed)
        )
