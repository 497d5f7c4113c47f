"""Answers by `Idempotency-Key`, as they lie in the database."""

from __future__ import annotations

import sqlalchemy as sa

from magic_eraser.db.base import Seconds, metadata

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("tenant_id", sa.String(100), primary_key=True),
    sa.Column("route", sa.String(100), primary_key=True, comment="method and template"),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False, comment="SHA-256 of what was asked for"),
    sa.Column("lease_until", Seconds, comment="while the first request runs; null once there is an answer"),
    sa.Column("fence", sa.Integer, nullable=False, server_default="0", comment="counts the attempts"),
    sa.Column("status", sa.Integer),
    sa.Column("headers", sa.JSON),
    sa.Column("media_type", sa.String(100)),
    sa.Column("body_blob", sa.String(80)),
    sa.Column("expires_at", Seconds, nullable=False, index=True),
)
