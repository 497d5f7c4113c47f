"""What a payment service says, in any order and as often as it is told, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from itertools import permutations

import pytest
import sqlalchemy as sa

from magic_eraser.billing.subscriptions.subscription import ProviderState
from magic_eraser.billing.tables import SubscriptionState, subscription_events
from magic_eraser.errors import Conflict, NotFound, ProviderUnavailable
from subscription_house import BASIC, DAY, MONTH, NOON, PRO

ACTIVE, AWAITING, PAST_DUE, ENDED = SubscriptionState
NEXT = {"period_start": NOON + MONTH, "period_end": NOON + MONTH + 31 * DAY}


def test_a_subscription_begins_with_the_services_word(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.user()
            had = await house.says("pro")
            assert (had.state, had.plan, had.provider) == (ACTIVE, "pro", "stripe")
            assert (had.period_start, had.period_end) == (NOON, NOON + MONTH)
            assert (had.provider_ref, had.customer_ref) == ("sub_1", "cus_1")
            assert (await house.plan(), await house.events()) == ("pro", ["started"])
            assert (await house.last_event()).actor == "stripe"
            assert await house.deeds() == ["subscription.started"]

    asyncio.run(story())


def test_what_is_said_again_changes_nothing(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house, house.other_server() as other:
            await house.user()
            await asyncio.gather(*(server.says("pro") for server in [house, other] * 4))
            had = await house.says("pro")
            assert (had.version, await house.events()) == (0, ["started"])

    asyncio.run(story())


def test_older_news_is_ignored_in_whichever_order_it_comes(open_subscriptions):
    news = [
        {"plan": "basic", "as_of": NOON + 10},
        {"plan": "pro", "as_of": NOON + 20},
        {"plan": "pro", "as_of": NOON + 30, "status": ENDED},
    ]

    async def story():
        async with open_subscriptions(provider="stripe") as house:
            for number, order in enumerate(permutations(news)):
                name = f"user{number}"
                await house.user(name)
                for words in order:
                    await house.says(id=name, provider_ref=f"sub_{number}", **words)
                assert await house.plan(name) == "free"
                had = await house.get(name)
                assert had is None or had.state is ENDED

    asyncio.run(story())


def test_news_that_was_fetched_before_a_word_that_changed_nothing_is_older_too(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("basic")
            await house.says("basic", as_of=NOON + 30)
            await house.says("pro", as_of=NOON + 20)
            assert await house.plan() == "basic"

    asyncio.run(story())


def test_a_renewal_moves_the_period(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            await house.clock.set(NOON + MONTH)
            had = await house.says("pro", **NEXT)
            assert (had.state, had.period_start, had.period_end) == (ACTIVE, *NEXT.values())
            assert (await house.events(), await house.renew()) == (["started", "renewed"], {})

    asyncio.run(story())


def test_a_payment_that_failed_there_starts_the_grace_and_one_that_came_ends_it(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            await house.clock.set(NOON + MONTH)
            late = await house.says("pro", status=PAST_DUE, **NEXT)
            grace = NOON + MONTH + 7 * DAY
            assert (late.state, late.due, late.grace_until) == (PAST_DUE, PRO, grace)
            await house.clock.pass_by(DAY)
            assert (await house.says("pro", status=PAST_DUE, **NEXT)).grace_until == grace
            assert await house.plan() == "pro"
            had = await house.says("pro", **NEXT)
            assert (had.state, had.due, had.grace_until) == (ACTIVE, 0, None)
            assert await house.events() == ["started", "payment_failed", "recovered"]

    asyncio.run(story())


def test_when_the_grace_is_over_the_service_charges_nothing_more_before_the_plan_goes(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            await house.says("pro", status=PAST_DUE)
            await house.clock.pass_by(7 * DAY)
            house.provider.refuses = ProviderUnavailable()
            assert (await house.renew(), await house.plan()) == ({"failed": 1}, "pro")
            house.provider.refuses = None
            assert (await house.renew(), await house.plan()) == ({"ended": 1}, "free")
            assert house.provider.told == [("cancel", "sub_1", True)]
            assert await house.renew() == {}

    asyncio.run(story())


def test_a_service_that_says_nothing_after_a_period_is_waited_for_a_day_and_the_grace(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            await house.clock.set(NOON + MONTH + DAY - 1)
            assert await house.renew() == {}
            await house.clock.pass_by(1)
            assert await house.renew() == {"provider_silent": 1}
            had = await house.get()
            assert (had.state, had.grace_until) == (PAST_DUE, NOON + MONTH + 8 * DAY)
            assert (await house.says("pro", **NEXT)).state is ACTIVE  # its news was late

    asyncio.run(story())


def test_a_service_that_says_nothing_after_a_cancelled_period_is_not_waited_for_longer(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            await house.cancel()
            await house.clock.set(NOON + MONTH + DAY)
            assert (await house.renew(), await house.plan()) == ({"cancelled": 1}, "free")

    asyncio.run(story())


def test_what_is_cancelled_or_resumed_at_the_service_is_so_here(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            await house.clock.pass_by(1)
            left = await house.says("pro", cancel_at_end=True)
            assert (left.state, left.wanted_plan, left.wanted_at) == (ACTIVE, "free", NOON + MONTH)
            await house.clock.pass_by(1)
            assert (await house.says("pro")).wanted_plan is None
            await house.clock.pass_by(1)
            over = await house.says("pro", status=ENDED)
            assert (over.state, await house.plan()) == (ENDED, "free")
            assert await house.events() == ["started", "cancel_requested", "resumed", "ended"]

    asyncio.run(story())


def test_a_dearer_plan_is_in_force_once_it_is_paid(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("basic")
            await house.clock.pass_by(1)
            assert (await house.says("pro", status=PAST_DUE)).plan == "basic"
            await house.clock.pass_by(1)
            assert (await house.says("pro")).plan == "pro"
            assert await house.events() == ["started", "payment_failed", "upgraded"]

    asyncio.run(story())


def test_a_word_that_was_fetched_before_a_wish_does_not_drop_it(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("basic")
            await house.clock.pass_by(10)
            await house.ask("pro")
            had = await house.says("basic", as_of=NOON + 5)
            assert (had.state, had.wanted_plan) == (AWAITING, "pro")
            had = await house.says("basic", as_of=NOON + 20)  # it was refused there
            assert (had.state, had.wanted_plan, had.due) == (ACTIVE, None, 0)

    asyncio.run(story())


def test_the_end_of_another_subscription_ends_nothing(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            await house.clock.pass_by(1)
            await house.says("basic", provider_ref="sub_0", status=ENDED)
            assert ((await house.get()).provider_ref, await house.plan()) == ("sub_1", "pro")

    asyncio.run(story())


def test_of_two_subscriptions_there_the_one_that_began_later_counts(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            await house.clock.pass_by(DAY)
            await house.says("basic", provider_ref="sub_0", period_start=NOON - DAY)
            assert await house.plan() == "pro"
            await house.says("enterprise", provider_ref="sub_2", period_start=NOON + DAY)
            assert ((await house.get()).provider_ref, await house.plan()) == ("sub_2", "enterprise")

    asyncio.run(story())


def test_a_first_payment_that_is_not_there_yet_begins_nothing(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.user()
            assert await house.says("pro", status=AWAITING) is None
            await house.ask("pro")
            await house.clock.pass_by(1)
            had = await house.says("pro", status=AWAITING)
            assert (had.state, had.customer_ref, had.wanted_plan) == (AWAITING, "cus_1", "pro")
            assert await house.plan() == "free"
            await house.says("pro", status=ENDED)  # never paid
            assert await house.plan() == "free"

    asyncio.run(story())


def test_a_plan_that_the_book_does_not_have_changes_none(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.user()
            assert await house.says("gold") is None
            await house.clock.pass_by(1)
            await house.says("pro")
            await house.clock.pass_by(1)
            had = await house.says("gold", **NEXT)
            assert (had.plan, had.period_end, await house.plan()) == ("pro", NEXT["period_end"], "pro")

    asyncio.run(story())


def test_who_came_back_after_the_end_has_the_plan_again(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            await house.subscribed("pro")
            await house.clock.pass_by(1)
            await house.says("pro", status=ENDED)
            await house.clock.pass_by(DAY)
            had = await house.says("basic", provider_ref="sub_2", period_start=NOON + DAY)
            assert (had.state, had.provider_ref, await house.plan()) == (ACTIVE, "sub_2", "basic")

    asyncio.run(story())


def test_an_invoice_that_was_paid_is_posted_once_and_puts_nothing_in_force(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house, house.other_server() as other:
            await house.user()
            told = {"amount": BASIC, "reference": "in_1", "actor": "stripe"}
            await asyncio.gather(
                *(server.subscriptions.invoice_paid("alice", **told) for server in [house, other] * 4)
            )
            assert await house.lines() == [("payment", "29.00"), ("fee", "29.00")]
            assert (await house.owed(), await house.plan(), await house.events()) == (0, "free", ["paid"])
            with pytest.raises(Conflict):
                await house.subscriptions.invoice_paid("alice", **told | {"amount": PRO})

    asyncio.run(story())


def test_nothing_is_said_of_a_user_who_is_not_there(open_subscriptions):
    async def story():
        async with open_subscriptions(provider="stripe") as house:
            with pytest.raises(NotFound):
                await house.says("pro", id="nobody")
            with pytest.raises(NotFound):
                await house.subscriptions.invoice_paid("nobody", amount=1, reference="in_1", actor="stripe")
            assert await house.rows(sa.select(subscription_events)) == []

    asyncio.run(story())


def test_what_a_transaction_that_fails_was_told_is_told_again(open_subscriptions):
    """As an inbox does it: the word and the note that it was heard stand or fall together."""

    async def story():
        async with open_subscriptions(provider="stripe") as house:
            before = await house.subscribed("basic")
            names = ("period_start", "period_end", "provider_ref", "customer_ref")
            facts = {name: getattr(before, name) for name in names}
            heard = ProviderState("pro", ACTIVE, cancel_at_end=False, as_of=NOON + 5, **facts)

            async def hear() -> None:
                async with house.database.write() as connection:
                    await house.subscriptions.apply_provider_state("alice", heard, within=connection)
                    await house.subscriptions.invoice_paid(
                        "alice", amount=PRO, reference="in_2", actor="stripe", within=connection
                    )
                    raise KeyError

            with pytest.raises(KeyError):
                await hear()
            assert (await house.plan(), await house.lines()) == ("basic", [])
            async with house.database.write() as connection:
                await house.subscriptions.apply_provider_state("alice", heard, within=connection)
            assert await house.plan() == "pro"

    asyncio.run(story())
