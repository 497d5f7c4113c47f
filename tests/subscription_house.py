"""Subscriptions on a real database, with the plans that come with the program and a clock that the test sets."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import sqlalchemy as sa

from database_clock import Clock
from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.plan_files.plan_file import read
from magic_eraser.accounts.plans import Plan, PlanBook, Plans
from magic_eraser.accounts.tables import audit_log, users
from magic_eraser.billing.invariants import check
from magic_eraser.billing.ledger import Ledger
from magic_eraser.billing.payments import ManualProvider
from magic_eraser.billing.subscriptions.renewals import renew_due
from magic_eraser.billing.subscriptions.subscription import ProviderState, Subscription
from magic_eraser.billing.subscriptions.subscriptions import Subscriptions
from magic_eraser.billing.tables import (
    SubscriptionState,
    ledger_entries,
    subscription_events,
    subscriptions,
    wallets,
)
from magic_eraser.db.database import Database

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0
MONTH = 30 * DAY
"""From NOON to the end of the first period, 24 December."""
GRACE_DAYS = 7.0
BASIC, PRO, ENTERPRISE = 2_900_000, 9_900_000, 29_900_000
"""Prices in milli-cents."""
URL = "https://pay.example/page"


class StandIn:
    """A payment service that notes what it is told, and looks whether the database is free meanwhile.

    Attributes:
        told: in order.
        refuses: what it raises instead; None for nothing.
        meanwhile: what happens before it answers.
    """

    name = "stripe"

    def __init__(self, database: Database) -> None:
        self._database = database
        self.told: list[tuple] = []
        self.refuses: Exception | None = None
        self.meanwhile = None

    async def checkout(self, user_id: str, email: str | None, plan: Plan, return_url: str) -> str:
        await self._hear("checkout", user_id, email, plan.id, return_url)
        return URL

    async def portal(self, customer_ref: str, return_url: str) -> str:
        return URL

    async def change(self, provider_ref: str, plan: Plan, *, prorate: bool) -> None:
        await self._hear("change", provider_ref, plan.id, prorate)

    async def cancel(self, provider_ref: str, *, at_once: bool = False) -> None:
        await self._hear("cancel", provider_ref, at_once)

    async def resume(self, provider_ref: str) -> None:
        await self._hear("resume", provider_ref)

    async def _hear(self, *told) -> None:
        async with self._database.write() as connection:  # would wait for ever within an open transaction
            await connection.execute(sa.select(users.c.id).with_for_update())
        if self.refuses is not None:
            raise self.refuses
        self.told.append(told)
        if self.meanwhile is not None:
            await self.meanwhile()


@dataclass
class House:
    database: Database
    plans: Plans
    clock: Clock
    ledger: Ledger
    provider: ManualProvider | StandIn
    subscriptions: Subscriptions
    url: str
    grace_days: float
    forgotten: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def other_server(self) -> AsyncIterator[House]:
        """On the same database, with connections of its own."""
        database = Database(self.url)
        self.clock.wind(database)
        try:
            yield self._server(database)
        finally:
            await database.close()

    def _server(self, database: Database) -> House:
        built = replace(self, database=database, ledger=Ledger(database, self.plans), forgotten=[])
        built.subscriptions = Subscriptions(
            database,
            self.plans,
            built.ledger,
            provider=self.provider,
            grace_days=self.grace_days,
            forget=built.forgotten.append,
        )
        return built

    async def user(self, id: str = "alice", plan: str = "free", email: str | None = None) -> str:
        async with self.database.write() as connection:
            await connection.execute(
                users.insert().values(id=id, plan=plan, email=email, role="user", created_at=0)
            )
        return id

    async def subscribed(self, plan: str = "basic", id: str = "alice") -> Subscription:
        """A user whose first period begins now."""
        await self.user(id)
        if self.provider.name == "stripe":
            return await self.says(plan, id=id)
        await self.ask(plan, id)
        return await self.pay("first", id=id)

    async def ask(self, plan: str, id: str = "alice") -> Subscription:
        return await self.subscriptions.request(id, plan, actor=f"{id}/key", return_url="https://us.example/")

    async def cancel(self, id: str = "alice") -> Subscription:
        return await self.subscriptions.cancel(id, actor=f"{id}/key")

    async def pay(self, reference: str, amount: int | None = None, id: str = "alice") -> Subscription:
        return await self.subscriptions.paid(id, amount=amount, reference=reference, actor="cli:op")

    async def says(self, plan: str = "basic", id: str = "alice", **values) -> Subscription | None:
        """The payment service's word of now."""
        state = replace(
            ProviderState(
                plan_id=plan,
                status=SubscriptionState.ACTIVE,
                period_start=NOON,
                period_end=NOON + MONTH,
                cancel_at_end=False,
                provider_ref="sub_1",
                customer_ref="cus_1",
                as_of=self.clock.at,
            ),
            **values,
        )
        return await self.subscriptions.apply_provider_state(id, state)

    async def renew(self) -> dict[str, int]:
        return dict(await renew_due(self.database, self.subscriptions))

    async def get(self, id: str = "alice") -> Subscription | None:
        return await self.subscriptions.get(id)

    async def plan(self, id: str = "alice") -> str:
        """That the user is on."""
        return (await self.rows(sa.select(users.c.plan).where(users.c.id == id)))[0][0]

    async def rows(self, query) -> list:
        async with self.database.read() as connection:
            return list((await connection.execute(query)).all())

    async def change(self, **values) -> None:
        """The rows of subscriptions, as time or a fault would have changed them."""
        async with self.database.write() as connection:
            await connection.execute(subscriptions.update().values(**values))

    async def events(self, id: str = "alice") -> list[str]:
        """Kinds of them, oldest first, without what the payment service keeps saying."""
        column = subscription_events.c
        query = sa.select(column.kind).where(column.user_id == id, column.kind != "provider_state")
        return [row[0] for row in await self.rows(query.order_by(column.id))]

    async def last_event(self, id: str = "alice"):
        column = subscription_events.c
        query = sa.select(subscription_events).where(column.user_id == id).order_by(column.id.desc()).limit(1)
        return (await self.rows(query))[0]

    async def deeds(self, id: str = "alice") -> list[str]:
        """Of the audit log."""
        query = sa.select(audit_log.c.action).where(audit_log.c.target == id).order_by(audit_log.c.id)
        return [row[0] for row in await self.rows(query)]

    async def lines(self, id: str = "alice") -> list[tuple[str, str]]:
        """Source and amount of each entry of the ledger, oldest first."""
        column = ledger_entries.c
        query = sa.select(column.source, column.amount).where(column.tenant_id == id).order_by(column.id)
        return [(row[0], to_text(row[1])) for row in await self.rows(query)]

    async def owed(self, id: str = "alice") -> int:
        rows = await self.rows(sa.select(wallets.c.owed).where(wallets.c.tenant_id == id))
        return rows[0][0] if rows else 0

    def without(self, plan: str) -> None:
        """The file of plans has it no more."""
        book = self.plans.book
        self.plans.book = replace(
            book, plans={name: each for name, each in book.plans.items() if name != plan}
        )

    def alter(self, plan: str, **values) -> None:
        book = self.plans.book
        self.plans.book = replace(book, plans={**book.plans, plan: replace(book.plans[plan], **values)})


def book() -> PlanBook:
    return read(None)


@contextlib.asynccontextmanager
async def house(
    url: str, *, provider: str = "manual", grace_days: float = GRACE_DAYS
) -> AsyncIterator[House]:
    """`async with house(database_url) as house`: at the end the ledger adds up."""
    database, plans = Database(url), Plans(book())
    clock = Clock(url, NOON)
    await clock.prepare()
    clock.wind(database)
    pays = StandIn(database) if provider == "stripe" else ManualProvider()
    built = House(database, plans, clock, None, pays, None, url, grace_days)._server(database)
    try:
        yield built
        assert await check(database) == []
    finally:
        await database.close()
