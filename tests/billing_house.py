"""A quota and a ledger on a real database, whose clock the test sets."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from database_clock import Clock
from magic_eraser.accounts.plans import Charging, Plan, PlanBook, Plans
from magic_eraser.accounts.principal import Principal
from magic_eraser.accounts.tables import api_keys, users
from magic_eraser.billing.calls.database_quota import DatabaseQuota
from magic_eraser.billing.calls.reaper import reap
from magic_eraser.billing.invariants import check
from magic_eraser.billing.ledger import Ledger
from magic_eraser.billing.quota import Reservation
from magic_eraser.billing.tables import Account, ledger_entries, quota_days, reservations, wallets
from magic_eraser.db.base import now
from magic_eraser.db.database import Database

HOLD = 600.0
BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 24, 12, tzinfo=BERLIN).timestamp()
TODAY = "2026-11-24"
PRICE = 10_000
"""Ten cents."""


def plan(id: str = "basic", **values) -> Plan:
    """Three calls a day, ten cents each, by invoice."""
    facts = {
        "id": id,
        "title": id.title(),
        "title_zh": "基础版",
        "price": 100_000,
        "calls_a_day": 3,
        "cost_a_call": PRICE,
        "features": frozenset(),
        "models": frozenset({"telea"}),
        **values,
    }
    return Plan(**facts)


def book(zone: ZoneInfo = BERLIN) -> PlanBook:
    """`basic`: three calls; `hundred`; `open`: no limit; `none`: no calls; `prepaid`: no limit, from credit; `gift`:
    the same, and costs nothing; `free`: two calls that cost nothing."""
    plans = (
        plan("free", calls_a_day=2, cost_a_call=0),
        plan(),
        plan("hundred", calls_a_day=100),
        plan("open", calls_a_day=None),
        plan("none", calls_a_day=0),
        plan("prepaid", calls_a_day=None, charging=Charging.CREDIT),
        plan("gift", calls_a_day=None, cost_a_call=0, charging=Charging.CREDIT),
    )
    return PlanBook({each.id: each for each in plans}, plans[0], zone)


@dataclass
class House:
    database: Database
    plans: Plans
    clock: Clock
    quota: DatabaseQuota
    ledger: Ledger
    events: list[tuple[str, str]] = field(default_factory=list)
    moment = sa.select(now())

    async def user(self, id: str = "alice", plan: str = "basic", **values) -> Principal:
        """With a key `ID-key`."""
        key = {"id": f"{id}-key", "user_id": id, "digest": f"digest of {id}"}
        same = {"name": "n", "pepper_id": "p", "ending": "abcd", "scopes": [], "made_by": id, "created_at": 0}
        async with self.database.write() as connection:
            await connection.execute(
                users.insert().values(id=id, plan=plan, role="user", created_at=0, **values)
            )
            await connection.execute(api_keys.insert().values(**key, **same))
        return Principal(id, f"{id}-key")

    async def change(self, id: str, **values) -> None:
        """The user's row."""
        async with self.database.write() as connection:
            await connection.execute(users.update().where(users.c.id == id).values(**values))

    async def change_key(self, id: str, **values) -> None:
        async with self.database.write() as connection:
            await connection.execute(api_keys.update().where(api_keys.c.id == id).values(**values))

    async def call(self, who: Principal, units: int = 1) -> Reservation:
        """One that goes well."""
        reservation = await self.quota.reserve(who, units)
        await self.quota.settle(reservation, units)
        return reservation

    async def reap(self) -> int:
        return await reap(self.database, hold_seconds=HOLD, on_event=self.hear)

    def hear(self, plan: str, event: str) -> None:
        self.events.append((plan, event))

    async def rows(self, query) -> list:
        async with self.database.read() as connection:
            return list((await connection.execute(query)).all())

    async def day(self, id: str = "alice", day: str = TODAY) -> tuple[int, int]:
        """Held, used."""
        column = quota_days.c
        query = sa.select(column.held, column.used).where(column.tenant_id == id, column.day == day)
        return tuple((await self.rows(query) or [(0, 0)])[0])

    async def wallet(self, id: str = "alice") -> tuple[int, int, int]:
        """Credit, held of it, owed."""
        column = wallets.c
        query = sa.select(column.credit, column.held, column.owed).where(column.tenant_id == id)
        return tuple((await self.rows(query) or [(0, 0, 0)])[0])

    async def states(self) -> dict[str, str]:
        """Of reservations, by id."""
        return dict(map(tuple, await self.rows(sa.select(reservations.c.id, reservations.c.state))))

    async def lines(self, id: str = "alice") -> list[tuple]:
        """Source, calls, from, to, amount of each entry, oldest first."""
        column = ledger_entries.c
        query = (
            sa.select(column.source, column.calls, column.from_account, column.to_account, column.amount)
            .where(column.tenant_id == id)
            .order_by(column.id)
        )
        return [(row[0], row[1], Account(row[2]), Account(row[3]), row[4]) for row in await self.rows(query)]

    async def sound(self) -> None:
        assert await check(self.database) == []


@contextlib.asynccontextmanager
async def house(
    url: str, *, zone: ZoneInfo = BERLIN, at: float | None = NOON, hold: float = HOLD
) -> AsyncIterator[House]:
    """`async with house(database_url) as house`: at the end everything adds up. With `at=None` by the true clock."""
    database, plans = Database(url), Plans(book(zone))
    clock = Clock(url, at or 0.0)
    if at is not None:
        await clock.prepare()
        clock.wind(database)
    built = House(database, plans, clock, None, None)
    built.quota = DatabaseQuota(database, plans, hold_seconds=hold, on_event=built.hear)
    built.ledger = Ledger(database, plans, on_event=built.hear)
    try:
        yield built
        await built.sound()
    finally:
        await database.close()
