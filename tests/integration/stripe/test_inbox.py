"""Webhooks that come twice, late, forged or in vain, and servers that end in between: on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy import event as sql_event

from magic_eraser.billing.stripe.rows import LEASE_SECONDS, LONGEST_WAIT, MOST_ATTEMPTS, InboxRows
from magic_eraser.billing.stripe.signature import NotFromStripe
from magic_eraser.billing.tables import SubscriptionState, payment_inbox
from magic_eraser.db.base import now
from magic_eraser.errors import NotFound, ProviderUnavailable, ValidationFailed
from stripe_stand_in import signed


async def purchase(house, plan: str = "pro") -> list[dict]:
    """A user's, whose webhooks have not come yet."""
    await house.user(email="alice@example.org")
    await house.ask(plan)
    return house.stripe.pay(house.stripe.sessions()[-1]["id"])


def retrieved(stripe) -> int:
    return sum(asked.method == "GET" and "/subscriptions/" in asked.path for asked in stripe.asked)


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 (what it waits for is in a database)
            await asyncio.sleep(0.02)


# --- what comes in ---------------------------------------------------------------------------------------


def test_a_webhook_that_comes_again_is_stored_and_worked_on_once(open_house, stripe):
    async def story():
        async with open_house() as house:
            events = await purchase(house)
            assert await house.deliver(*events, *events) == [True] * 3 + [False] * 3
            assert await house.inbox.work() == 3
            assert await house.hear(*events) == 0
            assert await house.lines() == [("payment", "99.00"), ("fee", "99.00")]
            assert [row.body for row in await house.rows(sa.select(payment_inbox))] == [
                signed(event)[0].decode() for event in sorted(events, key=lambda event: event["id"])
            ]

    asyncio.run(story())


def test_the_same_webhook_at_many_servers_at_once_is_stored_once(open_house, stripe):
    async def story():
        async with open_house() as house, house.other_server() as other:
            event = (await purchase(house))[0]
            new = await asyncio.gather(*(each.deliver(event) for each in [house, other] * 5))
            assert sorted(new) == [[False]] * 9 + [[True]]

    asyncio.run(story())


@pytest.mark.parametrize(
    "fault", ["forged", "altered", "missing", "empty", "old", "nonsense", "letters", "bytes", "v0"]
)
def test_what_stripe_did_not_sign_just_now_is_refused_and_not_stored(open_house, stripe, fault):
    async def story():
        async with open_house() as house:
            event = (await purchase(house))[0]
            body, header = signed(event)
            if fault == "forged":
                header = signed(event, "whsec_of_somebody_else")[1]
            elif fault == "altered":
                body = body.replace(b"alice", b"mallo")
            elif fault == "old":
                header = signed(event, at=time.time() - 302)[1]
            elif fault == "bytes":
                body = b"\xff\xfe" + body
            elif fault == "v0":
                header = header.replace("v1=", "v0=")
            else:
                header = {"missing": None, "empty": "", "nonsense": "t=now,v1", "letters": "t=1,v1=é"}[fault]
            with pytest.raises(NotFromStripe) as told:
                await house.inbox.accept(body, header)
            assert (told.value.status, told.value.code) == (400, "validation_failed")
            assert await house.rows(sa.select(payment_inbox)) == []
            assert await house.plan() == "free"

    asyncio.run(story())


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b'{"id": "evt_1"}', b'{"id": 1, "type": "x"}', b'{"id": "", "type": "x"}',
     b'{"id": "a\\u0000", "type": "x"}', json.dumps({"id": "e" * 101, "type": "x"}).encode(), b"[" * 100_000],
)  # fmt: skip
def test_what_is_signed_but_no_event_is_refused(open_house, stripe, body):
    async def story():
        async with open_house() as house:
            with pytest.raises(ValidationFailed) as told:
                await house.inbox.accept(*signed(body))
            assert told.value.status == 422

    asyncio.run(story())


def test_a_kind_of_event_that_is_none_of_ours_is_noted_without_what_it_says(open_house, stripe):
    async def story():
        async with open_house() as house:
            event = stripe.account.event("customer.created", {"id": "cus_1", "email": "bob@example.org"})
            assert await house.hear(event) == 0
            row = await house.row(event)
            assert (row.type, row.body) == ("customer.created", "")
            assert row.processed_at is not None

    asyncio.run(story())


