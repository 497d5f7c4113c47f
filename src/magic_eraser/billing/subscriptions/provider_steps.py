"""What a payment provider is told when a user wants another plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from magic_eraser.accounts.plans import Plan
from magic_eraser.billing.payments import PaymentProvider
from magic_eraser.billing.subscriptions.changes import Subscriber


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to tell.

    Attributes:
        what: checkout, change, resume, cancel (with the period), cancel_now.
        plan: to be bought or changed to.
        prorate: see `PaymentProvider.change`.
    """

    what: str
    plan: Plan | None = None
    prorate: bool = False


async def take(
    provider: PaymentProvider, who: Subscriber, steps: Iterable[Step], return_url: str
) -> str | None:
    """Tell it, one after the other. Each may be told again.

    Returns:
        Where the user goes to pay; None where there is no such place.
    """
    url = None
    ref = (who.subscription and who.subscription.provider_ref) or ""
    for step in steps:
        if step.what == "checkout" and step.plan is not None:
            url = await provider.checkout(who.user_id, who.email, step.plan, return_url)
        elif step.what == "change" and step.plan is not None:
            await provider.change(ref, step.plan, prorate=step.prorate)
        elif step.what == "resume":
            await provider.resume(ref)
        else:
            await provider.cancel(ref, at_once=step.what == "cancel_now")
    return url
