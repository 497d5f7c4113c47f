"""Ten thousand requests of which many are dropped half-way: everything adds up."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from billing_house import PRICE
from magic_eraser.errors import QuotaExhausted

AT_ONCE, SEED = 20, 7
NAMES = ("alice", "bob", "carol", "dave")


def test_ten_thousand_requests_with_crashes_at_random_add_up(open_house):
    """A task that is dropped leaves what a killed server leaves: a transaction in the middle, or a hold."""

    async def story():
        async with open_house() as house:
            plans = ("open", "prepaid", "hundred", "free")
            who = [await house.user(name, plan=plan) for name, plan in zip(NAMES, plans, strict=True)]
            await house.ledger.grant("bob", 10**9, reference="much", actor="cli:root")
            chance, ends = random.Random(SEED), Counter()
            requests = (
                10_000 if house.database.is_sqlite else 2_000
            )  # a dropped task is a connection less there
            numbers = iter(range(requests))
            longest = 0.3 if house.database.is_sqlite else 0.06  # 20 at once take that long for one each

            async def server() -> None:
                for _number in numbers:
                    ends[await request(house, chance.choice(who), chance, longest)] += 1

            await asyncio.gather(*(server() for _ in range(AT_ONCE)))
            assert sum(ends.values()) == requests
            await house.sound()
            states = Counter((await house.states()).values())
            assert states["held"] > 10  # of those that were dropped
            assert states["settled"] >= ends["settled"]  # and of them some had been charged
            await house.clock.pass_by(10**4)
            while await house.reap():
                pass
            assert Counter((await house.states()).values())["held"] == 0
            used = {name: await house.day(name) for name in NAMES}
            assert sum(calls for _held, calls in used.values()) == states["settled"]
            assert [held for held, _calls in used.values()] == [0] * 4
            assert used["carol"][1] <= 100
            assert used["dave"][1] <= 2
            assert await house.wallet("bob") == (10**9 - used["bob"][1] * PRICE, 0, 0)
            assert ends["refused"] > requests / 10

    asyncio.run(story())


async def request(house, who, chance, longest) -> str:
    """How it ended."""
    work = asyncio.create_task(one(house, who, chance.random() < 0.8))
    if chance.random() < 0.15:
        await asyncio.sleep(chance.random() * longest)
        work.cancel()
    try:
        return await work
    except asyncio.CancelledError:
        return "dropped"


async def one(house, who, succeeds) -> str:
    try:
        held = await house.quota.reserve(who, 1)
    except QuotaExhausted:
        return "refused"
    if not succeeds:
        await house.quota.release(held)
        return "released"
    await house.quota.settle(held, 1)
    return "settled"