# --- order -----------------------------------------------------------------------------------------------


def test_an_end_that_is_heard_of_before_the_beginning_stays_the_end(open_house, stripe):
    async def story():
        async with open_house() as house:
            bought = await purchase(house)
            ended = stripe.end(stripe.sessions()[0]["subscription"])
            for event in [*ended, *bought]:
                await house.hear(event)
            assert await house.plan() == "free"
            assert await house.lines() == [("payment", "99.00"), ("fee", "99.00")]  # it was paid nevertheless

    asyncio.run(story())


def test_a_change_that_is_heard_of_before_the_purchase_is_not_undone_by_it(open_house, stripe):
    async def story():
        async with open_house() as house:
            bought = await purchase(house, "basic")
            ref = stripe.sessions()[0]["subscription"]
            before = len(stripe.account.events)
            await house.provider.change(ref, house.plans.book.plans["pro"], prorate=True)
            for event in [*stripe.account.events[before:][::-1], *bought[::-1]]:
                await house.hear(event)
            assert await house.plan() == "pro"
            assert sorted(await house.lines()) == [
                ("fee", "29.00"), ("fee", "70.00"), ("payment", "29.00"), ("payment", "70.00"),
            ]  # fmt: skip

    asyncio.run(story())


def test_a_server_that_was_slow_does_not_bring_back_how_things_were(open_house, stripe):
    """It asked Stripe before the end, and tells the database after another server told it of the end."""

    async def story():
        async with open_house() as house, house.other_server() as other:
            bought = await purchase(house)
            await house.hear(*bought[:1])
            ref = stripe.sessions()[0]["subscription"]
            ask = house.provider.subscription

            async def slowly(ref: str):
                reading = await ask(ref)
                await other.hear(*stripe.end(ref))
                return reading

            house.provider.subscription = slowly
            await house.deliver(*bought[1:2])
            await house.inbox.work()
            assert ((await house.get()).state, await house.plan()) == (SubscriptionState.ENDED, "free")
            assert stripe.account.things[ref]["status"] == "canceled"

    asyncio.run(story())


# --- Stripe away, servers ending -------------------------------------------------------------------------


def test_while_stripe_is_down_events_wait_however_long_that_is(open_house, stripe):
    async def story():
        async with open_house() as house:
            event = (await purchase(house))[0]
            await house.deliver(event)
            house.provider.subscription = refusing(house.provider.subscription, MOST_ATTEMPTS + 3)
            for _ in range(MOST_ATTEMPTS + 3):
                assert await house.inbox.work() == 1
                assert await house.inbox.work() == 0
                assert 4 < await house.due_in(event) <= LONGEST_WAIT
                await house.later()
            assert (await house.row(event)).attempts == 0
            assert await house.plan() == "free"
            assert await house.inbox.work() == 1
            row = await house.row(event)
            assert (await house.plan(), row.error) == ("pro", None)

    asyncio.run(story())


def refusing(ask, times: int):
    """As if Stripe did not answer, so many times; the real thing takes seconds each."""
    left = [times]

    async def wrapped(ref: str):
        if left[0]:
            left[0] -= 1
            raise ProviderUnavailable
        return await ask(ref)

    return wrapped


def test_a_stripe_that_really_is_down_does_no_harm(open_house, stripe):
    async def story():
        async with open_house() as house:
            events = await purchase(house)
            stripe.down = 503
            await house.hear(*events[:1])
            assert "Stripe" in (await house.row(events[0])).error
            stripe.down = None
            await house.later()
            await house.hear(*events[1:])
            assert await house.plan() == "pro"

    asyncio.run(story())


def test_the_longer_it_lasts_the_longer_are_the_pauses(open_house, stripe):
    async def story():
        async with open_house() as house:
            event = (await purchase(house))[0]
            await house.deliver(event)
            house.provider.subscription = refusing(house.provider.subscription, 3)
            for waited, pause in [(0, 5), (60, 60), (86_400, LONGEST_WAIT)]:
                async with house.database.write() as connection:
                    past = {"received_at": now() - waited, "run_at": now() - 1}
                    await connection.execute(payment_inbox.update().values(past))
                await house.inbox.work()
                assert pause - 2 < await house.due_in(event) < pause + 2

    asyncio.run(story())


