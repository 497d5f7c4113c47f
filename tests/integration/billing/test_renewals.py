"""What is due by the clock, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest

from magic_eraser.billing.subscriptions import renewals
from magic_eraser.billing.tables import SubscriptionState
from magic_eraser.errors import ProviderUnavailable
from subscription_house import BASIC, DAY, MONTH, NOON, PRO

ACTIVE, AWAITING, PAST_DUE, ENDED = SubscriptionState


def test_what_is_due_is_done_once_however_often_it_is_looked_for(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            await house.clock.set(NOON + MONTH)
            assert [await house.renew() for _ in range(3)] == [{"payment_due": 1}, {}, {}]
            assert (await house.events()).count("payment_due") == 1
            assert len(await house.lines()) == 2

    asyncio.run(story())


def test_several_servers_at_once_do_it_once(open_subscriptions):
    async def story():
        async with open_subscriptions() as house, house.other_server() as other:
            for number in range(6):
                await house.subscribed("pro", f"user{number}")
            await house.clock.set(NOON + MONTH)
            counts = await asyncio.gather(*(server.renew() for server in [house, other] * 3))
            assert sum(each.get("payment_due", 0) for each in counts) == 6
            assert all("failed" not in each for each in counts)
            for number in range(6):
                assert (await house.events(f"user{number}")).count("payment_due") == 1

    asyncio.run(story())


@pytest.mark.parametrize("days", [31, 100, 4000])
def test_after_days_without_a_server_one_period_is_due_and_the_grace_begins_now(open_subscriptions, days):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            await house.clock.set(NOON + days * DAY)
            assert await house.renew() == {"payment_due": 1}
            had = await house.get()
            assert (had.due, had.grace_until) == (PRO, NOON + (days + 7) * DAY)
            assert await house.plan() == "pro"

    asyncio.run(story())


def test_nobody_pays_for_months_in_which_no_server_ran(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            await house.clock.set(NOON + 100 * DAY)
            await house.renew()
            paid = await house.pay("bank-2")
            assert (paid.state, paid.period_start) == (ACTIVE, NOON + 100 * DAY)
            assert len(await house.lines()) == 4
            assert await house.renew() == {}

    asyncio.run(story())


def test_a_clock_that_was_far_ahead_for_a_while_ends_nothing(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            begun = await house.subscribed("pro")
            await house.clock.set(NOON + 4000 * DAY)
            await house.renew()
            await house.clock.set(NOON + DAY)  # somebody saw it
            assert (await house.renew(), await house.plan()) == ({}, "pro")
            paid = await house.pay("bank-2")
            assert (paid.state, paid.period_end) == (ACTIVE, begun.period_end)

    asyncio.run(story())


def test_a_plan_that_is_gone_from_the_file_ends_with_its_period(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            house.without("pro")
            assert (await house.renew(), await house.plan()) == ({}, "pro")
            await house.clock.set(NOON + MONTH)
            assert await house.renew() == {"plan_gone": 1}
            assert ((await house.get()).state, await house.plan()) == (ENDED, "free")
            told = await house.last_event()
            assert (told.from_plan, told.to_plan, told.details) == ("pro", "free", {"gone": "pro"})

    asyncio.run(story())


def test_who_wanted_a_plan_that_is_gone_by_then_is_on_the_free_one(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            await house.ask("basic")
            house.without("basic")
            await house.clock.set(NOON + MONTH)
            assert (await house.renew(), await house.plan()) == ({"plan_gone": 1}, "free")

    asyncio.run(story())


def test_who_is_on_a_plan_that_is_gone_chooses_another_for_the_next_period(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("basic")
            house.without("basic")
            asked = await house.ask("pro")
            assert (asked.state, asked.wanted_plan, asked.wanted_at) == (ACTIVE, "pro", NOON + MONTH)
            await house.clock.set(NOON + MONTH)
            assert (await house.renew(), (await house.get()).due) == ({"downgraded": 1}, PRO)

    asyncio.run(story())


def test_a_plan_that_costs_nothing_any_more_needs_no_subscription(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("basic")
            house.alter("basic", price=0)
            await house.clock.set(NOON + MONTH)
            assert (await house.renew(), await house.plan()) == ({"ended": 1}, "basic")

    asyncio.run(story())


def test_one_who_fails_keeps_nobody_from_their_renewal(open_subscriptions, monkeypatch):
    async def story():
        async with open_subscriptions() as house:
            monkeypatch.setattr(renewals, "PAGE", 2)
            for name in ("a", "b", "c", "d", "e"):
                await house.subscribed("basic", name)
            await house.clock.set(NOON + MONTH)
            renew = house.subscriptions.renew

            async def fails(user_id):
                if user_id == "b":
                    raise ProviderUnavailable
                if user_id == "d":
                    raise KeyError("a defect")
                return await renew(user_id)

            house.subscriptions.renew = fails
            assert await house.renew() == {"payment_due": 3, "failed": 2}
            house.subscriptions.renew = renew
            assert await house.renew() == {"payment_due": 2}

    asyncio.run(story())


def test_what_is_due_is_done_before_anything_else_is_decided(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            await house.cancel()
            await house.clock.set(NOON + MONTH + 1)
            asked = await house.ask("basic")  # no server has looked since
            assert (asked.state, asked.plan, asked.due) == (AWAITING, "free", BASIC)
            assert await house.events() == [
                "requested",
                "started",
                "cancel_requested",
                "cancelled",
                "requested",
            ]

    asyncio.run(story())
