"""Run by alembic, on the connection and in the transaction that `db/upgrade.py` hands over."""

from __future__ import annotations

from alembic import context

from magic_eraser.db.base import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
