"""Reading the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from magic_eraser.accounts.tables import audit_log
from magic_eraser.db.database import Database


@dataclass(frozen=True, slots=True)
class Deed:
    """Who did what to whom; see `audit.record`. `at` in seconds since 1970."""

    id: int
    at: float
    actor: str
    action: str
    target: str
    details: Mapping[str, Any]


async def newest(
    database: Database, *, limit: int, after: int | None = None, target: str | None = None
) -> list[Deed]:
    """The latest first.

    Args:
        limit: most of them.
        after: the id of the last one of the page before.
        target: only what was done to it.
    """
    table = audit_log
    query = sa.select(table).order_by(table.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(table.c.id < after)
    if target is not None:
        query = query.where(table.c.target == target)
    async with database.read() as connection:
        return [Deed(**row._asdict()) for row in await connection.execute(query)]
