"""`INSERT ... ON CONFLICT`, which each dialect has of its own."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


def insert_into(table: sa.Table, *, is_sqlite: bool) -> Any:
    """An insert with `on_conflict_do_nothing` and `on_conflict_do_update`. Only the dialect that is used is imported:
    the other one takes 2 MiB."""
    if is_sqlite:
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)
