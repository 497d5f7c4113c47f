"""The events of usage, as they lie in the database."""

from __future__ import annotations

import sqlalchemy as sa

from magic_eraser.db.base import Seconds, metadata

usage_events = sa.Table(
    "usage_events",
    metadata,
    sa.Column("source", sa.String(20), primary_key=True, comment="who tells it: job, request"),
    sa.Column(
        "source_id",
        sa.String(60),
        primary_key=True,
        comment="unique for that source: JOB/INDEX, a reservation",
    ),
    sa.Column("tenant_id", sa.String(100), nullable=False),
    sa.Column("subject", sa.String(100), nullable=False),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("units", sa.Integer, nullable=False),
    sa.Column("at", Seconds, nullable=False),
    sa.Column("day", sa.String(10), comment="in the time zone of the plans"),
    sa.Column("plan", sa.String(40), comment="null where there are none"),
    sa.Column("amount", sa.BigInteger, nullable=False, server_default="0", comment="milli-cents"),
    sa.Column("cached", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("pixels", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("seconds", sa.Double, nullable=False, server_default="0"),
    sa.Index("ix_usage_events_day", "tenant_id", "day"),
)
"""Append-only. A piece of work is told in the transaction that ends it, and its key lets it be told but once."""
