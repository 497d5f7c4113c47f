"""Everything of users, keys, calls and money, joined."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from magic_eraser.accounts.keys import pepper
from magic_eraser.accounts.keys.keys import Keys, foreign_keys
from magic_eraser.accounts.keys.pepper import Pepper
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.sign_in import SignIn
from magic_eraser.accounts.tokens.tokens import Tokens
from magic_eraser.accounts.users import Users
from magic_eraser.billing.calls.database_quota import DatabaseQuota
from magic_eraser.billing.ledger import Ledger
from magic_eraser.billing.payments import ManualProvider, PaymentProvider
from magic_eraser.billing.providers import stripe_of
from magic_eraser.billing.subscriptions.subscriptions import Subscriptions
from magic_eraser.db.database import Database
from magic_eraser.errors import EraserError, SettingsError
from magic_eraser.settings import Settings
from magic_eraser.telemetry.logging import get_logger
from magic_eraser.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from magic_eraser.billing.stripe.inbox import StripeInbox
    from magic_eraser.billing.stripe.provider import StripeProvider


log = get_logger(__name__)

MARGIN = 30.0
"""Seconds from a call's deadline to its charge, at most: decoding before and the database after it."""


@dataclass(slots=True)
class Accounts:
    """One of each; a server that asks nobody who they are has none."""

    database: Database
    pepper: Pepper
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
    stripe: StripeProvider | None
    """The provider, where it has something to close."""

    async def open(self) -> None:
        """Begin what runs beside the requests, and say what an operator should know."""
        foreign = await foreign_keys(self.database, self.pepper)
        if foreign:
            log.warning("keys_of_another_pepper", keys=foreign)
        if self.inbox is not None:
            self.inbox.start()

    async def close(self) -> None:
        """End it, and write down when keys were last used."""
        if self.inbox is not None:
            await self.inbox.stop()
        if self.stripe is not None:
            await self.stripe.close()
        with suppress(EraserError):  # the database is away: it is known to the minute before
            await self.keys.write_uses()


def build_accounts(settings: Settings, database: Database, plans: Plans, metrics: Metrics) -> Accounts:
    """One of each. Reads the pepper of keys, or makes it.

    Raises:
        SettingsError: holds would end before calls do; a secret is missing, too short, or lies open for others to read.
    """
    auth, billing = settings.auth, settings.billing
    if billing.hold_seconds < settings.queue.deadline_seconds + MARGIN:
        raise SettingsError(
            "ERASER_BILLING__HOLD_SECONDS is too short: a call may take ERASER_QUEUE__DEADLINE_SECONDS "
            f"({settings.queue.deadline_seconds:g}), and {MARGIN:g} more to be charged."
        )
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    users = Users(database, plans)
    secret = pepper.load(auth, settings.data_dir, is_sqlite=database.is_sqlite)
    keys = Keys(database, secret)
    ledger = Ledger(database, plans, on_event=metrics.quota_event)
    stripe = stripe_of(billing, database, plans)
    provider: PaymentProvider = stripe or ManualProvider()
    subscriptions = Subscriptions(
        database, plans, ledger, provider=provider, grace_days=billing.grace_days, forget=users.forget
    )
    inbox = None
    if stripe is not None:
        from magic_eraser.billing.stripe.inbox import StripeInbox

        inbox = StripeInbox.from_settings(billing, database, plans, stripe, subscriptions)
    return Accounts(
        database=database,
        pepper=secret,
        plans=plans,
        users=users,
        keys=keys,
        sign_in=SignIn(auth.mode, [keys, Tokens(auth)], users, plans),
        ledger=ledger,
        quota=DatabaseQuota(database, plans, hold_seconds=billing.hold_seconds, on_event=metrics.quota_event),
        provider=provider,
        subscriptions=subscriptions,
        inbox=inbox,
        stripe=stripe,
    )
