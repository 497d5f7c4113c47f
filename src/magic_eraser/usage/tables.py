"""The events of usage, as they lie in the database."""

from __future__ import annotations

import sqlalchemy as sa

from magic_eraser.db.base import Seconds, metadata

usage_events = sa.Table(
    "usage_events",
    metadata,
    sa.Column("source", sa.String(20), primary_key=True, comment="who tells it: job"),
    sa.Column("source_id", sa.String(60), primary_key=True, comment="unique for that source: JOB/INDEX"),
    sa.Column("tenant_id", sa.String(100), nullable=False),
    sa.Column("subject", sa.String(100), nullable=False),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("units", sa.Integer, nullable=False),
    sa.Column("at", Seconds, nullable=False),
)
"""Append-only. A piece of work is told in the transaction that ends it, and its key lets it be told but once."""
