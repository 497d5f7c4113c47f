"""Two changes at once and ends half-way, on SQLite and PostgreSQL: nobody is charged twice, nothing is half done."""

from __future__ import annotations

import asyncio

import pytest

from magic_eraser.accounts.tables import users
from magic_eraser.billing.subscriptions import changes, subscriptions
from magic_eraser.billing.subscriptions.changes import Change, lock, make
from magic_eraser.billing.tables import SubscriptionState
from magic_eraser.errors import Conflict
from subscription_house import BASIC, DAY, ENTERPRISE, MONTH, NOON, PRO

ACTIVE, AWAITING, PAST_DUE, ENDED = SubscriptionState


async def settled(*asked) -> list[str]:
    """The kinds of what came of them."""
    return sorted(type(each).__name__ for each in await asyncio.gather(*asked, return_exceptions=True))


def test_two_upgrades_at_once_are_one_wish(open_subscriptions):
    async def story():
        async with open_subscriptions() as house, house.other_server() as other:
            await house.subscribed("basic")
            await asyncio.gather(*(server.ask("pro") for server in [house, other] * 4))
            had = await house.get()
            assert (had.wanted_plan, had.due) == ("pro", PRO - BASIC)
            assert (await house.pay("bank-1")).plan == "pro"
            assert (await house.lines())[2:] == [("payment", "70.00"), ("proration", "70.00")]

    asyncio.run(story())


def test_of_two_upgrades_to_different_plans_the_last_counts_and_is_paid_once(open_subscriptions):
    async def story():
        async with open_subscriptions() as house, house.other_server() as other:
            await house.subscribed("basic")
            await asyncio.gather(house.ask("pro"), other.ask("enterprise"))
            had = await house.get()
            due = {"pro": PRO, "enterprise": ENTERPRISE}[had.wanted_plan] - BASIC
            assert had.due == due
            assert (await house.pay("bank-1", due)).plan == had.wanted_plan

    asyncio.run(story())


def test_two_first_wishes_at_once_make_one_subscription(open_subscriptions):
    async def story():
        async with open_subscriptions() as house, house.other_server() as other:
            await house.user()
            await asyncio.gather(*(server.ask("pro") for server in [house, other] * 4))
            assert (await house.get()).version == 7
            assert (await house.pay("bank-1")).plan == "pro"

    asyncio.run(story())


def test_a_payment_that_two_admins_mark_at_once_counts_once(open_subscriptions):
    async def story():
        async with open_subscriptions() as house, house.other_server() as other:
            await house.user()
            await house.ask("pro")
            paid = await asyncio.gather(*(server.pay("bank-1", PRO) for server in [house, other] * 4))
            assert {each.plan for each in paid} == {"pro"}
            assert await house.lines() == [("payment", "99.00"), ("fee", "99.00")]
            assert (await house.events()).count("started") == 1

    asyncio.run(story())


def test_what_is_due_is_not_paid_by_two_references(open_subscriptions):
    async def story():
        async with open_subscriptions() as house, house.other_server() as other:
            await house.user()
            await house.ask("pro")
            came = await settled(house.pay("bank-1", PRO), other.pay("bank-2", PRO))
            assert came == ["Conflict", "Subscription"]
            assert len(await house.lines()) == 2

    asyncio.run(story())


def test_a_payment_and_the_end_of_the_grace_at_once_leave_one_of_the_two(open_subscriptions):
    async def story():
        async with open_subscriptions() as house, house.other_server() as other:
            await house.subscribed("pro")
            await house.clock.set(NOON + MONTH)
            await house.renew()
            await house.clock.pass_by(7 * DAY)
            await settled(house.pay("bank-2"), other.renew())
            had = await house.get()
            assert (had.state, await house.plan(), len(await house.lines())) in {
                (ACTIVE, "pro", 4),
                (ENDED, "free", 2),
            }

    asyncio.run(story())


def test_an_upgrade_and_a_cancellation_at_once_end_as_one_of_the_two(open_subscriptions):
    async def story():
        async with open_subscriptions() as house, house.other_server() as other:
            await house.subscribed("basic")
            await settled(house.ask("pro"), other.cancel())
            had = await house.get()
            assert (had.wanted_plan, had.state) in {("pro", AWAITING), ("free", ACTIVE)}

    asyncio.run(story())


