"""The plans in force: judged at the start, and put aside for others at SIGHUP."""

from __future__ import annotations

import asyncio
from pathlib import Path

from magic_eraser.accounts.plan_files import plan_file
from magic_eraser.accounts.plan_use import missing, users_by_plan
from magic_eraser.accounts.plans import PlanBook
from magic_eraser.api.rooms import Rooms
from magic_eraser.db.database import Database
from magic_eraser.errors import EraserError, SettingsError
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)


async def check(book: PlanBook, database: Database, path: Path | None) -> None:
    """Raises `SettingsError` where users are on plans that are not in the book."""
    fault = missing(book, await users_by_plan(database), path or plan_file.SHIPPED)
    if fault is not None:
        raise fault


async def reload(rooms: Rooms) -> None:
    """Read the file again; where it has faults, those in force stay, and the log says why."""
    path = rooms.settings.plans_file
    try:
        used = await users_by_plan(rooms.database)
        await asyncio.to_thread(plan_file.reload, rooms.plans, path, used)
    except (SettingsError, EraserError) as error:
        log.warning("plans_not_reloaded", reason=str(error))
    else:
        log.info("plans_reloaded", plans=list(rooms.plans.book.plans))
