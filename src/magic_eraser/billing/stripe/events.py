"""What an event of Stripe's makes us do: ask how the subscription is now. So the order of events does not matter."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.plans import Plans
from magic_eraser.billing.stripe import reading as stripe_reading
from magic_eraser.billing.stripe.link import MissingThere
from magic_eraser.billing.stripe.provider import NAME, RUNNING, StripeProvider
from magic_eraser.billing.stripe.reading import Reading, Unusable
from magic_eraser.billing.subscriptions.subscription import ProviderState
from magic_eraser.billing.subscriptions.subscriptions import Subscriptions
from magic_eraser.billing.tables import subscriptions as rows
from magic_eraser.db.base import now
from magic_eraser.db.database import Database
from magic_eraser.errors import NotFound

PAID = "invoice.paid"
OF_INTEREST = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "customer.subscription.pending_update_applied",
        "customer.subscription.pending_update_expired",
        PAID,
        "invoice.payment_failed",
    }
)
"""Types of events that are worked on."""


class StripeEvents:
    """Works on one event.

    Args:
        database: knows whose subscription it is.
        plans: for the currency.
        provider: asked how the subscription is now.
        subscriptions: told of it.
    """

    def __init__(
        self, database: Database, plans: Plans, provider: StripeProvider, subscriptions: Subscriptions
    ) -> None:
        self._database = database
        self._plans = plans
        self._provider = provider
        self._subscriptions = subscriptions

    async def work_on(self, event: dict[str, Any]) -> None:
        """May be done again, and at the same time as another one.

        Raises:
            Unusable: a person has to look at it. What could be done was done.
            ProviderUnavailable, StorageUnavailable, StorageFull: later.
            Conflict: somebody else changed the subscription at this moment.
        """
        self._check_mode(event)
        thing = event["data"]["object"]
        ref = stripe_reading.subscription_of(thing)
        if not ref:
            return  # what else is sold there
        async with self._database.read() as connection:
            as_of = float((await connection.execute(sa.select(now()))).scalar_one())
        reading = await self._ask(ref)
        user_id = await self._user_of(reading)
        before = await self._subscriptions.get(user_id)
        await self._apply(user_id, reading, as_of)
        if event["type"] == PAID:
            await self._post(user_id, reading, thing)
        if reading.state in RUNNING:
            _check_plan(reading, user_id)
            if before is not None and before.begun and before.provider == NAME:
                await self._check_single(user_id, before.provider_ref, ref)

    def _check_mode(self, event: dict[str, Any]) -> None:
        ours, its = self._provider.livemode, event.get("livemode")
        if ours is not None and its is not None and its != ours:
            names = {True: "live", False: "test"}
            raise Unusable(
                f"The event is of Stripe's {names[bool(its)]} mode, and the key of this server of its "
                f"{names[ours]} mode: key and signing secret have to be of the same."
            )

    async def _ask(self, ref: str) -> Reading:
        try:
            return await self._provider.subscription(ref)
        except MissingThere:
            raise Unusable(f"Stripe knows no subscription {ref} for the key of this server.") from None

    async def _user_of(self, reading: Reading) -> str:
        query = sa.select(rows.c.user_id)
        by_ref = query.where(rows.c.provider == NAME, rows.c.provider_ref == reading.ref)
        by_customer = query.where(rows.c.provider == NAME, rows.c.customer_ref == reading.customer)
        async with self._database.read() as connection:
            known = await connection.scalar(by_ref)
            user_id = known or reading.user_id or await connection.scalar(by_customer)
        if not user_id:
            raise Unusable(
                f"The subscription {reading.ref} is nobody's here: it was not bought through this server. If it should "
                "be somebody's, write their id into its metadata at Stripe as user_id, and have this event done again."
            )
        if known and reading.user_id and known != reading.user_id:
            raise Unusable(
                f'The subscription {reading.ref} is that of "{known}" here and of "{reading.user_id}" by its metadata.'
            )
        return str(user_id)

    async def _apply(self, user_id: str, reading: Reading, as_of: float) -> None:
        state = ProviderState(
            plan_id=reading.plan_id,
            status=reading.state,
            period_start=reading.period_start,
            period_end=reading.period_end,
            cancel_at_end=reading.cancel_at_end,
            provider_ref=reading.ref,
            customer_ref=reading.customer,
            as_of=as_of,
        )
        try:
            await self._subscriptions.apply_provider_state(user_id, state)
        except NotFound:
            raise Unusable(
                f'The subscription {reading.ref} is of the user "{user_id[:100]}", who is not here.'
            ) from None

    async def _post(self, user_id: str, reading: Reading, thing: dict[str, Any]) -> None:
        invoice = stripe_reading.paid_invoice(thing)
        if invoice.amount <= 0:
            return
        amount = stripe_reading.millicents(invoice.amount, invoice.currency)
        currency = self._plans.book.currency
        if invoice.currency != currency:
            raise Unusable(
                f"The invoice {invoice.id} was paid in {invoice.currency} ({to_text(amount)}), and the plans of this "
                f"server are in {currency}: the subscription is up to date, but the payment is not in the ledger."
            )
        note = f"Stripe {invoice.id} {reading.ref}"
        await self._subscriptions.invoice_paid(
            user_id, amount=amount, reference=invoice.id, actor=NAME, note=note
        )

    async def _check_single(self, user_id: str, known: str | None, ref: str) -> None:
        if known is None or known == ref:
            return
        try:
            other = await self._provider.subscription(known)
        except MissingThere:
            return
        if other.state in RUNNING:
            raise Unusable(
                f'"{user_id}" pays for two subscriptions at Stripe, {known} and {ref}: cancel one there, and give its '
                "money back."
            )


def _check_plan(reading: Reading, user_id: str) -> None:
    if not reading.plan_id:
        raise Unusable(
            f'"{user_id}" pays for the price {reading.price} ({reading.ref}), which is that of no plan: write it into '
            "the plans file as stripe_price, and have this event done again."
        )