def test_what_a_server_stored_before_it_ended_is_done_by_another(open_house, stripe):
    async def story():
        async with open_house() as house:
            events = await purchase(house)
            async with house.other_server() as other:
                await other.deliver(*events)
            assert await house.inbox.work() == 3
            assert await house.plan() == "pro"

    asyncio.run(story())


def test_what_a_server_was_killed_over_is_done_when_its_lease_is_over(open_house, stripe):
    async def story():
        async with open_house() as house:
            event = (await purchase(house))[0]
            await house.deliver(event)
            killed = await InboxRows(house.database, "stripe").claim()
            assert killed.event_id == event["id"]
            assert await house.inbox.work() == 0
            assert LEASE_SECONDS - 5 < await house.due_in(event) <= LEASE_SECONDS
            await house.later()
            assert await house.inbox.work() == 1
            assert await house.plan() == "pro"
            await InboxRows(house.database, "stripe").failed(killed, "it was not killed at all")  # too late
            row = await house.row(event)
            assert (row.error, row.attempts) == (None, 2)

    asyncio.run(story())


def test_many_servers_work_on_each_event_once(open_house, stripe):
    async def story():
        async with open_house() as house, house.other_server() as other:
            events = await purchase(house)
            ref = stripe.sessions()[0]["subscription"]
            subscription = stripe.account.things[ref]
            events += [stripe.account.event("customer.subscription.updated", subscription) for _ in range(17)]
            await house.deliver(*events)
            before = retrieved(stripe)
            counts = await asyncio.gather(*(each.inbox.work() for each in [house, other] * 2))
            assert sum(counts) == 20
            left = [row for row in await house.rows(sa.select(payment_inbox)) if row.processed_at is None]
            assert retrieved(stripe) - before == 20
            assert await house.plan() == "pro"
            assert [row.error for row in left if row.attempts >= MOST_ATTEMPTS] == []

    asyncio.run(story())


def test_an_event_that_always_fails_is_parked_and_keeps_no_other_from_its_turn(open_house, stripe, caplog):
    async def story():
        async with open_house() as house:
            poison, *rest = await purchase(house)
            del poison["data"]["object"]["id"]
            pauses = []
            await house.deliver(poison)
            for _ in range(MOST_ATTEMPTS):
                await house.inbox.work()
                pauses.append(await house.due_in(poison))
                await house.later()
            assert await house.inbox.work() == 0
            assert pauses[:3] == pytest.approx([5, 15, 45], abs=2)
            assert max(pauses) <= 3600
            assert await house.parked() == ["A defect of ours: KeyError."]
            await house.hear(*rest)
            assert await house.plan() == "pro"

    asyncio.run(story())
    assert "alice@example.org" not in caplog.text


# --- what a person has to look at ------------------------------------------------------------------------


def test_a_subscription_that_is_nobodys_is_parked_with_a_sentence(open_house, stripe):
    async def story():
        async with open_house() as house:
            events = await purchase(house)
            ref = stripe.sessions()[0]["subscription"]
            stripe.account.things[ref]["metadata"] = {}
            await house.hear(*events)
            assert len(await house.parked()) == 3
            assert f"{ref} is nobody's here" in (await house.parked())[0]
            assert await house.plan() == "free"

            stripe.account.things[ref]["metadata"] = {"user_id": "nobody"}
            await house.inbox.again(events[1]["id"])
            assert await house.inbox.work() == 1
            assert (
                len(
                    [error for error in await house.parked() if 'the user "nobody", who is not here' in error]
                )
                == 1
            )

            stripe.account.things[ref]["metadata"] = {"user_id": "alice"}
            await house.inbox.again(events[1]["id"])
            await house.inbox.work()
            assert await house.plan() == "pro"
            with pytest.raises(NotFound, match="evt_none"):
                await house.inbox.again("evt_none")
            with pytest.raises(NotFound):  # it was done
                await house.inbox.again(events[1]["id"])

    asyncio.run(story())


