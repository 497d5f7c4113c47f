"""Users, keys, the audit log; calls and money; subscriptions; what usage events tell beside."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

COUNTING = sa.BigInteger().with_variant(sa.Integer, "sqlite")
APPEND_ONLY = ("audit_log", "ledger_entries", "subscription_events")
MADE = (
    "users",
    "api_keys",
    "audit_log",
    "quota_days",
    "wallets",
    "reservations",
    "ledger_entries",
    "subscriptions",
    "subscription_events",
    "payment_inbox",
)
TOLD = ("day", "plan", "amount", "cached", "pixels", "seconds")


def upgrade() -> None:
    _users()
    _api_keys()
    _audit_log()
    _quota_days()
    _wallets()
    _reservations()
    _ledger_entries()
    _subscriptions()
    _subscription_events()
    _payment_inbox()
    _columns()
    for table in APPEND_ONLY:
        _refuse_changes(table)


def downgrade() -> None:
    for table in reversed(MADE):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")
    op.drop_index("ix_usage_events_day", "usage_events")
    with op.batch_alter_table("usage_events") as batch:
        for column in TOLD:
            batch.drop_column(column)
    with op.batch_alter_table("job_items") as batch:
        batch.drop_column("reservation_id")


def _columns() -> None:
    op.add_column("job_items", sa.Column("reservation_id", sa.String(22)))
    for column in (
        sa.Column("day", sa.String(10)),
        sa.Column("plan", sa.String(40)),
        sa.Column("amount", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("cached", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("pixels", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("seconds", sa.Double, nullable=False, server_default="0"),
    ):
        op.add_column("usage_events", column)
    op.create_index("ix_usage_events_day", "usage_events", ["tenant_id", "day"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute("UPDATE usage_events SET day = date(at, 'unixepoch')")
    else:
        op.execute("UPDATE usage_events SET day = to_char(to_timestamp(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD')")


def _refuse_changes(table: str) -> None:
    """Rows are added and never changed, whoever asks."""
    if op.get_bind().dialect.name == "sqlite":
        for deed in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{deed.lower()} BEFORE {deed} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("email", sa.String(254)),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("disabled_at", sa.Double),
        sa.Column("tokens_after", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
    )


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("user_id", sa.String(100), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("pepper_id", sa.String(8), nullable=False),
        sa.Column("ending", sa.String(4), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("made_by", sa.String(100), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
        sa.Column("last_used_at", sa.Double),
        sa.Column("replaced_by", sa.String(22)),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])


def _audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", COUNTING, autoincrement=True, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("target", sa.String(200), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_action", "audit_log", ["action"])
    op.create_index("ix_audit_log_target", "audit_log", ["target"])


def _quota_days() -> None:
    op.create_table(
        "quota_days",
        sa.Column("tenant_id", sa.String(100), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("held", sa.BigInteger, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.CheckConstraint("held >= 0", name="ck_quota_days_held"),
        sa.CheckConstraint("used >= 0", name="ck_quota_days_used"),
        sa.PrimaryKeyConstraint("tenant_id", "day", name="pk_quota_days"),
    )


def _wallets() -> None:
    op.create_table(
        "wallets",
        sa.Column("tenant_id", sa.String(100), nullable=False),
        sa.Column("credit", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("owed", sa.BigInteger, server_default="0", nullable=False),
        sa.CheckConstraint("credit >= held", name="ck_wallets_credit"),
        sa.CheckConstraint("held >= 0", name="ck_wallets_held"),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_wallets"),
    )


def _reservations() -> None:
    op.create_table(
        "reservations",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("tenant_id", sa.String(100), nullable=False),
        sa.Column("subject", sa.String(100), nullable=False),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("units", sa.Integer, nullable=False),
        sa.Column("unit_price", sa.BigInteger, nullable=False),
        sa.Column("charging", sa.String(10), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reservations"),
    )
    op.create_index("ix_reservations_state", "reservations", ["state", "expires_at"])
    op.create_index("ix_reservations_tenant_id", "reservations", ["tenant_id"])


def _ledger_entries() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("id", COUNTING, autoincrement=True, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("tenant_id", sa.String(100), nullable=False),
        sa.Column("subject", sa.String(100), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("source_id", sa.String(100), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("from_account", sa.String(10), nullable=False),
        sa.Column("to_account", sa.String(10), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("original_id", COUNTING),
        sa.Column("note", sa.Text, nullable=False),
        sa.CheckConstraint("amount >= 0", name="ck_ledger_entries_amount"),
        sa.CheckConstraint("from_account <> to_account", name="ck_ledger_entries_accounts"),
        sa.ForeignKeyConstraint(["original_id"], ["ledger_entries.id"], name="fk_ledger_entries_original_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_entries"),
        sa.UniqueConstraint("source", "source_id", name="uq_ledger_entries_source_source_id"),
    )
    op.create_index("ix_ledger_entries_original_id", "ledger_entries", ["original_id"])
    op.create_index("ix_ledger_entries_tenant_id", "ledger_entries", ["tenant_id"])


def _subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("user_id", sa.String(100), nullable=False),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("wanted_plan", sa.String(40)),
        sa.Column("wanted_at", sa.Double),
        sa.Column("due", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("period_start", sa.Double, nullable=False),
        sa.Column("period_end", sa.Double, nullable=False),
        sa.Column("grace_until", sa.Double),
        sa.Column("provider", sa.String(10), nullable=False),
        sa.Column("customer_ref", sa.String(100)),
        sa.Column("provider_ref", sa.String(100)),
        sa.Column("version", sa.Integer, server_default="0", nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_subscriptions_user_id"),
        sa.PrimaryKeyConstraint("user_id", name="pk_subscriptions"),
    )
    op.create_index("ix_subscriptions_customer_ref", "subscriptions", ["customer_ref"])
    op.create_index("ix_subscriptions_period_end", "subscriptions", ["period_end"])
    op.create_index("ix_subscriptions_provider_ref", "subscriptions", ["provider_ref"])


def _subscription_events() -> None:
    op.create_table(
        "subscription_events",
        sa.Column("id", COUNTING, autoincrement=True, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("user_id", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("from_plan", sa.String(40)),
        sa.Column("to_plan", sa.String(40)),
        sa.Column("amount", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subscription_events"),
    )
    op.create_index("ix_subscription_events_user_id", "subscription_events", ["user_id"])


def _payment_inbox() -> None:
    op.create_table(
        "payment_inbox",
        sa.Column("provider", sa.String(10), nullable=False),
        sa.Column("event_id", sa.String(100), nullable=False),
        sa.Column("type", sa.String(100), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("processed_at", sa.Double),
        sa.Column("attempts", sa.Integer, server_default="0", nullable=False),
        sa.Column("run_at", sa.Double, nullable=False),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("provider", "event_id", name="pk_payment_inbox"),
    )
    op.create_index("ix_payment_inbox_open", "payment_inbox", ["processed_at", "run_at"])
