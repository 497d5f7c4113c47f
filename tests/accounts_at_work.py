"""A database with users and plans, the operator who types commands beside it, and the environment of its servers."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from PIL import Image

from magic_eraser.accounts.keys.keys import Keys
from magic_eraser.accounts.keys.pepper import Pepper
from magic_eraser.accounts.plan_files import plan_file
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.principal import USER_SCOPES
from magic_eraser.accounts.users import Users
from magic_eraser.billing import invariants
from magic_eraser.db.database import Database

PEPPER = "thirty-two bytes of pepper, and then some more"
HEAD = """
default = "free"
timezone = "UTC"
currency = "usd"
"""
PLAN = """
[plans.{name}]
title = "{name}"
title_zh = "{name}"
price = "0"
calls_a_day = {calls}
cost_a_call = "{cost}"
features = ["basic_inpaint", "hd_processing", "all_models", "batch_processing", "api_access"]
"""
START = {"free": (10, "0"), "twelve": (12, "0.10"), "thirty": (30, "0.10"), "pro": (1000, "0.05")}
"""By plan: calls a day, and what one costs."""


class Site:
    """One database; `environment` is what each of its servers and commands is given.

    Args:
        url: of a database with a schema.
        folder: for what is kept beside it.
        mode: see `ERASER_AUTH__MODE`.
        more: further variables.
    """

    def __init__(self, url: str, folder: Path, mode: str = "required", **more: str) -> None:
        self.url = url
        self.plans_file = folder / "plans.toml"
        self.write_plans(START)
        self.environment = {
            "ERASER_DATABASE__URL": url,
            "ERASER_PLANS_FILE": str(self.plans_file),
            "ERASER_AUTH__MODE": mode,
            "ERASER_AUTH__KEY_PEPPER": PEPPER,
            "ERASER_CACHE__BACKEND": "null",  # a hit costs nothing
            "ERASER_JOBS__STORE": "database",  # several servers share nothing else
            **more,
        }
        self._folder = folder

    def write_plans(self, plans: dict[str, tuple[int, str]]) -> None:
        """By name: calls a day, and what one costs."""
        listed = [PLAN.format(name=name, calls=calls, cost=cost) for name, (calls, cost) in plans.items()]
        self.plans_file.write_text(HEAD + "".join(listed))

    def key(self, user_id: str, plan: str) -> dict[str, str]:
        """A new user on a plan; the headers that name it."""

        async def make() -> str:
            database = Database(self.url)
            try:
                users = Users(database, Plans(plan_file.read(self.plans_file)))
                await users.add(user_id, plan=plan, actor="cli:test")
                keys = Keys(database, Pepper(PEPPER.encode()))
                _key, text = await keys.create(user_id, name="test", scopes=USER_SCOPES, actor="cli:test")
                return text
            finally:
                await database.close()

        return {"Authorization": f"Bearer {asyncio.run(make())}"}

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Of the database, past all servers; the whole of it in one transaction."""

        async def ask() -> list[tuple[Any, ...]]:
            database = Database(self.url)
            try:
                async with database.write() as connection:
                    found = await connection.execute(sa.text(query), values)
                    return [tuple(row) for row in found] if found.returns_rows else []
            finally:
                await database.close()

        return asyncio.run(ask())

    def calls(self, tenant: str) -> tuple[int, int]:
        """(used, held) of all days."""
        query = (
            "SELECT COALESCE(SUM(used), 0), COALESCE(SUM(held), 0) FROM quota_days WHERE tenant_id = :tenant"
        )
        ((used, held),) = self.rows(query, tenant=tenant)
        return int(used), int(held)

    def reservations(self, tenant: str) -> Counter[str]:
        """How many there are of each state."""
        query = "SELECT state, COUNT(*) FROM reservations WHERE tenant_id = :tenant GROUP BY state"
        return Counter({state: int(count) for state, count in self.rows(query, tenant=tenant)})

    def charges(self, tenant: str) -> list[int]:
        """Milli-cents of each call in the ledger, in its order."""
        query = "SELECT amount FROM ledger_entries WHERE tenant_id = :tenant AND source = 'call' ORDER BY id"
        return [int(amount) for (amount,) in self.rows(query, tenant=tenant)]

    def try_to(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What an operator types behind `magic-eraser`."""
        return subprocess.run(
            [sys.executable, "-m", "magic_eraser", *words],
            env={**os.environ, **self.environment, "ERASER_DATA_DIR": str(self._folder / "operator")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def operate(self, *words: str) -> str:
        """The same, which must come to a good end; its standard output."""
        done = self.try_to(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def faults(self) -> list[str]:
        """What does not add up, as `magic-eraser db check` would tell it."""

        async def check() -> list[str]:
            database = Database(self.url)
            try:
                return await invariants.check(database)
            finally:
                await database.close()

        return asyncio.run(check())


def small_pair() -> tuple[bytes, bytes]:
    """Photo and mask, PNG, 80 x 60: what is looked at is the house and not the fill."""
    mask = np.zeros((60, 80), np.uint8)
    mask[20:30, 20:30] = 255
    return _png(np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)), _png(mask)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def queue(url: str) -> dict[str, int]:
    """`running` and `waiting` of a server."""
    found: dict[str, int] = httpx2.get(f"{url}/v1/status").json()["queue"]
    return found