def test_a_subscription_of_two_users_changes_neither(open_house, stripe):
    async def story():
        async with open_house() as house:
            ref = await house.bought("pro")
            await house.user("mallory")
            stripe.account.things[ref]["metadata"]["user_id"] = "mallory"
            await house.hear(
                stripe.account.event("customer.subscription.updated", stripe.account.things[ref])
            )
            assert f'{ref} is that of "alice" here and of "mallory"' in (await house.parked())[0]
            assert (await house.plan("alice"), await house.plan("mallory")) == ("pro", "free")

    asyncio.run(story())


def test_a_subscription_made_at_stripe_for_a_customer_who_is_known_is_theirs(open_house, stripe):
    async def story():
        async with open_house() as house:
            await house.hear(*stripe.end(await house.bought("basic")))
            events = await anothers(house, metadata={})
            await house.hear(*events)
            assert await house.plan() == "pro"

    asyncio.run(story())


async def anothers(house, **values) -> list[dict]:
    """Another subscription of alice's customer, made by hand at Stripe."""
    await house.ask("pro") if not (await house.get()).begun else None
    account = house.stripe.account
    first = next(iter(house.stripe.all("subscription")))
    made = account.make(
        "sub", "subscription", **({k: v for k, v in first.items() if k not in {"id", "object"}})
    )
    item = {**first["items"]["data"][0], "id": account.id("si"), "price": account.price("price_pro", "price")}
    item |= {"current_period_start": item["current_period_start"] + 60}
    made |= {"items": {"data": [item]}, "status": "active", **values}
    return [account.event("customer.subscription.created", made)]


def test_who_pays_for_two_subscriptions_is_told_of(open_house, stripe):
    async def story():
        async with open_house() as house:
            first = await house.bought("basic")
            await house.hear(*await anothers(house))
            second = stripe.all("subscription")[-1]["id"]
            assert (
                f'"alice" pays for two subscriptions at Stripe, {first} and {second}'
                in (await house.parked())[0]
            )
            assert await house.plan() == "pro"  # both are paid for

    asyncio.run(story())


def test_a_price_that_is_no_plans_is_parked_until_the_plans_have_it(open_house, stripe):
    async def story():
        async with open_house() as house:
            events = await purchase(house)
            ref = stripe.sessions()[0]["subscription"]
            item = stripe.account.things[ref]["items"]["data"][0]
            item["price"] = stripe.account.price("price_old", "price")
            await house.hear(events[0])
            assert "price_old" in (await house.parked())[0]
            assert await house.plan() == "free"
            old = house.plans.book
            mended = {**old.plans, "basic": replace(old.plans["basic"], stripe_price="price_old")}
            house.plans.book = replace(old, plans=mended)
            await house.inbox.again(events[0]["id"])
            await house.inbox.work()
            assert (await house.plan(), await house.parked()) == ("basic", [])

    asyncio.run(story())


def test_who_bought_at_a_price_that_was_raised_since_keeps_the_plan(open_house, stripe):
    async def story():
        async with open_house() as house:
            ref = await house.bought("pro")
            old = house.plans.book
            stripe.account.prices["price_new"] = 12900
            raised = {**old.plans, "pro": replace(old.plans["pro"], stripe_price="price_new")}
            house.plans.book = replace(old, plans=raised)
            await house.hear(*stripe.renew(ref))
            assert (await house.plan(), await house.parked()) == ("pro", [])
            assert (await house.lines())[-1] == ("fee", "99.00")

    asyncio.run(story())


def test_a_payment_in_another_currency_brings_the_plan_and_is_left_to_a_person(open_house, stripe):
    async def story():
        async with open_house() as house:
            stripe.account.currency = "eur"
            await house.hear(*await purchase(house))
            assert await house.plan() == "pro"
            assert await house.lines() == []
            assert (
                "was paid in eur (99.00), and the plans of this server are in usd"
                in (await house.parked())[0]
            )

    asyncio.run(story())


def test_events_of_real_money_are_not_believed_beside_a_key_for_tests(open_house, stripe):
    async def story():
        async with open_house() as house:
            event = (await purchase(house))[0]
            await house.hear(event | {"livemode": True})
            assert "live mode" in (await house.parked())[0]
            assert await house.plan() == "free"

    asyncio.run(story())


