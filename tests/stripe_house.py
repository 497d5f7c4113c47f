"""Subscriptions on a real database that are paid for at the stand-in for Stripe, by Stripe's own library."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.plan_files.plan_file import read
from magic_eraser.accounts.plans import PlanBook, Plans
from magic_eraser.accounts.tables import users
from magic_eraser.billing.invariants import check
from magic_eraser.billing.ledger import Ledger
from magic_eraser.billing.stripe.inbox import StripeInbox
from magic_eraser.billing.stripe.link import StripeLink
from magic_eraser.billing.stripe.provider import StripeProvider
from magic_eraser.billing.subscriptions.subscription import Subscription
from magic_eraser.billing.subscriptions.subscriptions import Subscriptions
from magic_eraser.billing.tables import ledger_entries, payment_inbox, subscription_events
from magic_eraser.db.base import now
from magic_eraser.db.database import Database
from stripe_stand_in import KEY, SECRET, StripeStandIn, signed

PRICES = {"price_basic": 2900, "price_pro": 9900, "price_enterprise": 29900, "price_old": 1900}
"""Cents a month; the last one is that of no plan."""
BACK = "https://eraser.example/"


def book() -> PlanBook:
    """The plans that come with the program, for sale."""
    plain = read(None)
    sold = {
        each.id: replace(each, stripe_price=f"price_{each.id}") for each in plain.plans.values() if each.price
    }
    return replace(plain, plans={**plain.plans, **sold})


@dataclass
class House:
    """One server."""

    url: str
    stripe: StripeStandIn
    database: Database
    plans: Plans
    provider: StripeProvider
    subscriptions: Subscriptions
    inbox: StripeInbox
    forgotten: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def other_server(self) -> AsyncIterator[House]:
        """On the same database and the same Stripe account."""
        async with _server(self.url, self.stripe, self.plans) as other:
            yield other

    async def user(self, id: str = "alice", plan: str = "free", email: str | None = None) -> str:
        async with self.database.write() as connection:
            await connection.execute(
                users.insert().values(id=id, plan=plan, email=email, role="user", created_at=0)
            )
        return id

    async def ask(self, plan: str, id: str = "alice") -> Subscription | None:
        return await self.subscriptions.request(id, plan, actor=f"{id}/key", return_url=BACK)

    async def bought(self, plan: str = "basic", id: str = "alice") -> str:
        """A user who paid; Stripe's name of the subscription."""
        await self.user(id)
        await self.ask(plan, id)
        session = self.stripe.sessions()[-1]
        await self.hear(*self.stripe.pay(session["id"]))
        return session["subscription"]

    async def deliver(self, *events: dict[str, Any]) -> list[bool]:
        """Their webhooks come; nobody works on them yet. Which were new."""
        return [await self.inbox.accept(*signed(event)) for event in events]

    async def hear(self, *events: dict[str, Any]) -> int:
        """They come and are worked on; how many of them."""
        await self.deliver(*events)
        return await self.inbox.work()

    async def later(self) -> None:
        """Every pause is over."""
        async with self.database.write() as connection:
            await connection.execute(payment_inbox.update().values(run_at=now() - 1))

    async def get(self, id: str = "alice") -> Subscription | None:
        return await self.subscriptions.get(id)

    async def plan(self, id: str = "alice") -> str:
        return (await self.rows(sa.select(users.c.plan).where(users.c.id == id)))[0][0]

    async def rows(self, query) -> list:
        async with self.database.read() as connection:
            return list((await connection.execute(query)).all())

    async def row(self, event: dict[str, Any]):
        """Of the inbox."""
        return (await self.rows(sa.select(payment_inbox).where(payment_inbox.c.event_id == event["id"])))[0]

    async def due_in(self, event: dict[str, Any]) -> float:
        """Seconds until it is tried again."""
        query = sa.select(payment_inbox.c.run_at - now()).where(payment_inbox.c.event_id == event["id"])
        return (await self.rows(query))[0][0]

    async def parked(self) -> list[str]:
        return [event.error for event in await self.inbox.parked()]

    async def lines(self, id: str = "alice") -> list[tuple[str, str]]:
        """Source and amount of each entry of the ledger, oldest first."""
        column = ledger_entries.c
        query = sa.select(column.source, column.amount).where(column.tenant_id == id).order_by(column.id)
        return [(row[0], to_text(row[1])) for row in await self.rows(query)]

    async def events(self, id: str = "alice") -> list[str]:
        """Kinds of them, oldest first, without what Stripe keeps saying."""
        column = subscription_events.c
        query = sa.select(column.kind).where(column.user_id == id, column.kind != "provider_state")
        return [row[0] for row in await self.rows(query.order_by(column.id))]


@contextlib.asynccontextmanager
async def _server(url: str, stripe: StripeStandIn, plans: Plans, **options) -> AsyncIterator[House]:
    database = Database(url)
    link = StripeLink(KEY, api_base=stripe.address, **{"seconds": 2.0, "all_seconds": 6.0, **options})
    provider, forgotten = StripeProvider(link, database, plans), []
    subscriptions = Subscriptions(
        database,
        plans,
        Ledger(database, plans),
        provider=provider,
        grace_days=7,
        forget=forgotten.append,
    )
    inbox = StripeInbox(database, plans, provider, subscriptions, secret=SECRET)
    try:
        yield House(url, stripe, database, plans, provider, subscriptions, inbox, forgotten)
    finally:
        await inbox.stop()
        await provider.close()
        await database.close()


@contextlib.asynccontextmanager
async def house(url: str, stripe: StripeStandIn, **options) -> AsyncIterator[House]:
    """`async with house(url, stripe) as house`: at the end the ledger adds up. `options` go to `StripeLink`."""
    async with _server(url, stripe, Plans(book()), **options) as built:
        yield built
        assert await check(built.database) == []
