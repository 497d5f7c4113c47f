"""Jobs, as they lie in the database. Truth about a job is here and nowhere else."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from magic_eraser.db.base import Seconds, metadata


class JobState(StrEnum):
    """`failed`: some item failed; the others have their results."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ItemState(StrEnum):
    QUEUED = "queued"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(22), primary_key=True, comment="128 random bits"),
    sa.Column("tenant_id", sa.String(100), nullable=False, index=True),
    sa.Column("subject", sa.String(100), nullable=False),
    sa.Column("address", sa.String(64), nullable=False, comment="see Principal.address"),
    sa.Column("state", sa.String(10), nullable=False, index=True),
    sa.Column("options", sa.JSON, nullable=False, comment="EraseOptions and OutputOptions, by name"),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column(
        "bytes", sa.BigInteger, nullable=False, server_default="0", comment="of the pictures that it brought"
    ),
    sa.Column("succeeded", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sequence", sa.Integer, nullable=False, server_default="0", comment="number of its last event"),
    sa.Column("created_at", Seconds, nullable=False),
    sa.Column("claimed_at", Seconds, comment="when an item was last begun: jobs take turns"),
    sa.Column("finished_at", Seconds),
    sa.Column("expires_at", Seconds, index=True, comment="set when it is over"),
    sa.Column("webhook_url", sa.Text),
)
job_items = sa.Table(
    "job_items",
    metadata,
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(200), nullable=False, comment="of the picture's file, without a folder"),
    sa.Column("image_blob", sa.String(80), nullable=False),
    sa.Column("mask_blob", sa.String(80), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("run_at", Seconds, nullable=False, comment="not before"),
    sa.Column("owner", sa.String(80), comment="the server that works on it"),
    sa.Column("lease_until", Seconds),
    sa.Column("fence", sa.Integer, nullable=False, server_default="0", comment="counts the claims"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column(
        "reservation_id", sa.String(22), comment="what its claim holds: whoever takes it over releases it"
    ),
    sa.Column("sequence", sa.Integer, comment="the job's event by which its end was told"),
    sa.Column("error_code", sa.String(40)),
    sa.Column("error", sa.Text),
    sa.Column("error_zh", sa.Text),
    sa.Column("result_blob", sa.String(80)),
    sa.Column("format", sa.String(10)),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    sa.Column("model", sa.String(100)),
    sa.Column("seconds", sa.Double),
    sa.Column("notices", sa.JSON, comment="codes"),
    sa.Index("ix_job_items_claim", "state", "run_at"),
    sa.Index("ix_job_items_sequence", "job_id", "sequence"),
)
webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("id", sa.String(22), primary_key=True),
    sa.Column("job_id", sa.String(22), nullable=False, index=True, comment="outlives the job"),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("run_at", Seconds, nullable=False),
    sa.Column("owner", sa.String(80)),
    sa.Column("lease_until", Seconds),
    sa.Column("fence", sa.Integer, nullable=False, server_default="0"),
    sa.Column("last_error", sa.Text),
    sa.Column("created_at", Seconds, nullable=False),
    sa.Index("ix_webhook_deliveries_claim", "state", "run_at"),
)
"""An outbox: written in the transaction that ends the job, sent afterwards, until it arrives or is given up."""