def test_a_change_of_what_somebody_else_changed_is_refused(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("pro")
            async with house.database.write() as connection:
                before = await lock(connection, "alice")
            await house.cancel()
            with pytest.raises(Conflict, match="changed by somebody else"):
                async with house.database.write() as connection:
                    await make(connection, before, Change("set", before.subscription, plan="basic"), "cli:op")
            assert (await house.plan(), (await house.last_event()).kind) == ("pro", "cancel_requested")

    asyncio.run(story())


def test_a_subscription_that_somebody_else_began_is_not_begun_again(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user()
            async with house.database.write() as connection:
                before = await lock(connection, "alice")
            asked = await house.ask("pro")
            with pytest.raises(Conflict):
                async with house.database.write() as connection:
                    await make(connection, before, Change("requested", asked), "cli:op")

    asyncio.run(story())


@pytest.mark.parametrize("breaks", ["record", "post"])
def test_a_payment_that_breaks_off_leaves_nothing_and_may_be_told_again(
    open_subscriptions, monkeypatch, breaks
):
    """Whatever ends the process between two statements, the transaction goes with it."""

    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("basic")
            await house.ask("pro")
            before = (await house.get(), await house.lines(), await house.events(), await house.deeds())

            async def end(*_args, **_more):
                raise KeyboardInterrupt

            with monkeypatch.context() as patched:
                if breaks == "record":
                    patched.setattr(changes.audit, "record", end)
                else:
                    patched.setattr(house.ledger, "post", end)
                with pytest.raises(KeyboardInterrupt):
                    await house.pay("bank-2")
            now = (await house.get(), await house.lines(), await house.events(), await house.deeds())
            assert (now, await house.plan()) == (before, "basic")
            assert (await house.pay("bank-2")).plan == "pro"
            assert len(await house.lines()) == 4

    asyncio.run(story())


def test_a_renewal_that_breaks_off_leaves_nothing_and_is_done_the_next_time(open_subscriptions, monkeypatch):
    async def story():
        async with open_subscriptions(grace_days=0) as house:
            await house.subscribed("pro")
            await house.clock.set(NOON + MONTH)
            made = []

            async def second(within, before, change, actor):
                made.append(change.kind)
                if len(made) == 2:
                    raise KeyboardInterrupt
                return await make(within, before, change, actor)

            with monkeypatch.context() as patched:
                patched.setattr(subscriptions, "make", second)
                with pytest.raises(KeyboardInterrupt):
                    await house.renew()
            assert made == ["payment_due", "ended"]
            assert ((await house.get()).state, await house.plan()) == (ACTIVE, "pro")
            assert await house.renew() == {"payment_due": 1, "ended": 1}

    asyncio.run(story())


def test_every_change_has_its_event_and_its_line_of_the_audit_log(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.subscribed("basic")
            await house.ask("pro")
            await house.pay("bank-2")
            await house.ask("basic")
            await house.cancel()
            await house.ask("pro")
            await house.clock.set(NOON + MONTH)
            await house.renew()
            await house.subscriptions.set_plan("alice", "free", actor="cli:op")
            kinds = await house.events()
            assert kinds == [
                "requested",
                "started",
                "requested",
                "upgraded",
                "downgrade_requested",
                "cancel_requested",
                "resumed",
                "payment_due",
                "set",
            ]
            deeds = [deed for deed in await house.deeds() if deed.startswith("subscription.")]
            assert deeds == [f"subscription.{kind}" for kind in kinds]

    asyncio.run(story())


def test_a_user_who_is_changed_keeps_what_the_subscription_did_not_change(open_subscriptions):
    async def story():
        async with open_subscriptions() as house:
            await house.user(email="alice@example.com")
            await house.ask("pro")
            await house.pay("bank-1")
            row = (await house.rows(users.select()))[0]
            assert (row.email, row.role, row.plan) == ("alice@example.com", "user", "pro")

    asyncio.run(story())
