"""Who takes money for plans: an admin who marks what was paid, or a payment service."""

from __future__ import annotations

from typing import Protocol

from magic_eraser.accounts.plans import Plan
from magic_eraser.errors import Conflict


class PaymentProvider(Protocol):
    """One way to pay. Calls go over the network, so none is made while a transaction is open; each may be made again
    where its answer was lost.

    Raises, all of them: `ProviderUnavailable` where it does not answer.
    """

    name: str
    """As in `subscriptions.provider`: manual, stripe."""

    async def checkout(self, user_id: str, email: str | None, plan: Plan, return_url: str) -> str | None:
        """Where the user goes to pay for a first period of the plan; None where nobody is asked to go anywhere.

        Args:
            email: of the user, where it is known.
            return_url: where the user comes back to.

        Raises:
            ValidationFailed: the plan cannot be bought there.
        """
        ...

    async def portal(self, customer_ref: str, return_url: str) -> str:
        """Where the user sees invoices and changes the card.

        Raises:
            Conflict: there is no such place.
        """
        ...

    async def change(self, provider_ref: str, plan: Plan, *, prorate: bool) -> None:
        """Another price for a running subscription, from now on.

        Args:
            prorate: charge the difference for what is left of the period at once (an upgrade); where False, nothing is
                charged or given back until the next period begins, which costs the new price (a downgrade: the plan in
                force stays until then, which is `Subscriptions`' business).

        Raises:
            ValidationFailed: the plan cannot be bought there.
        """
        ...

    async def cancel(self, provider_ref: str, *, at_once: bool = False) -> None:
        """Charge nothing any more.

        Args:
            at_once: end it now, without giving anything back; else at the end of the period.
        """
        ...

    async def resume(self, provider_ref: str) -> None:
        """Take back a `cancel` at the end of the period."""
        ...


class ManualProvider:
    """No service: whoever runs the server writes invoices and marks what was paid (docs/billing.md)."""

    name = "manual"

    async def checkout(self, user_id: str, email: str | None, plan: Plan, return_url: str) -> str | None:
        return None

    async def portal(self, customer_ref: str, return_url: str) -> str:
        raise Conflict(
            "Payments of this server are marked by its operator; there is no page to pay on.",
            "此服务器的付款由管理员登记，没有在线支付页面。",
        )

    async def change(self, provider_ref: str, plan: Plan, *, prorate: bool) -> None:
        return None

    async def cancel(self, provider_ref: str, *, at_once: bool = False) -> None:
        return None

    async def resume(self, provider_ref: str) -> None:
        return None
