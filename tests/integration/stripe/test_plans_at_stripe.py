"""Plans bought, changed, paid late and cancelled at a stand-in for Stripe: by Stripe's own library over a socket, with
webhooks that are really signed, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import traceback

import pytest

from magic_eraser.billing.subscriptions.subscription import MANUAL
from magic_eraser.billing.tables import SubscriptionState
from magic_eraser.errors import Conflict, PaymentRequired, ProviderUnavailable, ValidationFailed
from stripe_house import BACK

ACTIVE, AWAITING, PAST_DUE, ENDED = (
    SubscriptionState.ACTIVE, SubscriptionState.AWAITING, SubscriptionState.PAST_DUE, SubscriptionState.ENDED,
)  # fmt: skip
SESSIONS = "/v1/checkout/sessions"


# --- buying ----------------------------------------------------------------------------------------------


def test_a_plan_is_in_force_when_the_webhooks_of_its_payment_have_come(open_house, stripe):
    async def story():
        async with open_house() as house:
            await house.user(email="alice@example.org")
            asked = await house.ask("pro")
            session = stripe.sessions()[0]
            assert asked.checkout_url == session["url"]
            assert (asked.state, asked.wanted_plan, await house.plan()) == (AWAITING, "pro", "free")

            await house.hear(*stripe.pay(session["id"]))

            had = await house.get()
            assert (had.plan, had.state, had.wanted_plan, had.due) == ("pro", ACTIVE, None, 0)
            assert (had.provider, had.provider_ref) == ("stripe", session["subscription"])
            assert had.customer_ref == session["customer"]
            assert had.period_end - had.period_start == 30 * 86_400
            assert await house.plan() == "pro"
            assert "alice" in house.forgotten
            assert await house.lines() == [("payment", "99.00"), ("fee", "99.00")]
            assert await house.events() == ["requested", "started", "paid"]
            assert await house.parked() == []

    asyncio.run(story())


def test_what_stripe_is_told_of_the_buyer(open_house, stripe):
    async def story():
        async with open_house() as house:
            await house.user("auth0|ali=1", email="alice@example.org")
            await house.ask("basic", "auth0|ali=1")
            told = stripe.posts(SESSIONS)[0].form
            about = {"user_id": "auth0|ali=1", "plan": "basic", "price": "price_basic"}
            assert told["client_reference_id"] == "auth0|ali=1"
            assert told["metadata"] == told["subscription_data"]["metadata"] == about
            assert (told["success_url"], told["cancel_url"], told["mode"]) == (BACK, BACK, "subscription")
            assert told["line_items"] == {"0": {"price": "price_basic", "quantity": "1"}}
            customer = stripe.posts("/v1/customers")[0]
            assert customer.form == {"email": "alice@example.org", "metadata": {"user_id": "auth0|ali=1"}}
            assert customer.key.startswith("customer-")

    asyncio.run(story())


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_the_webhooks_of_a_purchase_does_not_matter(open_house, stripe, order):
    async def story():
        async with open_house() as house:
            await house.user()
            await house.ask("pro")
            events = stripe.pay(stripe.sessions()[0]["id"])
            for place in order:
                assert await house.hear(events[place]) == 1
            assert (await house.plan(), (await house.get()).state) == ("pro", ACTIVE)
            assert await house.lines() == [("payment", "99.00"), ("fee", "99.00")]
            assert await house.parked() == []

    asyncio.run(story())


def test_the_same_page_is_shown_again_and_no_second_one_stays_open(open_house, stripe):
    async def story():
        async with open_house() as house:
            await house.user()
            first = await house.ask("pro")
            assert (await house.ask("pro")).checkout_url == first.checkout_url
            assert len(stripe.posts(SESSIONS)) == 1
            other = await house.ask("basic")
            assert other.checkout_url != first.checkout_url
            assert [page["status"] for page in stripe.sessions()] == ["expired", "open"]
            back = await house.ask("pro")
            assert back.checkout_url not in {first.checkout_url, other.checkout_url, None}
            assert [page["status"] for page in stripe.sessions()] == ["expired", "expired", "open"]
            assert len(stripe.all("customer")) == 1

    asyncio.run(story())


def test_two_clicks_at_once_make_one_page(open_house, stripe):
    async def story():
        async with open_house() as house:
            await house.user()
            plan = house.plans.book.plans["pro"]
            urls = await asyncio.gather(
                *(house.provider.checkout("alice", None, plan, BACK) for _ in range(4))
            )
            assert len(set(urls)) == 1
            assert len(stripe.sessions()) == len(stripe.all("customer")) == 1

    asyncio.run(story())


def test_an_answer_that_was_lost_is_asked_for_again_and_nothing_is_made_twice(open_house, stripe):
    async def story():
        async with open_house() as house:
            await house.user()
            stripe.lose = ["/v1/customers", SESSIONS]
            assert (await house.ask("pro")).checkout_url == stripe.sessions()[0]["url"]
            assert len(stripe.all("customer")) == len(stripe.sessions()) == 1
            for path in ("/v1/customers", SESSIONS):
                first, second = stripe.posts(path)
                assert first == second  # the same intent by its key

    asyncio.run(story())


def test_nobody_buys_twice_while_the_webhook_is_on_its_way(open_house, stripe):
    async def story():
        async with open_house() as house:
            await house.user()
            await house.ask("pro")
            events = stripe.pay(stripe.sessions()[0]["id"])
            with pytest.raises(Conflict, match="already"):
                await house.ask("basic")
            assert len(stripe.sessions()) == 1
            await house.hear(*events)
            assert await house.plan() == "pro"

    asyncio.run(story())


def test_a_buyer_of_before_is_the_same_customer(open_house, stripe):
    async def story():
        async with open_house() as house:
            first = await house.bought("basic")
            await house.hear(*stripe.end(first))
            assert ((await house.get()).state, await house.plan()) == (ENDED, "free")
            await house.ask("pro")
            await house.hear(*stripe.pay(stripe.sessions()[-1]["id"]))
            assert await house.plan() == "pro"
            assert len(stripe.all("customer")) == 1

    asyncio.run(story())


def test_a_customer_that_was_deleted_at_stripe_is_made_anew(open_house, stripe):
    async def story():
        async with open_house() as house:
            first = await house.bought("basic")
            await house.hear(*stripe.end(first))
            gone = (await house.get()).customer_ref
            del stripe.account.things[gone]
            asked = await house.ask("pro")
            assert asked.checkout_url
            assert [customer["id"] for customer in stripe.all("customer")] != [gone]
            with pytest.raises(Conflict, match="does not know this customer"):
                await house.provider.portal(gone, BACK)

    asyncio.run(story())


def test_what_is_not_for_sale_there_cannot_be_bought(open_house, stripe):
    async def story():
        async with open_house() as house:
            await house.user()
            with pytest.raises(ValidationFailed, match="cannot be bought online"):
                await house.provider.checkout("alice", None, house.plans.book.plans["free"], BACK)
            assert stripe.asked == []
            del stripe.account.prices["price_pro"]
            with pytest.raises(ValidationFailed, match="price_pro"):
                await house.ask("pro")
            assert (await house.get()).wanted_plan is None

    asyncio.run(story())


@pytest.mark.parametrize("down", [500, 503, 429, "hang up"])
def test_a_stripe_that_is_down_is_503_and_the_wish_is_taken_back(open_house, stripe, down):
    async def story():
        async with open_house() as house:
            await house.user()
            stripe.down = down
            with pytest.raises(ProviderUnavailable) as told:
                await house.ask("pro")
            assert told.value.retry_after
            assert len(stripe.asked) == (1 if down == 429 else 3)  # the library's own attempts
            assert (await house.plan(), (await house.get()).wanted_plan) == ("free", None)
            stripe.down = None
            assert (await house.ask("pro")).checkout_url

    asyncio.run(story())


def test_a_stripe_that_hangs_is_given_up(open_house, stripe):
    async def story():
        async with open_house(all_seconds=0.5) as house:
            await house.user()
            stripe.hold.clear()
            with pytest.raises(ProviderUnavailable, match=r"within 0\.5 s"):
                await house.ask("pro")
            stripe.hold.set()

    asyncio.run(story())


def test_a_key_that_stripe_does_not_know_is_the_operators_business(open_house, stripe):
    async def story():
        async with open_house() as house:
            await house.user()
            stripe.key = "sk_test_another"
            with pytest.raises(ProviderUnavailable, match="key") as told:
                await house.ask("pro")
            assert "sk_test" not in "".join(traceback.format_exception(told.value))

    asyncio.run(story())


# --- changing --------------------------------------------------------------------------------------------


def test_an_upgrade_is_charged_at_once_and_in_force_when_stripe_says_so(open_house, stripe):
    async def story():
        async with open_house() as house:
            ref = await house.bought("basic")
            before = len(stripe.account.events)
            await house.ask("pro")
            change = stripe.posts(f"/v1/subscriptions/{ref}")[-1]
            assert change.form["proration_behavior"] == "always_invoice"
            assert change.form["payment_behavior"] == "pending_if_incomplete"
            assert change.key.startswith("upgrade-")
            await house.hear(*stripe.account.events[before:])
            assert (await house.plan(), (await house.get()).state) == ("pro", ACTIVE)
            assert await house.lines() == [
                ("payment", "29.00"), ("fee", "29.00"), ("payment", "70.00"), ("fee", "70.00"),
            ]  # fmt: skip
            assert await house.parked() == []

    asyncio.run(story())


def test_an_upgrade_whose_card_is_refused_changes_nothing_until_it_is_paid(open_house, stripe):
    async def story():
        async with open_house() as house:
            ref = await house.bought("basic")
            stripe.account.cards_refused = True
            before = len(stripe.account.events)
            with pytest.raises(PaymentRequired) as told:
                await house.ask("pro")
            assert told.value.extra["pay_url"].startswith("https://invoice.stripe.test/")
            await house.hear(*stripe.account.events[before:])
            had = await house.get()
            assert (await house.plan(), had.state, had.grace_until) == ("basic", ACTIVE, None)

            with pytest.raises(PaymentRequired):  # the same again is not charged again
                await house.ask("pro")
            assert len(stripe.posts(f"/v1/subscriptions/{ref}")) == 1

            stripe.account.cards_refused = False
            await house.hear(*stripe.settle(ref))
            assert (await house.plan(), (await house.get()).state) == ("pro", ACTIVE)
            assert (await house.lines())[-1] == ("fee", "70.00")

    asyncio.run(story())


def test_an_upgrade_whose_answer_is_lost_is_charged_once(open_house, stripe):
    async def story():
        async with open_house() as house:
            ref = await house.bought("basic")
            before = len(stripe.account.events)
            stripe.lose = [f"/v1/subscriptions/{ref}"]
            await house.ask("pro")
            first, second = stripe.posts(f"/v1/subscriptions/{ref}")
            assert first.key == second.key
            await house.hear(*stripe.account.events[before:])
            assert await house.plan() == "pro"
            assert [line for line in await house.lines() if line[0] == "fee"] == [
                ("fee", "29.00"),
                ("fee", "70.00"),
            ]

    asyncio.run(story())


def test_an_upgrade_asked_for_thrice_at_once_is_charged_once(open_house, stripe):
    async def story():
        async with open_house() as house:
            ref = await house.bought("basic")
            before = len(stripe.asked)
            stripe.hold.clear()
            pro = house.plans.book.plans["pro"]
            changes = asyncio.gather(*(house.provider.change(ref, pro, prorate=True) for _ in range(3)))
            async with asyncio.timeout(5):
                while len(stripe.asked) < before + 3:  # noqa: ASYNC110 (each has looked, and seen the old plan)
                    await asyncio.sleep(0.01)
            stripe.hold.set()
            await changes
            assert len(stripe.posts(f"/v1/subscriptions/{ref}")) == 3
            reasons = [invoice["billing_reason"] for invoice in stripe.all("invoice")]
            assert reasons == ["subscription_create", "subscription_update"]

    asyncio.run(story())


def test_a_downgrade_costs_nothing_now_and_less_from_the_next_period_on(open_house, stripe):
    async def story():
        async with open_house() as house:
            ref = await house.bought("pro")
            before = len(stripe.account.events)
            asked = await house.ask("basic")
            assert (asked.plan, asked.wanted_plan, asked.wanted_at) == ("pro", "basic", asked.period_end)
            assert stripe.posts(f"/v1/subscriptions/{ref}")[-1].form["proration_behavior"] == "none"
            await house.hear(*stripe.account.events[before:])
            had = await house.get()
            assert (had.plan, had.wanted_plan, await house.plan()) == ("pro", "basic", "pro")
            assert await house.lines() == [("payment", "99.00"), ("fee", "99.00")]

            await house.hear(*stripe.renew(ref))
            had = await house.get()
            assert (had.plan, had.wanted_plan, await house.plan()) == ("basic", None, "basic")
            assert (await house.lines())[-2:] == [("payment", "29.00"), ("fee", "29.00")]

    asyncio.run(story())


def test_a_downgrade_taken_back_and_an_upgrade_instead_charge_the_difference_to_what_was_paid(
    open_house, stripe
):
    async def story():
        async with open_house() as house:
            ref = await house.bought("pro")
            await house.ask("basic")
            before = len(stripe.account.events)
            await house.ask("enterprise")
            await house.hear(*stripe.account.events[before:])
            assert await house.plan() == "enterprise"
            assert (await house.lines())[-1] == ("fee", "200.00")  # 299 - 99, not 299 - 29
            await house.ask("basic")
            await house.ask("enterprise")  # stays
            price = stripe.account.things[ref]["items"]["data"][0]["price"]["id"]
            assert (price, (await house.get()).wanted_plan) == ("price_enterprise", None)

    asyncio.run(story())


def test_a_change_at_stripes_own_page_is_heard_of(open_house, stripe):
    async def story():
        async with open_house() as house:
            ref = await house.bought("basic")
            subscription = stripe.account.things[ref]
            subscription["items"]["data"][0]["price"] = stripe.account.price("price_pro", "price")
            await house.hear(stripe.account.event("customer.subscription.updated", subscription))
            assert await house.plan() == "pro"

    asyncio.run(story())


# --- late, cancelled, ended ------------------------------------------------------------------------------


def test_a_failed_payment_is_late_and_one_that_comes_after_all_puts_it_right(open_house, stripe):
    async def story():
        async with open_house() as house:
            ref = await house.bought("pro")
            await house.hear(*stripe.renew(ref, paid=False))
            late = await house.get()
            assert (late.state, await house.plan()) == (PAST_DUE, "pro")
            assert late.grace_until is not None
            await house.hear(*stripe.settle(ref))
            had = await house.get()
            assert (had.state, had.grace_until, had.due, await house.plan()) == (ACTIVE, None, 0, "pro")
            assert await house.lines() == [("payment", "99.00"), ("fee", "99.00")] * 2

    asyncio.run(story())


def test_a_cancelled_plan_stays_to_its_end_and_may_be_kept_after_all(open_house, stripe):
    async def story():
        async with open_house() as house:
            ref = await house.bought("pro")
            left = await house.subscriptions.cancel("alice", actor="alice/key")
            assert (left.wanted_plan, left.wanted_at) == ("free", left.period_end)
            assert stripe.account.things[ref]["cancel_at_period_end"]
            await house.ask("pro")
            assert not stripe.account.things[ref]["cancel_at_period_end"]
            assert (await house.get()).wanted_plan is None

            await house.subscriptions.cancel("alice", actor="alice/key")
            await house.hear(*stripe.renew(ref))
            assert ((await house.get()).state, await house.plan()) == (ENDED, "free")

    asyncio.run(story())


def test_a_plan_cancelled_at_stripes_own_page_may_be_kept_as_well(open_house, stripe):
    async def story():
        async with open_house() as house:
            ref = await house.bought("pro")
            subscription = stripe.account.things[ref]
            subscription["cancel_at"] = subscription["items"]["data"][0][
                "current_period_end"
            ]  # the flag is not set
            await house.hear(stripe.account.event("customer.subscription.updated", subscription))
            assert (await house.get()).wanted_plan == "free"
            await house.ask("pro")
            assert subscription["cancel_at"] is None

    asyncio.run(story())


def test_the_operator_puts_a_user_on_a_plan_and_stripe_charges_nothing_more(open_house, stripe):
    async def story():
        async with open_house() as house:
            ref = await house.bought("pro")
            before = len(stripe.account.events)
            await house.subscriptions.set_plan("alice", "enterprise", actor="cli:op")
            assert stripe.account.things[ref]["status"] == "canceled"
            await house.hear(*stripe.account.events[before:])
            assert (await house.plan(), (await house.get()).state) == ("enterprise", ENDED)
            await house.provider.cancel(ref, at_once=True)  # told again
            await house.provider.cancel("sub_nobody")

    asyncio.run(story())


def test_what_is_over_at_stripe_is_neither_changed_nor_resumed(open_house, stripe):
    async def story():
        async with open_house() as house:
            ref = await house.bought("pro")
            stripe.end(ref)
            with pytest.raises(Conflict, match="over at Stripe"):
                await house.provider.change(ref, house.plans.book.plans["basic"], prorate=False)
            with pytest.raises(Conflict, match="over at Stripe"):
                await house.provider.resume("sub_nobody")

    asyncio.run(story())


def test_the_portal_is_the_customers_own(open_house, stripe):
    async def story():
        async with open_house() as house:
            await house.bought("pro")
            customer = (await house.get()).customer_ref
            url = await house.provider.portal(customer, BACK)
            assert url.endswith(customer)
            assert stripe.posts("/v1/billing_portal/sessions")[0].form == {
                "customer": customer,
                "return_url": BACK,
            }
            assert (await house.get()).provider != MANUAL

    asyncio.run(story())
