"""Everything of users, keys, calls and money, joined. Does no I/O; `Accounts.open` reads what must be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from magic_eraser.accounts import pepper
from magic_eraser.accounts.keys import Keys
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.sign_in import SignIn
from magic_eraser.accounts.tokens import Tokens
from magic_eraser.accounts.users import Users
from magic_eraser.billing.calls import DatabaseQuota
from magic_eraser.billing.ledger import Ledger
from magic_eraser.billing.payments import ManualProvider, PaymentProvider
from magic_eraser.billing.subscriptions import Subscriptions
from magic_eraser.db.database import Database
from magic_eraser.settings import Settings
from magic_eraser.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from magic_eraser.billing.stripe_inbox import StripeInbox


@dataclass(slots=True)
class Accounts:
    """One of each; a server that asks nobody who they are has none."""

    plans: Plans
    users: Users
    keys: Keys
    sign_in: SignIn
    ledger: Ledger
    provider: PaymentProvider
    quota: DatabaseQuota
    subscriptions: Subscriptions
    inbox: StripeInbox | None
    """None where nobody but an admin tells of payments."""


def build_accounts(settings: Settings, database: Database, plans: Plans, metrics: Metrics) -> Accounts:
    """One of each. Reads the pepper of keys, or makes it.

    Raises:
        SettingsError: a secret is missing, too short, or lies open for others to read.
    """
    auth, billing = settings.auth, settings.billing
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    users = Users(database, plans)
    keys = Keys(database, pepper.load(auth, settings.data_dir, is_sqlite=database.is_sqlite))
    ledger = Ledger(database, plans, on_event=metrics.quota_event)
    provider: PaymentProvider = ManualProvider()
    subscriptions = Subscriptions(
        database, plans, ledger, provider=provider, grace_days=billing.grace_days, forget=users.forget
    )
    return Accounts(
        plans=plans,
        users=users,
        keys=keys,
        sign_in=SignIn(auth.mode, [keys, Tokens(auth)], users, plans),
        ledger=ledger,
        quota=DatabaseQuota(database, plans, hold_seconds=billing.hold_seconds, on_event=metrics.quota_event),
        provider=provider,
        subscriptions=subscriptions,
        inbox=None,
    )
