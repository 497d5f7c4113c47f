"""Payments that an admin marks: counted once, for what is due, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest

from magic_eraser.billing.tables import Account, SubscriptionState
from magic_eraser.errors import Conflict, NotFound, ValidationFailed
from subscription_house import BASIC, DAY, MONTH, NOON, PRO

ACTIVE, AWAITING, PAST_DUE, ENDED = SubscriptionState


async def calls(house, amount: int) -> None:
    """Calls that are to be paid."""
    async with house.database.write() as connection:
        await house.ledger.post(
            connection,
            tenant_id="alice",
            source="call",
            source_id=f"call-{amount}",
            from_account=Account.OWED,
            to_account=Account.REVENUE,
            amount=amount,
        )


def test_a_payment_that_is_told_again_counts_once(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            begun = await house.subscribed("pro")  # paid as "first"
            for amount in (None, PRO):
                assert await house.pay("first", amount) == begun
            await house.clock.set(NOON + MONTH)
            again = await house.pay("first")  # also when the next period is due
            assert (again.state, again.due) == (PAST_DUE, PRO)
            assert len(await house.lines()) == 2

    asyncio.run(story())


def test_a_reference_that_is_known_with_another_amount_is_refused(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            with pytest.raises(Conflict, match=r'"first" is known with the amount 99\.00'):
                await house.pay("first", PRO + 1)

    asyncio.run(story())


def test_a_reference_counts_for_one_user_and_as_a_whole(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            await house.subscribed("pro", "bob")  # paid as "first" too
            await house.ask("enterprise")
            for reference in ("first/2", "FIRST", "fir%", "f_rst"):
                await house.ask("enterprise")
                await house.pay(reference)
                await house.subscriptions.set_plan("alice", "free", actor="cli:op")
                await house.ask("pro")
                await house.pay(f"{reference} again")
            assert [line for line in await house.lines("bob") if line[0] == "payment"] == [
                ("payment", "99.00")
            ]
            assert len(await house.lines()) == 2 + 4 * 4

    asyncio.run(story())


@pytest.mark.parametrize("amount", [1, BASIC, PRO - 1])
def test_less_than_what_is_due_is_refused_and_says_what_is(open_subscriptions, amount):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            await house.ask("pro")
            with pytest.raises(ValidationFailed, match=r"99\.00 for the plan and 0\.00 for calls") as refused:
                await house.pay("bank-1", amount)
            assert refused.value.extra == {"due": "99.00", "owed": "0.00"}
            assert "99.00" in refused.value.detail_zh
            assert (await house.plan(), await house.lines()) == ("free", [])

    asyncio.run(story())


@pytest.mark.parametrize("amount", [PRO + 1, 2 * PRO])
def test_more_than_what_is_due_is_refused(open_subscriptions, amount):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            await house.ask("pro")
            with pytest.raises(ValidationFailed, match=r"99\.00 for the plan"):
                await house.pay("bank-1", amount)

    asyncio.run(story())


def test_what_is_paid_beside_the_plan_is_for_calls(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            await calls(house, 500_000)
            await house.ask("pro")
            assert (await house.pay("bank-1", PRO + 300_000)).plan == "pro"
            assert await house.owed() == 200_000
            assert (await house.lines())[1:] == [("payment", "102.00"), ("fee", "99.00")]

    asyncio.run(story())


def test_where_no_plan_is_due_calls_are_paid(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            begun = await house.subscribed("pro")
            await calls(house, 500_000)
            assert await house.pay("bank-2", 100_000) == begun
            assert await house.owed() == 400_000
            await house.pay("bank-3")
            assert await house.owed() == 0
            with pytest.raises(Conflict, match="Nothing is due"):
                await house.pay("bank-4")

    asyncio.run(story())


@pytest.mark.parametrize("amount", [0, 500_001])
def test_calls_are_paid_by_what_they_cost_at_most(open_subscriptions, amount):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            await calls(house, 500_000)
            with pytest.raises((ValidationFailed, Conflict)):
                await house.pay("bank-1", amount)
            assert await house.owed() == 500_000

    asyncio.run(story())


@pytest.mark.parametrize("amount", [0, -PRO])
def test_no_payment_is_nothing_or_less(open_subscriptions, amount):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            await house.ask("pro")
            with pytest.raises((ValidationFailed, Conflict)):
                await house.pay("bank-1", amount)
            assert await house.lines() == []

    asyncio.run(story())


@pytest.mark.parametrize("reference", ["", "x" * 61])
def test_a_reference_has_1_to_60_characters(open_subscriptions, reference):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            await house.ask("pro")
            with pytest.raises(ValidationFailed, match="reference"):
                await house.pay(reference)
            assert (await house.plan(), await house.lines()) == ("free", [])

    asyncio.run(story())


def test_nobody_pays_for_a_user_who_is_not_there(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            with pytest.raises(NotFound):
                await house.pay("bank-1", id="nobody")

    asyncio.run(story())


def test_what_was_asked_is_what_is_paid_when_the_price_changes_meanwhile(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            await house.ask("pro")
            house.alter("pro", price=2 * PRO)
            assert (await house.pay("bank-1", PRO)).plan == "pro"
            await house.clock.set(NOON + MONTH)
            await house.renew()
            assert (await house.get()).due == 2 * PRO

    asyncio.run(story())


def test_a_plan_that_is_gone_from_the_file_cannot_be_paid(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            await house.ask("pro")
            house.without("pro")
            with pytest.raises(Conflict, match='"pro" is not on offer any more'):
                await house.pay("bank-1")
            assert await house.lines() == []
            assert (await house.ask("basic")).due == BASIC

    asyncio.run(story())


def test_a_fee_that_was_given_back_stays_in_the_ledger_beside_its_refund(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            fee = (await house.ledger.entries("alice", source="fee"))[0]
            await house.clock.pass_by(DAY)
            await house.ledger.refund(fee.id, reference="ticket-1", actor="cli:op")
            assert await house.lines() == [("payment", "99.00"), ("fee", "99.00"), ("refund", "99.00")]
            assert (await house.owed(), await house.plan()) == (-PRO, "pro")

    asyncio.run(story())
