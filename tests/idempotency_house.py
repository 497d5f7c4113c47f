"""What the tests of idempotency keys share."""

from __future__ import annotations

import contextlib
import hashlib

import sqlalchemy as sa

from magic_eraser.db.database import Database
from magic_eraser.service.idempotency.keys import Answer
from magic_eraser.service.idempotency.tables import idempotency_keys as table

PRINT, OTHER_PRINT = (hashlib.sha256(text).hexdigest() for text in (b"one", b"other"))
ASKED = ("tenant", "POST /v1/erase", "key", PRINT)
ANSWER = Answer(200, (("X-Eraser-Model", "patch"), ("X-Seed", "42")), "image/png", bytes(range(256)) * 100)


@contextlib.asynccontextmanager
async def opened(url):
    database = Database(url)
    try:
        yield database
    finally:
        await database.close()


async def rows(database):
    async with database.read() as connection:
        return (await connection.execute(sa.select(table))).all()


async def change(database, **values):
    async with database.write() as connection:
        await connection.execute(sa.update(table).values(**values))
