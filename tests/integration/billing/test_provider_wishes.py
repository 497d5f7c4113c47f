"""Wishes of users whose payments a service takes: what it is told, when, and what happens where it does not answer."""

from __future__ import annotations

import asyncio

import pytest

from magic_eraser.billing.payments import ManualProvider
from magic_eraser.billing.tables import SubscriptionState
from magic_eraser.errors import Conflict, PaymentRequired, ProviderUnavailable
from subscription_house import BASIC, DAY, MONTH, NOON, PRO, URL, StandIn

ACTIVE, AWAITING, PAST_DUE, ENDED = SubscriptionState


def test_a_first_plan_is_bought_on_the_services_page(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.user(email="alice@example.com")
            asked = await house.ask("pro")
            assert (asked.state, asked.due, asked.checkout_url, asked.provider) == (
                AWAITING,
                PRO,
                URL,
                "stripe",
            )
            told = ("checkout", "alice", "alice@example.com", "pro", "https://us.example/")
            assert house.provider.told == [told]
            assert (await house.get()).checkout_url is None
            begun = await house.says("pro")
            assert (begun.state, begun.due, begun.wanted_plan, await house.plan()) == (ACTIVE, 0, None, "pro")

    asyncio.run(story())


def test_an_upgrade_is_charged_by_the_service_and_in_force_when_it_says_so(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("basic")
            await house.clock.pass_by(15 * DAY)
            asked = await house.ask("pro")
            assert (asked.state, asked.due, await house.plan()) == (AWAITING, (PRO - BASIC) // 2, "basic")
            assert house.provider.told == [("change", "sub_1", "pro", True)]
            await house.clock.pass_by(1)
            had = await house.says("pro")
            assert (had.state, had.plan, had.due, await house.plan()) == (ACTIVE, "pro", 0, "pro")

    asyncio.run(story())


def test_while_an_upgrade_is_being_paid_no_other_is_asked_for(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("basic")
            await house.ask("pro")
            for plan in ("enterprise", "basic"):
                with pytest.raises(Conflict, match='The upgrade to "pro" is being paid'):
                    await house.ask(plan)
            await house.ask("pro")  # told again, as its answer may have been lost
            assert house.provider.told == [("change", "sub_1", "pro", True)] * 2

    asyncio.run(story())


def test_of_two_upgrades_at_once_the_service_is_told_one(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house, house.other_server() as other:
            await house.subscribed("basic")
            asked = [house.ask("pro"), other.ask("enterprise")]
            came = await asyncio.gather(*asked, return_exceptions=True)
            assert sorted(type(each).__name__ for each in came) == ["Conflict", "Subscription"]
            assert len(house.provider.told) == 1
            assert house.provider.told[0][2] == (await house.get()).wanted_plan

    asyncio.run(story())


def test_a_downgrade_changes_the_price_of_the_next_period_only(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            asked = await house.ask("basic")
            assert (asked.state, asked.plan, asked.wanted_plan) == (ACTIVE, "pro", "basic")
            assert (asked.wanted_at, asked.due) == (NOON + MONTH, 0)
            assert house.provider.told == [("change", "sub_1", "basic", False)]
            await house.clock.pass_by(1)
            had = await house.says("basic")  # its price, from now on
            assert (had.plan, had.wanted_plan, await house.plan()) == ("pro", "basic", "pro")
            await house.clock.set(NOON + MONTH + 60)
            had = await house.says("basic", period_start=NOON + MONTH, period_end=NOON + MONTH + 31 * DAY)
            assert (had.plan, had.wanted_plan, await house.plan()) == ("basic", None, "basic")

    asyncio.run(story())


def test_who_cancels_is_charged_nothing_more_and_may_resume(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            left = await house.cancel()
            assert (left.state, left.wanted_plan, left.wanted_at) == (ACTIVE, "free", NOON + MONTH)
            assert house.provider.told == [("cancel", "sub_1", False)]
            kept = await house.ask("pro")
            assert (kept.state, kept.wanted_plan) == (ACTIVE, None)
            assert house.provider.told[1:] == [("resume", "sub_1"), ("change", "sub_1", "pro", False)]

    asyncio.run(story())


def test_an_upgrade_after_a_downgrade_is_charged_by_what_was_paid(open_subscriptions):
    """The price at the service is that of the cheaper plan by then: it is put back first, or it would charge the whole
    way up from there."""

    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            await house.ask("basic")
            await house.ask("enterprise")
            assert house.provider.told[1:] == [
                ("change", "sub_1", "pro", False),
                ("change", "sub_1", "enterprise", True),
            ]

    asyncio.run(story())


@pytest.mark.parametrize("wish", ["enterprise", "basic", "free"])
@pytest.mark.parametrize("error", [ProviderUnavailable, PaymentRequired])
def test_where_the_service_refuses_or_does_not_answer_the_wish_is_taken_back(open_subscriptions, wish, error):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            before = await house.subscribed("pro")
            house.provider.refuses = error()
            with pytest.raises(error):
                await house.ask(wish)
            had = await house.get()
            assert (had.state, had.plan, had.wanted_plan, had.due) == (ACTIVE, "pro", None, 0)
            assert had.period_end == before.period_end
            house.provider.refuses = None
            assert (await house.ask(wish)).wanted_plan == wish

    asyncio.run(story())


def test_a_first_wish_that_the_service_does_not_hear_of_is_none(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.user()
            house.provider.refuses = ProviderUnavailable()
            with pytest.raises(ProviderUnavailable):
                await house.ask("pro")
            assert ((await house.get()).state, await house.plan()) == (ENDED, "free")
            house.provider.refuses = None
            assert (await house.ask("pro")).checkout_url == URL

    asyncio.run(story())


def test_what_the_service_says_meanwhile_counts_more_than_what_was_asked(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")

            async def ends():
                await house.clock.pass_by(1)
                await house.says("pro", status=ENDED)

            house.provider.meanwhile = ends
            left = await house.cancel()
            assert (left.state, left.wanted_plan, await house.plan()) == (ENDED, None, "free")

    asyncio.run(story())


@pytest.mark.parametrize("wish", ["basic", "free"])
def test_a_process_that_ends_before_the_service_was_told_promises_nothing(open_subscriptions, wish):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            house.provider.refuses = KeyboardInterrupt()
            with pytest.raises(KeyboardInterrupt):
                await house.ask(wish)
            had = await house.get()
            assert (had.state, had.wanted_plan, had.wanted_at) == (AWAITING, wish, None)
            house.provider.refuses = None
            await house.clock.pass_by(1)
            had = await house.says("pro")  # the next word of the service clears it up
            assert (had.state, had.wanted_plan) == (ACTIVE, None)

    asyncio.run(story())


def test_who_asked_for_a_lost_wish_again_gets_it(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            house.provider.refuses = KeyboardInterrupt()
            with pytest.raises(KeyboardInterrupt):
                await house.cancel()
            house.provider.refuses = None
            assert (await house.cancel()).wanted_at == NOON + MONTH
            assert house.provider.told == [("cancel", "sub_1", False)]

    asyncio.run(story())


def test_who_is_late_pays_the_open_invoice_first_or_leaves_at_once(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            await house.says("pro", status=PAST_DUE)
            for plan in ("pro", "basic", "enterprise"):
                with pytest.raises(Conflict, match="late"):
                    await house.ask(plan)
            left = await house.cancel()
            assert (left.state, await house.plan()) == (ENDED, "free")
            assert house.provider.told == [("cancel", "sub_1", True)]

    asyncio.run(story())


def test_an_operators_plan_ends_what_the_service_charges_before_it_is_in_force(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            house.provider.refuses = ProviderUnavailable()
            with pytest.raises(ProviderUnavailable):
                await house.subscriptions.set_plan("alice", "enterprise", actor="cli:op")
            assert await house.plan() == "pro"
            house.provider.refuses = None
            await house.subscriptions.set_plan("alice", "enterprise", actor="cli:op")
            assert (await house.plan(), (await house.get()).state) == ("enterprise", ENDED)
            assert house.provider.told == [("cancel", "sub_1", True)]
            await house.clock.pass_by(60)
            await house.says("pro", status=ENDED)  # what the service tells then takes nothing away
            assert await house.plan() == "enterprise"

    asyncio.run(story())


def test_what_another_service_charges_is_not_touched(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            house.provider.name = "manual"  # the operator took the service out of the settings
            for change in (
                house.ask("basic"),
                house.cancel(),
                house.subscriptions.set_plan("alice", "free", actor="cli:op"),
            ):
                with pytest.raises(Conflict, match='paid through "stripe"'):
                    await change
            assert (await house.plan(), house.provider.told) == ("pro", [])

    asyncio.run(story())


def test_a_period_that_an_admin_marked_is_not_lost_to_the_service(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("basic")
            stand_in = StandIn(house.database)
            house.subscriptions._provider = stand_in  # the operator turned to a payment service
            assert (await house.ask("pro")).due == PRO - BASIC
            await house.clock.set(NOON + MONTH)
            await house.renew()
            asked = await house.ask("basic")  # the next period may be paid there
            assert (asked.state, asked.due, asked.checkout_url) == (PAST_DUE, BASIC, URL)
            begun = await house.says("basic", period_start=NOON + MONTH, period_end=NOON + MONTH + 31 * DAY)
            assert (begun.state, begun.provider, begun.provider_ref) == (ACTIVE, "stripe", "sub_1")

    asyncio.run(story())


def test_nobody_has_a_page_where_an_admin_marks_payments():
    async def story():
        provider = ManualProvider()
        with pytest.raises(Conflict):
            await provider.portal("", "https://us.example/")
        assert provider.name == "manual"

    asyncio.run(story())
