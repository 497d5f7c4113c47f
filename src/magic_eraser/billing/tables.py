"""Calls and money, as they lie in the database. The ledger is the truth; the counters are its sums, checked nightly."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from magic_eraser.db.base import Counting, Seconds, metadata


class ReservationState(StrEnum):
    """`expired`: whoever held it was never heard of again, and nothing was charged."""

    HELD = "held"
    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"


class Account(StrEnum):
    """Where money comes from and goes to. Each entry moves an amount from one account to another, so the sum over all
    accounts is nothing at any time."""

    OUTSIDE = "outside"
    """Payments come from here: a bank, Stripe, a gift of the operator's."""
    CREDIT = "credit"
    """What the user has bought and not used."""
    OWED = "owed"
    """What the user has used and not paid: goes below nothing, as it is paid afterwards."""
    REVENUE = "revenue"
    """What calls brought."""
    FEES = "fees"
    """What plans brought."""


class SubscriptionState(StrEnum):
    ACTIVE = "active"
    AWAITING = "awaiting_payment"
    """Asked for; the plan changes when it is paid."""
    PAST_DUE = "past_due"
    """A payment failed or is late; the plan stays until the grace is over."""
    ENDED = "ended"


quota_days = sa.Table(
    "quota_days",
    metadata,
    sa.Column("tenant_id", sa.String(100), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True, comment="2026-11-24, in the time zone of the plans"),
    sa.Column("held", sa.BigInteger, nullable=False, comment="calls that are being worked on"),
    sa.Column("used", sa.BigInteger, nullable=False, comment="calls that were charged"),
    sa.CheckConstraint("held >= 0", name="held"),
    sa.CheckConstraint("used >= 0", name="used"),
)
wallets = sa.Table(
    "wallets",
    metadata,
    sa.Column("tenant_id", sa.String(100), primary_key=True),
    sa.Column(
        "credit", sa.BigInteger, nullable=False, server_default="0", comment="milli-cents bought and left"
    ),
    sa.Column(
        "held", sa.BigInteger, nullable=False, server_default="0", comment="of the credit, by calls at work"
    ),
    sa.Column("owed", sa.BigInteger, nullable=False, server_default="0", comment="milli-cents to be paid"),
    sa.CheckConstraint("held >= 0", name="held"),
    sa.CheckConstraint("credit >= held", name="credit"),
)
reservations = sa.Table(
    "reservations",
    metadata,
    sa.Column("id", sa.String(22), primary_key=True, comment="128 random bits"),
    sa.Column("tenant_id", sa.String(100), nullable=False, index=True),
    sa.Column("subject", sa.String(100), nullable=False),
    sa.Column("plan", sa.String(40), nullable=False),
    sa.Column(
        "day", sa.String(10), nullable=False, comment="the day it counts for, also where it ends on the next"
    ),
    sa.Column("units", sa.Integer, nullable=False, comment="the model's weight"),
    sa.Column("unit_price", sa.BigInteger, nullable=False, comment="milli-cents"),
    sa.Column("charging", sa.String(10), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("created_at", Seconds, nullable=False),
    sa.Column("expires_at", Seconds, nullable=False),
    sa.Index("ix_reservations_state", "state", "expires_at"),
)
ledger_entries = sa.Table(
    "ledger_entries",
    metadata,
    sa.Column("id", Counting, primary_key=True, autoincrement=True),
    sa.Column("at", Seconds, nullable=False),
    sa.Column("tenant_id", sa.String(100), nullable=False, index=True),
    sa.Column("subject", sa.String(100), nullable=False, comment="the credential; empty where none was used"),
    sa.Column(
        "source", sa.String(20), nullable=False, comment="call, refund, grant, payment, fee, proration"
    ),
    sa.Column(
        "source_id",
        sa.String(100),
        nullable=False,
        comment="unique for that source: told twice, charged once",
    ),
    sa.Column("day", sa.String(10), nullable=False, comment="whose calls it counts"),
    sa.Column("calls", sa.Integer, nullable=False, comment="1 for a call, -1 for one given back, else 0"),
    sa.Column("from_account", sa.String(10), nullable=False),
    sa.Column("to_account", sa.String(10), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False, comment="milli-cents"),
    sa.Column("plan", sa.String(40), nullable=False),
    sa.Column("original_id", Counting, sa.ForeignKey("ledger_entries.id"), index=True, comment="of a refund"),
    sa.Column("note", sa.Text, nullable=False),
    sa.UniqueConstraint("source", "source_id"),
    sa.CheckConstraint("amount >= 0", name="amount"),
    sa.CheckConstraint("from_account <> to_account", name="accounts"),
)
"""Append-only: triggers refuse to change or delete a row. What was wrong is put right by another entry."""
subscriptions = sa.Table(
    "subscriptions",
    metadata,
    sa.Column("user_id", sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("plan", sa.String(40), nullable=False, comment="what is or was in force"),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("wanted_plan", sa.String(40), comment="asked for, not in force yet"),
    sa.Column("wanted_at", Seconds, comment="when it comes into force; null: when it is paid"),
    sa.Column(
        "due",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="milli-cents to pay for what is asked",
    ),
    sa.Column("period_start", Seconds, nullable=False),
    sa.Column("period_end", Seconds, nullable=False, index=True),
    sa.Column("grace_until", Seconds, comment="past due: when the plan goes"),
    sa.Column("provider", sa.String(10), nullable=False, comment="manual, stripe"),
    sa.Column("customer_ref", sa.String(100), index=True, comment="the provider's name for the user"),
    sa.Column("provider_ref", sa.String(100), index=True, comment="the provider's name for the subscription"),
    sa.Column(
        "version", sa.Integer, nullable=False, server_default="0", comment="counts the changes: two at once"
    ),
    sa.Column("updated_at", Seconds, nullable=False),
)
subscription_events = sa.Table(
    "subscription_events",
    metadata,
    sa.Column("id", Counting, primary_key=True, autoincrement=True),
    sa.Column("at", Seconds, nullable=False),
    sa.Column("user_id", sa.String(100), nullable=False, index=True),
    sa.Column(
        "kind", sa.String(30), nullable=False, comment="started, upgraded, renewed, payment_failed, ..."
    ),
    sa.Column("from_plan", sa.String(40)),
    sa.Column("to_plan", sa.String(40)),
    sa.Column("amount", sa.BigInteger, nullable=False, server_default="0", comment="milli-cents"),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
)
"""Append-only, by triggers as well."""
payment_inbox = sa.Table(
    "payment_inbox",
    metadata,
    sa.Column("provider", sa.String(10), primary_key=True),
    sa.Column("event_id", sa.String(100), primary_key=True),
    sa.Column("type", sa.String(100), nullable=False),
    sa.Column("body", sa.Text, nullable=False, comment="as it came; its signature was right"),
    sa.Column("received_at", Seconds, nullable=False),
    sa.Column("processed_at", Seconds, comment="null: still to do"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("run_at", Seconds, nullable=False),
    sa.Column("error", sa.Text),
    sa.Index("ix_payment_inbox_open", "processed_at", "run_at"),
)
"""What a payment provider told: stored before it is answered, worked through once, in any order."""
