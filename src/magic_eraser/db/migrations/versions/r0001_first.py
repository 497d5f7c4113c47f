"""Blobs, jobs, webhooks, events of usage, answers by `Idempotency-Key`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _blobs()
    _jobs()
    _job_items()
    _webhook_deliveries()
    _usage_events()
    _idempotency_keys()


def downgrade() -> None:
    for table in (
        "idempotency_keys",
        "usage_events",
        "webhook_deliveries",
        "job_items",
        "jobs",
        "blob_pieces",
        "blobs",
    ):
        op.drop_table(table)


def _blobs() -> None:
    op.create_table(
        "blobs",
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("folder", sa.String(48), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_blobs"),
    )
    op.create_index("ix_blobs_folder", "blobs", ["folder"])
    op.create_table(
        "blob_pieces",
        sa.Column("blob_id", sa.String(80), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("blob_id", "number", name="pk_blob_pieces"),
        sa.ForeignKeyConstraint(["blob_id"], ["blobs.id"], name="fk_blob_pieces_blob_id", ondelete="CASCADE"),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("tenant_id", sa.String(100), nullable=False),
        sa.Column("subject", sa.String(100), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("succeeded", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
        sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("claimed_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.Column("expires_at", sa.Double),
        sa.Column("webhook_url", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    for column in ("tenant_id", "state", "expires_at"):
        op.create_index(f"ix_jobs_{column}", "jobs", [column])


def _job_items() -> None:
    op.create_table(
        "job_items",
        sa.Column("job_id", sa.String(22), nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("image_blob", sa.String(80), nullable=False),
        sa.Column("mask_blob", sa.String(80), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("run_at", sa.Double, nullable=False),
        sa.Column("owner", sa.String(80)),
        sa.Column("lease_until", sa.Double),
        sa.Column("fence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("sequence", sa.Integer),
        sa.Column("error_code", sa.String(40)),
        sa.Column("error", sa.Text),
        sa.Column("error_zh", sa.Text),
        sa.Column("result_blob", sa.String(80)),
        sa.Column("format", sa.String(10)),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("model", sa.String(100)),
        sa.Column("seconds", sa.Double),
        sa.Column("notices", sa.JSON),
        sa.PrimaryKeyConstraint("job_id", "index", name="pk_job_items"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_items_job_id", ondelete="CASCADE"),
    )
    op.create_index("ix_job_items_claim", "job_items", ["state", "run_at"])
    op.create_index("ix_job_items_sequence", "job_items", ["job_id", "sequence"])


def _webhook_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("job_id", sa.String(22), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("run_at", sa.Double, nullable=False),
        sa.Column("owner", sa.String(80)),
        sa.Column("lease_until", sa.Double),
        sa.Column("fence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_error", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
    )
    op.create_index("ix_webhook_deliveries_claim", "webhook_deliveries", ["state", "run_at"])
    op.create_index("ix_webhook_deliveries_job_id", "webhook_deliveries", ["job_id"])


def _usage_events() -> None:
    op.create_table(
        "usage_events",
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("source_id", sa.String(60), nullable=False),
        sa.Column("tenant_id", sa.String(100), nullable=False),
        sa.Column("subject", sa.String(100), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("units", sa.Integer, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("source", "source_id", name="pk_usage_events"),
    )


def _idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.String(100), nullable=False),
        sa.Column("route", sa.String(100), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("lease_until", sa.Double),
        sa.Column("fence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("status", sa.Integer),
        sa.Column("headers", sa.JSON),
        sa.Column("media_type", sa.String(100)),
        sa.Column("body_blob", sa.String(80)),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "route", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_expires_at", "idempotency_keys", ["expires_at"])
