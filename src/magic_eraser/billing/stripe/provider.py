"""Plans paid for at Stripe: its pages take the money, its webhooks tell of it (`inbox`)."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from magic_eraser.accounts.plans import Plan, Plans
from magic_eraser.billing.stripe import reading as stripe_reading
from magic_eraser.billing.stripe.link import MissingThere, StripeLink, intent_key, list_of
from magic_eraser.billing.stripe.reading import Reading, Unusable, id_of
from magic_eraser.billing.tables import SubscriptionState, subscriptions
from magic_eraser.db.database import Database
from magic_eraser.errors import Conflict, PaymentRequired, ValidationFailed
from magic_eraser.settings import BillingSettings

NAME = "stripe"
LEAST_LEFT = 1800.0
"""Seconds that a page for paying must still be open for, to be shown again. Stripe closes them after a day."""
RUNNING = frozenset({SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE})


@dataclass(frozen=True, slots=True)
class _Known:
    """Stripe's names in our database; empty where there are none."""

    customer: str = ""
    subscription: str = ""


class StripeProvider:
    """A `PaymentProvider`.

    Args:
        link: the account at Stripe.
        database: has the customers of users who have bought before.
        plans: whose prices are those at Stripe.
    """

    name = NAME

    def __init__(self, link: StripeLink, database: Database, plans: Plans) -> None:
        self._link = link
        self._database = database
        self._plans = plans

    @classmethod
    def from_settings(cls, billing: BillingSettings, database: Database, plans: Plans) -> StripeProvider:
        """By `ERASER_BILLING__STRIPE_KEY`. Asks nobody yet.

        Raises:
            SettingsError: the library or the key is missing, or cannot be used.
        """
        link = StripeLink(billing.stripe_key.get_secret_value(), api_base=billing.stripe_api_base)
        return cls(link, database, plans)

    @property
    def livemode(self) -> bool | None:
        """Whether money is real; None where the key does not say."""
        return self._link.livemode

    async def close(self) -> None:
        """Let go of connections and threads."""
        await self._link.close()

    async def checkout(self, user_id: str, email: str | None, plan: Plan, return_url: str) -> str:
        """The page where the user pays for a first period. Asked again, it is the same page while that is open; one for
        another plan is closed first, so that nobody pays twice.

        Raises:
            ValidationFailed: the plan has no price at Stripe, or Stripe does not know it.
            Conflict: there is a subscription already.
            ProviderUnavailable: Stripe does not answer.
        """
        price = _price(plan)
        known = await self._known(user_id)
        await self._refuse_second(known.subscription)
        customer = known.customer or await self._new_customer(user_id, email)
        try:
            return await self._page(customer, user_id, plan, price, return_url)
        except MissingThere as missing:
            if missing.param != "customer":
                raise _unknown_price(plan) from None
        # deleted at Stripe, or known from the time of a test key
        customer = await self._new_customer(user_id, email, instead_of=customer)
        try:
            return await self._page(customer, user_id, plan, price, return_url)
        except MissingThere:
            raise _unknown_price(plan) from None

    async def portal(self, customer_ref: str, return_url: str) -> str:
        """The page where the user sees invoices and changes the card.

        Raises:
            Conflict: Stripe knows no such customer, or has no such page set up.
            ProviderUnavailable: Stripe does not answer.
        """
        asked = {"customer": customer_ref, "return_url": return_url}
        try:
            page = await self._link.ask(lambda client: client.v1.billing_portal.sessions.create(asked))
        except MissingThere:
            raise Conflict(
                "Stripe does not know this customer any more; buy a plan again.",
                "Stripe 中已没有该客户；请重新购买套餐。",
            ) from None
        return str(page["url"])

    async def change(self, provider_ref: str, plan: Plan, *, prorate: bool) -> None:
        """Another price for a running subscription. An upgrade is in force at Stripe only once its difference is paid.

        Raises:
            PaymentRequired: the card was refused, or wants to be confirmed; `pay_url` is where that is done.
            ValidationFailed: see `checkout`.
            Conflict: the subscription is over.
            ProviderUnavailable: Stripe does not answer.
        """
        price = _price(plan)
        had = await self._running(provider_ref)
        if prorate and had.pending_price == price:
            raise await self._unpaid(had)
        if had.price == price and not had.pending_price:
            return
        asked: dict[str, Any] = {
            "items": [{"id": had.item, "price": price}],
            "metadata": {"plan": plan.id, "price": price},
            "proration_behavior": "none",
        }
        options = {}
        if prorate:
            asked |= {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}
            # each upgrade makes an invoice: the next one is another intent
            options["idempotency_key"] = intent_key(
                "upgrade", provider_ref, had.price, price, had.latest_invoice
            )
        try:
            answer = await self._link.ask(
                lambda client: client.v1.subscriptions.update(provider_ref, asked, options)
            )
        except MissingThere:
            raise _unknown_price(plan) from None
        now = stripe_reading.subscription(answer, self._plans.book)
        if prorate and now.price != price:
            raise await self._unpaid(now)

    async def cancel(self, provider_ref: str, *, at_once: bool = False) -> None:
        """Charge nothing any more; see `PaymentProvider`. One that is over stays so."""
        had = await self._look_at(provider_ref)
        if had is None or had.state is SubscriptionState.ENDED:
            return
        asked = {"cancel_at_period_end": True}
        with suppress(MissingThere):  # it ended at this moment
            if at_once:
                await self._link.ask(lambda client: client.v1.subscriptions.cancel(provider_ref))
            elif not had.cancel_at_end:
                await self._link.ask(lambda client: client.v1.subscriptions.update(provider_ref, asked))

    async def resume(self, provider_ref: str) -> None:
        """Take back a `cancel` at the end of the period.

        Raises:
            Conflict: it is over.
            ProviderUnavailable: Stripe does not answer.
        """
        had = await self._running(provider_ref)
        if not had.cancel_at_end:
            return
        asked = {"cancel_at_period_end": False} if had.cancel_flag else {"cancel_at": ""}
        await self._link.ask(lambda client: client.v1.subscriptions.update(provider_ref, asked))

    async def subscription(self, provider_ref: str) -> Reading:
        """As Stripe has it now.

        Raises:
            MissingThere: it has none of that name.
            Unusable: see `reading.subscription`.
            ProviderUnavailable: Stripe does not answer.
        """
        answer = await self._link.ask(lambda client: client.v1.subscriptions.retrieve(provider_ref))
        return stripe_reading.subscription(answer, self._plans.book)

    async def _running(self, provider_ref: str) -> Reading:
        had = await self._look_at(provider_ref)
        if had is None or had.state is SubscriptionState.ENDED:
            raise Conflict(
                "This subscription is over at Stripe; buy a plan again.",
                "该订阅在 Stripe 已结束；请重新购买套餐。",
            )
        return had

    async def _look_at(self, provider_ref: str) -> Reading | None:
        """None where Stripe has none of that name."""
        try:
            return await self.subscription(provider_ref)
        except MissingThere:
            return None
        except Unusable as error:
            raise Conflict(str(error), f"Stripe 中的订阅 {provider_ref} 处于未知状态。") from None

    async def _known(self, user_id: str) -> _Known:
        column = subscriptions.c
        query = sa.select(column.customer_ref, column.provider_ref, column.state).where(
            column.user_id == user_id, column.provider == NAME
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            return _Known()
        over = row.state == SubscriptionState.ENDED
        return _Known(row.customer_ref or "", "" if over else row.provider_ref or "")

    async def _refuse_second(self, provider_ref: str) -> None:
        had = await self._look_at(provider_ref) if provider_ref else None
        if had is not None and had.state in RUNNING:
            raise Conflict(
                "There is a subscription at Stripe already; change that one, or cancel it first.",
                "Stripe 中已有订阅；请修改现有订阅，或先取消。",
            )

    async def _new_customer(self, user_id: str, email: str | None, *, instead_of: str = "") -> str:
        asked: dict[str, Any] = {"metadata": {"user_id": user_id}}
        if email:
            asked["email"] = email
        options = {"idempotency_key": intent_key("customer", asked, instead_of)}
        return id_of(await self._link.ask(lambda client: client.v1.customers.create(asked, options)))

    async def _page(self, customer: str, user_id: str, plan: Plan, price: str, return_url: str) -> str:
        told = {"user_id": user_id, "plan": plan.id, "price": price}
        listed = {"customer": customer, "limit": 10}
        pages = list_of(await self._link.ask(lambda client: client.v1.checkout.sessions.list(listed)))
        paid = next((page for page in pages if page["status"] == "complete"), None)
        if paid is not None:  # its webhook may still be on its way
            await self._refuse_second(id_of(paid.get("subscription")))
        for page in pages:
            if page["status"] != "open":
                continue
            lasts = page["expires_at"] - time.time() > LEAST_LEFT
            if lasts and page["metadata"] == told and page["success_url"] == return_url:
                return str(page["url"])
            await self._close_page(page["id"])
        asked = {
            "mode": "subscription",
            "customer": customer,
            "client_reference_id": user_id,
            "line_items": [{"price": price, "quantity": 1}],
            "success_url": return_url,
            "cancel_url": return_url,
            "metadata": told,
            "subscription_data": {"metadata": told},
        }
        newest = pages[0]["id"] if pages else ""  # the page after this one is another intent
        options = {"idempotency_key": intent_key("checkout", asked, newest)}
        made = await self._link.ask(lambda client: client.v1.checkout.sessions.create(asked, options))
        return str(made["url"])

    async def _close_page(self, page: str) -> None:
        with suppress(MissingThere, Conflict):  # it was paid or closed at this moment
            await self._link.ask(lambda client: client.v1.checkout.sessions.expire(page))

    async def _unpaid(self, had: Reading) -> PaymentRequired:
        try:
            invoice = await self._link.ask(lambda client: client.v1.invoices.retrieve(had.latest_invoice))
            url = invoice.get("hosted_invoice_url")
        except MissingThere:
            url = None
        return PaymentRequired(
            "The card was refused, or its bank wants a confirmation: the plan changes once the difference is paid.",
            "银行卡被拒绝，或需要银行确认：付清差额后套餐才会变更。",
            extra={"pay_url": url} if url else None,
        )


def _price(plan: Plan) -> str:
    if not plan.stripe_price:
        raise ValidationFailed(
            f'The plan "{plan.id}" cannot be bought online; ask the operator.',
            f"套餐“{plan.title_zh}”无法在线购买，请联系管理员。",
        )
    return plan.stripe_price


def _unknown_price(plan: Plan) -> ValidationFailed:
    return ValidationFailed(
        f'Stripe does not know the price of the plan "{plan.id}" ({plan.stripe_price}); its operator has to look '
        "after that.",
        f"Stripe 中没有套餐“{plan.title_zh}”的价格（{plan.stripe_price}），需由管理员处理。",
    )