def test_what_else_is_sold_there_is_none_of_our_business(open_house, stripe):
    async def story():
        async with open_house() as house:
            session = {"id": "cs_1", "object": "checkout.session", "mode": "payment", "subscription": None}
            invoice = {
                "id": "in_1",
                "object": "invoice",
                "parent": None,
                "amount_paid": 100,
                "currency": "usd",
            }
            events = [
                stripe.account.event("checkout.session.completed", session),
                stripe.account.event("invoice.paid", invoice),
            ]
            assert await house.hear(*events) == 2
            assert await house.parked() == []
            gone = {"id": "sub_gone", "object": "subscription"}
            await house.hear(stripe.account.event("customer.subscription.updated", gone))
            assert "Stripe knows no subscription sub_gone" in (await house.parked())[0]

    asyncio.run(story())


def test_events_in_the_shape_of_older_versions_are_understood(open_house, stripe):
    async def story():
        async with open_house() as house:
            created, paid, _ = await purchase(house)
            invoice = paid["data"]["object"]
            invoice["subscription"] = invoice.pop("parent")["subscription_details"]["subscription"]
            subscription = stripe.account.things[stripe.sessions()[0]["subscription"]]
            item = subscription["items"]["data"][0]
            for name in ("current_period_start", "current_period_end"):
                subscription[name] = item.pop(name)
            await house.hear(created, paid)
            assert await house.plan() == "pro"
            assert await house.lines() == [("payment", "99.00"), ("fee", "99.00")]

    asyncio.run(story())


# --- the loop --------------------------------------------------------------------------------------------


def test_a_webhook_is_worked_on_at_once_and_at_rest_nothing_is_asked(open_house, stripe):
    async def story():
        async with open_house() as house:
            events = await purchase(house)
            house.inbox.start()
            await asyncio.sleep(0.2)
            statements: list[str] = []
            sql_event.listen(
                house.database.engine.sync_engine,
                "before_cursor_execute",
                lambda _conn, _cursor, statement, *_rest: statements.append(statement),
            )
            await asyncio.sleep(0.5)
            assert statements == []
            start = time.monotonic()
            await house.deliver(*events)

            async def in_force() -> bool:
                return await house.plan() == "pro"

            await until(in_force)
            assert time.monotonic() - start < 5
            await house.inbox.stop()

    asyncio.run(story())


def test_what_waits_is_tried_again_without_anybody_asking(open_house, stripe):
    async def story():
        async with open_house() as house:
            event = (await purchase(house))[0]
            await house.deliver(event)
            async with house.database.write() as connection:
                await connection.execute(payment_inbox.update().values(run_at=now() + 0.5))
            house.inbox.start()

            async def done() -> bool:
                return (await house.row(event)).processed_at is not None

            await until(done)
            await house.inbox.stop()

    asyncio.run(story())


def test_a_server_that_leaves_gives_back_what_it_works_on(open_house, stripe):
    async def story():
        async with open_house() as house, house.other_server() as other:
            event = (await purchase(house))[0]
            stripe.hold.clear()
            house.inbox.start()
            await house.deliver(event)
            before = len(stripe.asked)

            async def asking() -> bool:
                return len(stripe.asked) > before

            await until(asking)
            await house.inbox.stop()
            assert (await house.row(event)).attempts == 0
            stripe.hold.set()
            assert await other.inbox.work() == 1
            assert await house.plan() == "pro"

    asyncio.run(story())


def test_what_was_worked_on_a_month_ago_is_forgotten_and_what_is_parked_is_not(open_house, stripe):
    async def story():
        async with open_house() as house:
            done, parked, recent = await purchase(house)
            await house.hear(done, parked | {"livemode": True})
            async with house.database.write() as connection:
                old = payment_inbox.update().where(payment_inbox.c.processed_at.is_not(None))
                await connection.execute(old.values(processed_at=now() - 31 * 86_400))
            await house.hear(recent)
            assert await house.inbox.prune() == 1
            left = {row.event_id for row in await house.rows(sa.select(payment_inbox))}
            assert left == {parked["id"], recent["id"]}

    asyncio.run(story())
