"""Keys on a database of the test's own."""

from __future__ import annotations

import contextlib

import pytest

from idempotency_house import opened
from magic_eraser.db.blobs import DatabaseBlobs, FileBlobs
from magic_eraser.service.idempotency.keys import IdempotencyKeys


@pytest.fixture
def keys(database_url, tmp_path):
    """`async with keys(ttl=..., lease=...) as (keys, database)`: a server's own, each with its own connections."""

    @contextlib.asynccontextmanager
    async def open_keys(ttl=3600.0, lease=60.0):
        async with opened(database_url) as database:
            kept = FileBlobs(tmp_path / "blobs") if database.is_sqlite else DatabaseBlobs(database)
            yield IdempotencyKeys(database, kept, ttl_seconds=ttl, lease_seconds=lease), database

    return open_keys
