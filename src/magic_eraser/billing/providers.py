"""Which payment provider the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magic_eraser.accounts.plans import Plans
from magic_eraser.db.database import Database
from magic_eraser.settings import BillingSettings

if TYPE_CHECKING:
    from magic_eraser.billing.stripe.provider import StripeProvider


def stripe_of(billing: BillingSettings, database: Database, plans: Plans) -> StripeProvider | None:
    """None where payments are marked by an admin; imports the library otherwise.

    Raises:
        SettingsError: see `StripeProvider.from_settings`.
    """
    if billing.provider != "stripe":
        return None
    from magic_eraser.billing.stripe.provider import StripeProvider

    return StripeProvider.from_settings(billing, database, plans)
