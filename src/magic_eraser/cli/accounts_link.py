"""Users and keys of the settings' database, for verbs that a person at the machine types."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from magic_eraser.accounts.keys.keys import Keys
from magic_eraser.accounts.keys.pepper import load
from magic_eraser.accounts.plan_files.plan_file import read
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.users import Users
from magic_eraser.cli.current_database import current_database
from magic_eraser.db.database import Database
from magic_eraser.errors import ValidationFailed
from magic_eraser.settings import Settings

if TYPE_CHECKING:
    from magic_eraser.billing.subscriptions.subscriptions import Subscriptions

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Link:
    """What such a verb works with.

    Attributes:
        actor: who types, as the audit log names it: `cli:NAME`.
    """

    settings: Settings
    database: Database
    plans: Plans
    users: Users
    actor: str

    def keys(self) -> Keys:
        """Raises `SettingsError`: see `pepper.load`."""
        pepper = load(self.settings.auth, self.settings.data_dir, is_sqlite=self.database.is_sqlite)
        return Keys(self.database, pepper)

    @asynccontextmanager
    async def subscriptions(self) -> AsyncIterator[Subscriptions]:
        """As the server has them, with its way to be paid; open for the block."""
        from magic_eraser.billing.ledger import Ledger
        from magic_eraser.billing.payments import ManualProvider
        from magic_eraser.billing.subscriptions.subscriptions import Subscriptions

        billing, stripe = self.settings.billing, None
        if billing.provider == "stripe":
            from magic_eraser.billing.stripe.provider import StripeProvider

            stripe = StripeProvider.from_settings(billing, self.database, self.plans)
        try:
            yield Subscriptions(
                self.database,
                self.plans,
                Ledger(self.database, self.plans),
                provider=stripe or ManualProvider(),
                grace_days=billing.grace_days,
                forget=self.users.forget,
            )
        finally:
            if stripe is not None:
                await stripe.close()


@asynccontextmanager
async def link() -> AsyncIterator[Link]:
    """Open for the block. `ValidationFailed` within it becomes wrong usage: exit 2.

    Raises:
        SettingsError: see `Settings.load`, `plan_file.read` and `current_database`.
    """
    settings = Settings.load()
    plans = Plans(read(settings.plans_file))
    async with current_database(settings, make=True) as database:
        try:
            yield Link(settings, database, plans, Users(database, plans), f"cli:{_who()}")
        except ValidationFailed as error:
            raise typer.BadParameter(error.detail) from None


def through(work: Callable[[Link], Coroutine[Any, Any, Result]]) -> Result:
    """What the work gives, done in an event loop of its own."""

    async def linked() -> Result:
        async with link() as here:
            return await work(here)

    return asyncio.run(linked())


def moment(at: float | None) -> str | None:
    """Seconds since 1970 as `2026-11-24T08:30:00Z`; None stays so."""
    if at is None:
        return None
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")


def _who() -> str:
    try:
        return getpass.getuser()[:100]
    except (KeyError, OSError):  # in a container, where the number of the user has no name
        return "unknown"
