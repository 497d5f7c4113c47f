"""What quota and ledger take of a request: the call reserved, then settled with its usage event in one transaction.

python benchmarks/quota.py
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import write
from magic_eraser.accounts.plans import Charging, Plan, PlanBook, Plans
from magic_eraser.accounts.principal import Principal
from magic_eraser.accounts.tables import api_keys, users
from magic_eraser.billing.calls.database_quota import DatabaseQuota
from magic_eraser.billing.invariants import check
from magic_eraser.billing.ledger import Ledger
from magic_eraser.db.base import now
from magic_eraser.db.database import Database
from magic_eraser.db.upgrade import upgrade
from magic_eraser.usage.tables import usage_events

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from private_servers import PrivatePostgres

CALLS, WARM = 1000, 100
AT_ONCE = 16
LIMITS_MS = {"sqlite": 3.0, "postgresql": 5.0}
_event = usage_events.insert()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, PrivatePostgres() as postgres:
        urls = {"sqlite": f"sqlite:///{folder}/eraser.db", "postgresql": postgres.url}
        rows = {kind: asyncio.run(measure(url)) for kind, url in urls.items()}
    write("quota", {"call": "reserve, then settle with the usage event", "limits_ms_p50": LIMITS_MS, **rows})
    slow = [kind for kind, limit in LIMITS_MS.items() if rows[kind]["one caller"]["together_ms_p50"] > limit]
    sys.exit(f"too slow: {', '.join(slow)}" if slow else 0)


async def measure(url: str) -> dict[str, Any]:
    """Milliseconds, by how many callers there are at once and how calls are paid for."""
    database, plans = Database(url), Plans(_book())
    try:
        await upgrade(database)
        quota = DatabaseQuota(database, plans, hold_seconds=900)
        for plan in plans.book.plans:
            await _add_user(database, plan)
        await Ledger(database, plans).grant("credit", 10**12, reference="all", actor="system")
        figures = {}
        for name, plan, callers in (
            ("one caller", "invoice", 1),
            ("one caller, prepaid", "credit", 1),
            (f"{AT_ONCE} callers", "invoice", AT_ONCE),
        ):
            await _calls(database, quota, plan, WARM)
            begun = time.perf_counter()
            taken = await asyncio.gather(
                *(_calls(database, quota, plan, CALLS // callers) for _ in range(callers))
            )
            seconds = time.perf_counter() - begun
            figures[name] = _figures([each for share in taken for each in share], seconds)
        assert await check(database) == []
        return figures
    finally:
        await database.close()


def _book() -> PlanBook:
    def plan(charging: Charging) -> Plan:
        return Plan(
            id=str(charging),
            title="",
            title_zh="",
            price=0,
            calls_a_day=10**6,
            cost_a_call=10_000,
            features=frozenset(),
            models=frozenset(),
            charging=charging,
        )

    plans = {str(charging): plan(charging) for charging in Charging}
    return PlanBook(plans, plans["invoice"])


async def _add_user(database: Database, id: str) -> None:
    """With a key of the same name, on the plan of the same name."""
    key = {"id": id, "user_id": id, "digest": id, "created_at": now()}
    same = {"name": "n", "pepper_id": "p", "ending": "abcd", "scopes": [], "made_by": id}
    async with database.write() as connection:
        await connection.execute(users.insert().values(id=id, plan=id, role="user", created_at=now()))
        await connection.execute(api_keys.insert().values(**key, **same))


async def _calls(
    database: Database, quota: DatabaseQuota, plan: str, count: int
) -> list[tuple[float, float]]:
    """Seconds of each reserve and of each settle."""
    who = Principal(plan, plan)
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        held = await quota.reserve(who, 1)
        reserved = time.perf_counter()
        async with database.write() as connection:
            await quota.settle(held, 1, connection)
            await connection.execute(
                _event,
                {
                    "source": "request",
                    "source_id": held.id,
                    "tenant_id": who.tenant_id,
                    "subject": who.subject,
                    "model": "telea",
                    "units": 1,
                    "at": time.time(),
                    "day": held.day,
                    "plan": plan,
                    "amount": held.unit_price,
                    "pixels": 10**6,
                    "seconds": 0.1,
                },
            )
        taken.append((reserved - begun, time.perf_counter() - reserved))
    return taken


def _figures(taken: list[tuple[float, float]], seconds: float) -> dict[str, Any]:
    def of(what: Callable[[tuple[float, float]], float]) -> list[float]:
        return sorted(what(each) * 1000 for each in taken)

    together = of(sum)
    return {
        "calls": len(taken),
        "together_ms_p50": round(statistics.median(together), 2),
        "together_ms_p95": round(together[int(len(together) * 0.95)], 2),
        "reserve_ms_p50": round(statistics.median(of(lambda each: each[0])), 2),
        "settle_ms_p50": round(statistics.median(of(lambda each: each[1])), 2),
        "calls_a_second": round(len(taken) / seconds),
    }


if __name__ == "__main__":
    main()
