"""What a server's database has in its books, read past the server."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import asyncpg


def charged(url: str, job_id: str) -> Counter[str]:
    """How often each item of a job stands in `usage_events`, of PostgreSQL."""

    async def ask() -> list[str]:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch(
                "SELECT source_id FROM usage_events WHERE source_id LIKE $1", f"{job_id}/%"
            )
            return [row["source_id"] for row in rows]
        finally:
            await connection.close()

    return Counter(asyncio.run(ask()))


def charged_in_file(data_dir: Path, job_id: str) -> Counter[str]:
    """The same of SQLite, in a server's data folder."""
    query = "SELECT source_id FROM usage_events WHERE source_id LIKE ?"
    return Counter(source for (source,) in rows(data_dir, query, f"{job_id}/%"))


def rows(data_dir: Path, query: str, *values: object) -> list[tuple]:
    with closing(sqlite3.connect(data_dir / "eraser.db")) as connection:
        return connection.execute(query, values).fetchall()


def each_once(job_id: str, items: int) -> Counter[str]:
    return Counter({f"{job_id}/{index}": 1 for index in range(items)})
