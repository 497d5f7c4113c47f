"""Sixteen processes of fifty callers each want what a hundred may have, and one of them is killed."""

from __future__ import annotations

import asyncio
from zoneinfo import ZoneInfo

import pytest

from billing_house import PRICE, house
from billing_process import ALICE, HOLD, Process, noon_zone
from magic_eraser.billing.calls.reaper import reap
from magic_eraser.errors import QuotaExhausted

PROCESSES, TASKS, LIMIT = 16, 50, 100


def test_of_eight_hundred_callers_a_hundred_succeed_though_a_server_is_killed(database_url):
    async def story():
        zone = noon_zone()
        async with house(database_url, zone=ZoneInfo(zone), at=None, hold=HOLD) as built:
            await built.user(plan="hundred")
            day = built.plans.book.day((await built.rows(built.moment))[0][0])
            said = rush(database_url, zone)
            held, used = await built.day(day=day)
            settled = sum(lines.count("settled") for lines in said)
            assert held + used == LIMIT  # nobody was refused before a hundred were used or under way
            assert settled <= used <= settled + TASKS  # what was settled by the killed one and not said
            assert held >= 3
            await asyncio.sleep(HOLD + 0.1)
            assert await reap(built.database, hold_seconds=HOLD) == held
            assert await built.day(day=day) == (0, used)
            await built.sound()

            late = Process(database_url, zone, TASKS)
            late.wait_ready()
            late.go()
            lines = late.finish()
            late.close()
            assert lines.count("settled") == LIMIT - used
            assert lines.count("refused") == TASKS - (LIMIT - used)
            assert await built.day(day=day) == (0, LIMIT)
            assert await built.wallet() == (0, 0, LIMIT * PRICE)
            assert len(await built.lines()) == LIMIT
            with pytest.raises(QuotaExhausted) as refused:
                await built.quota.reserve(ALICE, 1)
            assert refused.value.extra["used"] == LIMIT

    asyncio.run(story())


def rush(url, zone) -> list[list[str]]:
    """What each of them said. The first one takes its time, and is killed while it holds calls and the others begin."""
    victim, *others = processes = [
        Process(url, zone, TASKS, seconds=0.0 if number else 30.0) for number in range(PROCESSES)
    ]
    try:
        for each in processes:
            each.wait_ready()
        victim.go()
        victim.hear("held", times=3)
        for each in others:
            each.go()
        others[0].hear_anything()
        return [victim.kill(), *(each.finish() for each in others)]
    finally:
        for each in processes:
            each.close()
