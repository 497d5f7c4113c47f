"""The database of the settings, for verbs that read or change what lies in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from magic_eraser.db.database import Database
from magic_eraser.db.upgrade import State, check, upgrade
from magic_eraser.errors import SettingsError
from magic_eraser.service.storage import database_of
from magic_eraser.settings import Settings


@asynccontextmanager
async def current_database(settings: Settings, *, make: bool = False) -> AsyncIterator[Database]:
    """Open for the block.

    Args:
        make: one where there is none, as the server would: for verbs that put something into it.

    Raises:
        SettingsError: there is none, it cannot be reached, or it is of another version; the sentence says what to type.
    """
    database = database_of(settings)
    try:
        found = await check(database)
        if make and found.state is State.EMPTY:
            await upgrade(database)
            found = await check(database)
        if found.state is not State.CURRENT:
            raise SettingsError(found.sentence())
        yield database
    finally:
        await database.close()
