"""Writing down what was done for whom."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.principal import Principal
from magic_eraser.db.base import now
from magic_eraser.usage.tables import usage_events


async def record(
    within: AsyncConnection, source: str, source_id: str, principal: Principal, model: str, units: int
) -> None:
    """One piece of work, in the transaction that ends it.

    Args:
        source: who tells it, such as "job".
        source_id: unique for that source.
        units: what it cost; 0 for a result from the cache.

    Raises:
        sqlalchemy.exc.IntegrityError: it was told before; the caller's transaction must not be committed.
    """
    await within.execute(
        usage_events.insert().values(
            source=source,
            source_id=source_id,
            tenant_id=principal.tenant_id,
            subject=principal.subject,
            model=model,
            units=units,
            at=now(),
        )
    )
