"""The chapter on billing, sentence by sentence, as an operator without a payment service has it: on SQLite and
PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest

from magic_eraser.accounts.money import to_text
from magic_eraser.billing.subscriptions.subscriptions import Subscription
from magic_eraser.billing.tables import SubscriptionState
from magic_eraser.errors import Conflict, NotFound, ValidationFailed
from subscription_house import BASIC, DAY, ENTERPRISE, MONTH, NOON, PRO, book

ACTIVE, AWAITING, PAST_DUE, ENDED = SubscriptionState


def test_a_month_is_free_or_costs_29_99_or_299():
    prices = {plan.id: to_text(plan.price) for plan in book().plans.values()}
    assert prices == {"free": "0.00", "basic": "29.00", "pro": "99.00", "enterprise": "299.00"}


# --- the first plan ----------------------------------------------------------------------------------------


def test_who_is_on_the_free_plan_has_no_subscription(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            assert await house.get() is None
            assert await house.renew() == {}

    asyncio.run(story())


@pytest.mark.parametrize(("plan", "price"), [("basic", BASIC), ("pro", PRO), ("enterprise", ENTERPRISE)])
def test_a_first_plan_waits_for_its_whole_price_and_begins_when_that_is_paid(open_subscriptions, plan, price):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            asked = await house.ask(plan)
            assert (asked.state, asked.plan, asked.wanted_plan, asked.due) == (AWAITING, "free", plan, price)
            assert (asked.period_start, asked.period_end, asked.checkout_url) == (None, None, None)
            assert (await house.plan(), await house.lines()) == ("free", [])

            await house.clock.pass_by(3 * DAY)
            begun = await house.pay("bank-1")
            assert (begun.state, begun.plan, begun.wanted_plan, begun.due) == (ACTIVE, plan, None, 0)
            assert (begun.period_start, begun.period_end) == (NOON + 3 * DAY, NOON + 33 * DAY)
            assert await house.plan() == plan
            assert await house.lines() == [("payment", to_text(price)), ("fee", to_text(price))]
            assert await house.owed() == 0
            assert await house.events() == ["requested", "started"]
            assert await house.deeds() == ["subscription.requested", "money.payment", "subscription.started"]
            assert house.forgotten == ["alice", "alice"]

    asyncio.run(story())


def test_a_wish_that_is_never_paid_costs_nothing_and_stays_a_wish(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            await house.ask("pro")
            await house.clock.pass_by(400 * DAY)
            assert await house.renew() == {}
            assert (await house.get()).state is AWAITING
            assert (await house.plan(), await house.lines()) == ("free", [])

    asyncio.run(story())


def test_a_second_wish_takes_the_place_of_the_first(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            await house.ask("basic")
            asked = await house.ask("pro")
            assert (asked.wanted_plan, asked.due) == ("pro", PRO)
            assert (await house.pay("bank-1")).plan == "pro"

    asyncio.run(story())


def test_a_mere_wish_is_dropped_at_once(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            await house.ask("basic")
            left = await house.cancel()
            assert (left.state, left.wanted_plan, left.due) == (ENDED, None, 0)
            assert await house.plan() == "free"
            with pytest.raises(Conflict, match="Nothing is due"):
                await house.pay("bank-1")
            assert (await house.ask("pro")).state is AWAITING

    asyncio.run(story())


def test_to_ask_for_the_plan_that_one_has_drops_the_wish_for_another(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            await house.ask("basic")
            assert (await house.ask("free")).state is ENDED
            assert await house.events() == ["requested", "wish_dropped"]

    asyncio.run(story())


# --- upgrade, downgrade, cancel ---------------------------------------------------------------------------


def test_an_upgrade_costs_the_difference_for_the_rest_of_the_period_and_is_in_force_once_paid(
    open_subscriptions,
):
    async def story():
        async with open_subscriptions() as house:
            begun = await house.subscribed("basic")
            await house.clock.pass_by(15 * DAY)
            asked = await house.ask("pro")
            half = (PRO - BASIC) // 2
            assert (asked.state, asked.plan, asked.wanted_plan, asked.due) == (AWAITING, "basic", "pro", half)
            assert await house.plan() == "basic"

            await house.clock.pass_by(DAY)
            paid = await house.pay("bank-2")
            assert (paid.state, paid.plan, paid.due) == (ACTIVE, "pro", 0)
            assert (paid.period_start, paid.period_end) == (begun.period_start, begun.period_end)
            assert await house.plan() == "pro"
            assert (await house.lines())[2:] == [("payment", "35.00"), ("proration", "35.00")]
            assert (await house.last_event()).kind == "upgraded"
            assert (await house.last_event()).amount == half

    asyncio.run(story())


def test_an_upgrade_costs_whole_cents_which_a_bank_can_move(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("basic")
            await house.clock.pass_by(10 * DAY)
            assert (await house.ask("pro")).due == 4_666_000  # 46.66666
            await house.pay("bank-2", amount=4_666_000)
            assert await house.plan() == "pro"

    asyncio.run(story())


def test_an_upgrade_in_the_last_minutes_of_a_period_costs_a_cent_so_that_it_can_be_paid(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            begun = await house.subscribed("basic")
            await house.clock.pass_by(begun.period_end - begun.period_start - 60)
            assert (await house.ask("pro")).due == 1000
            await house.pay("bank-2")
            assert await house.plan() == "pro"

    asyncio.run(story())


def test_the_next_period_after_an_upgrade_costs_the_whole_new_price(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("basic")
            await house.ask("pro")
            await house.pay("bank-2")
            await house.clock.set(NOON + MONTH)
            await house.renew()
            assert (await house.get()).due == PRO

    asyncio.run(story())


def test_an_upgrade_that_is_not_paid_by_the_end_of_the_period_is_dropped(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("basic")
            assert (await house.ask("pro")).due == PRO - BASIC
            await house.clock.set(NOON + MONTH)
            with pytest.raises(ValidationFailed):  # too late: the next period is due, and that of basic
                await house.pay("bank-2", PRO - BASIC)
            assert await house.renew() == {"payment_due": 1}
            had = await house.get()
            assert (had.state, had.plan, had.wanted_plan, had.due) == (PAST_DUE, "basic", None, BASIC)

    asyncio.run(story())


def test_a_downgrade_comes_with_the_next_period(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            begun = await house.subscribed("pro")
            await house.clock.pass_by(DAY)
            asked = await house.ask("basic")
            assert (asked.state, asked.plan, asked.due) == (ACTIVE, "pro", 0)
            assert (asked.wanted_plan, asked.wanted_at) == ("basic", begun.period_end)
            await house.clock.set(begun.period_end - 1)
            assert (await house.renew(), await house.plan()) == ({}, "pro")

            await house.clock.set(begun.period_end)
            assert await house.renew() == {"downgraded": 1}
            had = await house.get()
            assert (had.plan, had.state, had.due, had.wanted_plan) == ("basic", PAST_DUE, BASIC, None)
            assert await house.plan() == "basic"
            renewed = await house.pay("bank-2")
            assert (renewed.state, renewed.period_start) == (ACTIVE, begun.period_end)
            assert (await house.lines())[2:] == [("payment", "29.00"), ("fee", "29.00")]

    asyncio.run(story())


def test_a_cancelled_plan_stays_until_the_period_ends(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            begun = await house.subscribed("pro")
            left = await house.cancel()
            assert (left.state, left.wanted_plan, left.wanted_at) == (ACTIVE, "free", begun.period_end)
            assert await house.plan() == "pro"
            with pytest.raises(Conflict, match="cancelled already"):
                await house.cancel()
            await house.clock.set(begun.period_end)
            assert await house.renew() == {"cancelled": 1}
            assert ((await house.get()).state, await house.plan()) == (ENDED, "free")
            assert await house.renew() == {}
            assert len(await house.lines()) == 2  # the first period, and nothing after it

    asyncio.run(story())


def test_to_ask_for_the_free_plan_is_to_cancel(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("basic")
            assert (await house.ask("free")).wanted_plan == "free"
            assert (await house.last_event()).kind == "cancel_requested"

    asyncio.run(story())


@pytest.mark.parametrize("wish", ["basic", "free", "enterprise"])
def test_who_changes_their_mind_asks_for_the_plan_they_have(open_subscriptions, wish):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            await house.ask(wish)
            kept = await house.ask("pro")
            assert (kept.state, kept.wanted_plan, kept.wanted_at, kept.due) == (ACTIVE, None, None, 0)
            await house.clock.set(NOON + MONTH)
            assert await house.renew() == {"payment_due": 1}
            assert await house.plan() == "pro"

    asyncio.run(story())


def test_who_cancels_while_an_upgrade_waits_is_asked_for_nothing_more(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("basic")
            await house.ask("pro")
            left = await house.cancel()
            assert (left.state, left.wanted_plan, left.due) == (ACTIVE, "free", 0)

    asyncio.run(story())


def test_who_comes_back_begins_a_new_period_at_the_whole_price(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            await house.cancel()
            await house.clock.set(NOON + MONTH + 5 * DAY)
            await house.renew()
            assert (await house.ask("pro")).due == PRO
            again = await house.pay("bank-2")
            assert (again.state, again.period_start) == (ACTIVE, NOON + MONTH + 5 * DAY)

    asyncio.run(story())


# --- grace, dunning ------------------------------------------------------------------------------------------


def test_a_plan_that_is_not_paid_in_time_stays_for_the_days_of_grace_and_then_goes(open_subscriptions):
    async def story():
        async with open_subscriptions(grace_days=7) as house:
            await house.subscribed("pro")
            await house.clock.set(NOON + MONTH)
            assert await house.renew() == {"payment_due": 1}
            had = await house.get()
            assert (had.state, had.due, had.grace_until) == (PAST_DUE, PRO, NOON + MONTH + 7 * DAY)
            assert await house.plan() == "pro"

            await house.clock.set(had.grace_until - 1)
            assert (await house.renew(), await house.plan()) == ({}, "pro")
            await house.clock.set(had.grace_until)
            assert (await house.renew(), await house.plan()) == ({"ended": 1}, "free")
            had = await house.get()
            assert (had.state, had.plan, had.due, had.grace_until) == (ENDED, "pro", 0, None)
            assert len(await house.lines()) == 2  # nothing is owed for what was not paid
            assert (await house.last_event()).actor == "system"

    asyncio.run(story())


def test_who_pays_within_the_grace_loses_nothing_and_gains_nothing(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            begun = await house.subscribed("pro")
            await house.clock.set(begun.period_end + 6 * DAY)
            await house.renew()
            paid = await house.pay("bank-2")
            assert (paid.state, paid.plan, paid.grace_until) == (ACTIVE, "pro", None)
            assert (paid.period_start, paid.period_end) == (begun.period_end, begun.period_end + 31 * DAY)
            assert (await house.last_event()).kind == "renewed"

    asyncio.run(story())


def test_without_grace_a_plan_goes_with_its_period(open_subscriptions):
    async def story():
        async with open_subscriptions(grace_days=0) as house:
            await house.subscribed("pro")
            await house.clock.set(NOON + MONTH)
            assert await house.renew() == {"payment_due": 1, "ended": 1}
            assert await house.plan() == "free"

    asyncio.run(story())


def test_a_payment_that_failed_starts_the_grace_and_what_is_paid_then_keeps_the_period(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            begun = await house.subscribed("pro")
            await house.clock.pass_by(2 * DAY)
            for _again in range(2):
                late = await house.subscriptions.payment_failed("alice", actor="cli:op", note="cheque")
            assert (late.state, late.due, late.grace_until) == (PAST_DUE, PRO, NOON + 9 * DAY)
            assert await house.events() == ["requested", "started", "payment_failed"]
            with pytest.raises(Conflict, match=r"99\.00 is due first"):
                await house.ask("enterprise")
            paid = await house.pay("bank-2")
            assert (paid.state, paid.period_end) == (ACTIVE, begun.period_end)
            assert (await house.last_event()).kind == "recovered"

    asyncio.run(story())


@pytest.mark.parametrize("wish", ["free", "basic"])
def test_what_was_asked_for_the_next_period_outlives_a_payment_that_failed(open_subscriptions, wish):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            await house.ask(wish)
            await house.subscriptions.payment_failed("alice", actor="cli:op")
            paid = await house.pay("bank-2")
            assert (paid.state, paid.plan, paid.wanted_plan) == (ACTIVE, "pro", wish)
            await house.clock.set(NOON + MONTH)
            await house.renew()
            assert await house.plan() == wish

    asyncio.run(story())


def test_a_payment_cannot_fail_where_there_is_no_plan_to_pay(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            with pytest.raises(NotFound):
                await house.subscriptions.payment_failed("alice", actor="cli:op")
            await house.ask("pro")
            with pytest.raises(NotFound):
                await house.subscriptions.payment_failed("alice", actor="cli:op")

    asyncio.run(story())


def test_who_is_late_may_pay_for_another_plan_instead(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            begun = await house.subscribed("pro")
            await house.clock.set(begun.period_end)
            asked = await house.ask("basic")  # what is due by now is done first
            assert (asked.state, asked.plan, asked.wanted_plan, asked.due) == (
                PAST_DUE,
                "pro",
                "basic",
                BASIC,
            )
            assert await house.plan() == "pro"
            paid = await house.pay("bank-2")
            assert (paid.state, paid.plan, paid.period_start) == (ACTIVE, "basic", begun.period_end)
            assert (await house.lines())[2:] == [("payment", "29.00"), ("fee", "29.00")]

    asyncio.run(story())


def test_who_cancels_when_late_has_no_plan_at_once_and_owes_nothing(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            await house.clock.set(NOON + MONTH)
            await house.renew()
            left = await house.cancel()
            assert (left.state, left.due, await house.plan()) == (ENDED, 0, "free")

    asyncio.run(story())


# --- refused -------------------------------------------------------------------------------------------------


def test_a_plan_that_is_not_on_offer_is_refused_with_those_that_are(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            house.alter("basic", retired=True)
            for plan in ("gold", "basic", ""):
                with pytest.raises(ValidationFailed, match="free, pro, enterprise") as refused:
                    await house.ask(plan)
                assert refused.value.extra == {"plans": ["free", "pro", "enterprise"]}
                assert "可选套餐" in refused.value.detail_zh
            assert await house.get() is None

    asyncio.run(story())


def test_who_has_a_retired_plan_keeps_it(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            house.alter("pro", retired=True)
            await house.cancel()
            await house.ask("pro")  # a wish to go is taken back
            await house.clock.set(NOON + MONTH)
            await house.renew()
            assert (await house.pay("bank-2")).plan == "pro"

    asyncio.run(story())


def test_nobody_buys_what_they_have(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            with pytest.raises(Conflict, match="already"):
                await house.ask("free")
            await house.ask("basic")
            await house.pay("bank-1")
            with pytest.raises(Conflict, match='"alice" is on the plan "basic" already'):
                await house.ask("basic")

    asyncio.run(story())


def test_there_must_be_something_to_cancel_and_somebody_who_does(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            with pytest.raises(NotFound):
                await house.ask("pro", "nobody")
            with pytest.raises(NotFound):
                await house.cancel("nobody")
            await house.user()
            with pytest.raises(Conflict, match="no subscription"):
                await house.cancel()

    asyncio.run(story())


# --- the operator ----------------------------------------------------------------------------------------------


def test_an_operator_puts_a_user_on_a_plan_at_once_and_free_of_charge(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            for _again in range(2):
                await house.subscriptions.set_plan("alice", "enterprise", actor="cli:op")
            assert (await house.plan(), await house.get(), await house.lines()) == ("enterprise", None, [])
            assert (await house.events(), await house.deeds()) == (["set"], ["subscription.set"])
            await house.clock.pass_by(400 * DAY)
            assert (await house.renew(), await house.plan()) == ({}, "enterprise")

    asyncio.run(story())


@pytest.mark.parametrize("plan", ["enterprise", "pro", "free"])
def test_a_plan_that_an_operator_gives_ends_the_subscription(open_subscriptions, plan):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            await house.ask("basic")
            await house.subscriptions.set_plan("alice", plan, actor="cli:op")
            had = await house.get()
            assert (had.state, had.wanted_plan, had.due, await house.plan()) == (ENDED, None, 0, plan)
            await house.clock.pass_by(400 * DAY)
            assert (await house.renew(), await house.plan()) == ({}, plan)

    asyncio.run(story())


def test_an_operator_may_give_a_retired_plan_but_none_that_is_not_there(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            house.alter("basic", retired=True)
            await house.subscriptions.set_plan("alice", "basic", actor="cli:op")
            assert await house.plan() == "basic"
            with pytest.raises(ValidationFailed, match="gold"):
                await house.subscriptions.set_plan("alice", "gold", actor="cli:op")
            with pytest.raises(NotFound):
                await house.subscriptions.set_plan("nobody", "basic", actor="cli:op")

    asyncio.run(story())


def test_who_was_given_a_plan_chooses_a_cheaper_one_for_its_whole_price(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user(plan="enterprise")
            asked = await house.ask("basic")
            assert isinstance(asked, Subscription)
            assert (asked.state, asked.plan, asked.due) == (AWAITING, "enterprise", BASIC)
            assert (await house.pay("bank-1")).plan == "basic"

    asyncio.run(story())


def test_who_was_given_a_plan_may_go_back_to_the_free_one_at_once(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user(plan="enterprise")
            assert await house.ask("free") is None
            assert (await house.plan(), await house.events()) == ("free", ["changed"])

    asyncio.run(story())
