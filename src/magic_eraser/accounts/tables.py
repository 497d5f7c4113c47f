"""Users, keys and the audit log, as they lie in the database."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from magic_eraser.db.base import Counting, Seconds, metadata


class Role(StrEnum):
    USER = "user"
    ADMIN = "admin"


users = sa.Table(
    "users",
    metadata,
    sa.Column(
        "id", sa.String(100), primary_key=True, comment="chosen by the operator, or `user_id` of a token"
    ),
    sa.Column("email", sa.String(254)),
    sa.Column("plan", sa.String(40), nullable=False),
    sa.Column("role", sa.String(10), nullable=False),
    sa.Column("created_at", Seconds, nullable=False),
    sa.Column("disabled_at", Seconds, comment="since when no credential of it works"),
    sa.Column("tokens_after", Seconds, comment="tokens issued before are refused"),
)
api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(22), primary_key=True, comment="128 random bits; public"),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True, comment="HMAC-SHA256 of the key, hex"),
    sa.Column("pepper_id", sa.String(8), nullable=False, comment="which pepper it was made with"),
    sa.Column("ending", sa.String(4), nullable=False, comment="its last characters, to tell it by"),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("made_by", sa.String(100), nullable=False, comment="the user itself, or who made it for them"),
    sa.Column("created_at", Seconds, nullable=False),
    sa.Column("expires_at", Seconds),
    sa.Column("revoked_at", Seconds),
    sa.Column("last_used_at", Seconds, comment="to the minute"),
    sa.Column("replaced_by", sa.String(22), comment="the key that was made to take its place"),
)
audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("id", Counting, primary_key=True, autoincrement=True),
    sa.Column("at", Seconds, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False, comment="USER/CREDENTIAL, cli:NAME, stripe, system"),
    sa.Column("action", sa.String(40), nullable=False, index=True, comment="key.create, plan.change, ..."),
    sa.Column("target", sa.String(200), nullable=False, index=True),
    sa.Column("details", sa.JSON, nullable=False, comment="never a secret"),
)
"""Append-only: triggers refuse to change or delete a row."""
