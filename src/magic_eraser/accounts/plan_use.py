"""Which plans users are on: one with users on it cannot leave the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

from magic_eraser.accounts.plans import PlanBook
from magic_eraser.accounts.tables import users
from magic_eraser.db.database import Database
from magic_eraser.errors import SettingsError


async def users_by_plan(database: Database) -> dict[str, int]:
    """How many users are on each plan that has any, those who are disabled included.

    Raises:
        StorageUnavailable: see `Database.read`.
    """
    query = (
        sa.select(users.c.plan, sa.func.count().label("users")).group_by(users.c.plan).order_by(users.c.plan)
    )
    async with database.read() as connection:
        return {row.plan: row.users for row in await connection.execute(query)}


def missing(book: PlanBook, used: Mapping[str, int], path: Path) -> SettingsError | None:
    """What stands against a book: users are on plans that it has not.

    Args:
        used: see `users_by_plan`.
        path: of the book, as the message names it.
    """
    gone = {plan: count for plan, count in used.items() if count and book.find(plan) is None}
    if not gone:
        return None
    return SettingsError("\n".join(_line(plan, count, path) for plan, count in gone.items()))


def _line(plan: str, count: int, path: Path) -> str:
    who = "1 user is" if count == 1 else f"{count} users are"
    return (
        f'{path}: the plan "{plan}" is gone, but {who} on it. Put it back, with "retired = true" if it is no longer '
        f"on offer, or move them first: magic-eraser users set-plan USER PLAN"
    )
