"""What a subscription is, ours and as a payment service has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from magic_eraser.billing.tables import SubscriptionState

MANUAL = "manual"
"""`provider` of subscriptions whose payments an admin marks; the others renew themselves at their provider."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A user's subscription. Moments are seconds since 1970 by the database's clock.

    Attributes:
        plan: what is in force, or was until it ended; the user's plan, where it has not begun.
        wanted_plan: asked for and not in force yet; None for no wish.
        wanted_at: when that comes into force; None: when it is paid, or when the provider says so.
        due: milli-cents to pay; 0 for nothing.
        period_start, period_end: what is paid for; None where it has not begun.
        grace_until: past due: when the plan goes.
        provider: manual, stripe.
        customer_ref, provider_ref: the provider's names for the user and the subscription.
        version: counts the changes.
        checkout_url: where to pay, in the answer to `Subscriptions.request` only.
    """

    user_id: str
    plan: str
    state: SubscriptionState
    provider: str
    wanted_plan: str | None = None
    wanted_at: float | None = None
    due: int = 0
    period_start: float | None = None
    period_end: float | None = None
    grace_until: float | None = None
    customer_ref: str | None = None
    provider_ref: str | None = None
    version: int = 0
    updated_at: float = 0.0
    checkout_url: str | None = None

    @property
    def begun(self) -> bool:
        """Whether a period was ever paid for, and it has not ended."""
        return self.state is not SubscriptionState.ENDED and self.period_end is not None

    def runs(self, at: float) -> bool:
        """Whether a moment lies in the period that was paid for."""
        return self.begun and self.period_end is not None and at < self.period_end


@dataclass(frozen=True, slots=True)
class ProviderState:
    """What a provider says of a subscription now.

    Attributes:
        plan_id: ours, by the price that it has there; one that is not in the book changes no plan.
        status: AWAITING: not paid for the first time yet; ENDED: nothing is charged any more.
        period_start, period_end: seconds since 1970.
        cancel_at_end: it ends with the period.
        provider_ref, customer_ref: its names for the subscription and the user.
        as_of: seconds since 1970 by the database's clock, taken before the provider was asked.
    """

    plan_id: str
    status: SubscriptionState
    period_start: float
    period_end: float
    cancel_at_end: bool
    provider_ref: str
    customer_ref: str
    as_of: float


def of_row(row: Any) -> Subscription:
    """A subscription as it was read."""
    begun = row.period_end > row.period_start
    return Subscription(
        user_id=row.user_id,
        plan=row.plan,
        state=SubscriptionState(row.state),
        provider=row.provider,
        wanted_plan=row.wanted_plan,
        wanted_at=row.wanted_at,
        due=row.due,
        period_start=row.period_start if begun else None,
        period_end=row.period_end if begun else None,
        grace_until=row.grace_until,
        customer_ref=row.customer_ref,
        provider_ref=row.provider_ref,
        version=row.version,
        updated_at=row.updated_at,
    )
