"""Calls held, charged and given back, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from billing_house import BERLIN, HOLD, NOON, PRICE, TODAY
from magic_eraser.accounts.principal import Principal
from magic_eraser.billing.quota import Reservation
from magic_eraser.billing.tables import Account, reservations
from magic_eraser.errors import (
    AccountDisabled,
    InvalidToken,
    PaymentRequired,
    QuotaExhausted,
    TokenExpired,
)

MIDNIGHT = datetime(2026, 11, 25, tzinfo=BERLIN).timestamp()
ANONYMOUS = Principal("anonymous@203.0.113.7", "")
CALL = ("call", 1, Account.OWED, Account.REVENUE)


def in_zone(*moment: int, zone: str) -> float:
    return datetime(*moment, tzinfo=ZoneInfo(zone)).timestamp()


# --- hold, charge, give back -------------------------------------------------------------------------------


def test_a_call_is_held_then_charged_once(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user()
            held = await house.quota.reserve(alice, 3)
            assert (held.units, held.unit_price, held.plan.id, held.day) == (3, PRICE, "basic", TODAY)
            assert (held.left, held.resets_at) == (2, MIDNIGHT)
            assert held.resets_in == pytest.approx(MIDNIGHT - NOON)
            assert len(held.id) == 22
            assert (await house.day(), await house.lines()) == ((1, 0), [])
            for _again in range(2):
                assert await house.quota.settle(held, 3)
                await house.quota.release(held)
            assert await house.day() == (0, 1)
            assert await house.wallet() == (0, 0, 3 * PRICE)
            assert await house.lines() == [(*CALL, 3 * PRICE)]
            assert house.events == [("basic", "reserved"), ("basic", "settled")]

    asyncio.run(story())


def test_a_call_that_came_to_nothing_costs_nothing(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user()
            released = await house.quota.reserve(alice, 2)
            await house.quota.release(Reservation(released.id, 0))  # its id is all that is known of it
            assert not await house.quota.settle(released, 2)
            assert (await house.day(), await house.wallet(), await house.lines()) == ((0, 0), (0, 0, 0), [])
            assert set((await house.states()).values()) == {"released"}
            assert house.events == [("basic", "reserved"), ("basic", "released")]

    asyncio.run(story())


@pytest.mark.parametrize("held_units", [0, 2])
def test_a_result_from_the_cache_is_a_call_without_a_price(open_house, held_units):
    async def story():
        async with open_house() as house:
            held = await house.quota.reserve(await house.user(), held_units)
            assert await house.quota.settle(held, 0)
            assert await house.quota.settle(held, 0)  # told again
            assert (await house.day(), await house.wallet()) == ((0, 1), (0, 0, 0))
            assert await house.lines() == [(*CALL, 0)]

    asyncio.run(story())


def test_where_the_plan_says_so_it_is_no_call_either(open_house):
    async def story():
        async with open_house() as house:
            held = await house.quota.reserve(await house.user(), 2)
            generous = replace(held, plan=replace(held.plan, free_cached=True))
            assert not await house.quota.settle(generous, 0)
            assert (await house.day(), await house.lines()) == ((0, 0), [])

    asyncio.run(story())


@pytest.mark.parametrize(("weight", "charged"), [(1, 1), (2, 2), (9, 2)])
def test_the_model_that_ran_is_charged_but_never_more_than_was_held(open_house, weight, charged):
    async def story():
        async with open_house() as house:
            held = await house.quota.reserve(await house.user(), 2)
            await house.quota.settle(held, weight)
            assert (await house.day(), await house.wallet()) == ((0, 1), (0, 0, charged * PRICE))

    asyncio.run(story())


def test_a_call_that_is_free_of_charge_has_its_entry_all_the_same(open_house):
    async def story():
        async with open_house() as house:
            await house.call(await house.user(plan="free"))
            assert await house.lines() == [(*CALL, 0)]
            await house.call(await house.user("bob", plan="gift"))
            assert await house.lines("bob") == [("call", 1, Account.CREDIT, Account.REVENUE, 0)]

    asyncio.run(story())


def test_what_was_never_held_is_nothing_to_end(open_house):
    async def story():
        async with open_house() as house:
            for unknown, counts in ((Reservation("", 1), True), (Reservation("of nobody", 1), False)):
                assert await house.quota.settle(unknown, 1) is counts  # without an id nothing is ever counted
                await house.quota.release(unknown)
            assert house.events == []
            with pytest.raises(ValueError, match="weight -1"):
                await house.quota.reserve(ANONYMOUS, -1)

    asyncio.run(story())


# --- limits ---------------------------------------------------------------------------------------------------


def test_who_used_the_calls_of_the_day_hears_when_the_next_is_free(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user()
            await house.call(alice)
            held = [await house.quota.reserve(alice, 1) for _ in range(2)]
            assert [each.left for each in held] == [1, 0]
            with pytest.raises(QuotaExhausted) as refused:
                await house.quota.reserve(alice, 1)
            error = refused.value
            assert error.retry_after == pytest.approx(MIDNIGHT - NOON)
            assert error.extra == {"limit": 3, "used": 1, "resets_at": "2026-11-25T00:00:00+01:00"}
            for sentence in (error.detail, error.detail_zh):
                assert " 3 " in sentence
                assert "2026-11-25 00:00 (Europe/Berlin)" in sentence
            assert await house.day() == (2, 1)
            assert house.events[-1] == ("basic", "refused")
            await house.quota.release(held[0])  # not used after all
            await house.call(alice)

    asyncio.run(story())


def test_a_plan_without_calls_refuses_the_first(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="none")
            with pytest.raises(QuotaExhausted, match="includes no calls") as refused:
                await house.quota.reserve(alice, 1)
            assert refused.value.extra["limit"] == 0
            assert await house.rows(sa.select(reservations)) == []

    asyncio.run(story())


def test_a_plan_without_a_limit_counts_and_never_refuses(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="open")
            for _ in range(20):
                held = await house.call(alice)
            assert (held.left, held.resets_at, await house.day()) == (None, None, (0, 20))

    asyncio.run(story())


def test_callers_without_credentials_have_the_default_plan_each_address_its_own(open_house):
    async def story():
        async with open_house() as house:
            for _ in range(2):
                assert (await house.call(ANONYMOUS)).plan.id == "free"
            with pytest.raises(QuotaExhausted):
                await house.quota.reserve(ANONYMOUS, 1)
            await house.call(Principal("anonymous@203.0.113.8", ""))

    asyncio.run(story())


def test_another_plan_counts_at_the_next_call(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user()
            for _ in range(3):
                await house.call(alice)
            await house.change("alice", plan="open")
            assert (await house.call(alice)).plan.id == "open"
            await house.change("alice", plan="free")
            with pytest.raises(QuotaExhausted) as refused:
                await house.quota.reserve(alice, 1)
            assert refused.value.extra["used"] == 4
            await house.change("alice", plan="gone_from_the_file")
            with pytest.raises(QuotaExhausted, match='"free"'):
                await house.quota.reserve(alice, 1)

    asyncio.run(story())


# --- days ------------------------------------------------------------------------------------------------------


def test_a_call_counts_for_the_day_on_which_it_began(open_house):
    async def story():
        async with open_house(at=MIDNIGHT - 1) as house:
            alice = await house.user()
            late = await house.quota.reserve(alice, 1)
            await house.clock.set(MIDNIGHT + 1)
            early = await house.quota.reserve(alice, 1)
            await house.quota.settle(late, 1)
            assert (late.day, early.day, early.left) == (TODAY, "2026-11-25", 2)
            assert await house.day() == (0, 1)
            assert await house.day(day="2026-11-25") == (1, 0)
            assert [entry.day for entry in await house.ledger.entries("alice")] == [TODAY]

    asyncio.run(story())


def test_the_next_day_brings_new_calls(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="free")
            for _ in range(2):
                await house.call(alice)
            with pytest.raises(QuotaExhausted) as refused:
                await house.quota.reserve(alice, 1)
            await house.clock.pass_by(refused.value.retry_after - 0.01)
            with pytest.raises(QuotaExhausted):
                await house.quota.reserve(alice, 1)
            await house.clock.pass_by(0.02)
            assert (await house.call(alice)).day == "2026-11-25"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("zone", "day", "hours", "begins"),
    [
        ("Europe/Berlin", (2026, 3, 29), 23, "2026-03-30T00:00:00+02:00"),
        ("Europe/Berlin", (2026, 10, 25), 25, "2026-10-26T00:00:00+01:00"),
        ("Asia/Beirut", (2026, 3, 28), 24, "2026-03-29T01:00:00+03:00"),  # has no midnight
        ("Asia/Shanghai", (2026, 3, 29), 24, "2026-03-30T00:00:00+08:00"),
    ],
)
def test_days_of_a_clock_change_end_at_their_own_midnight(open_house, zone, day, hours, begins):
    async def story():
        start = in_zone(*day, zone=zone)
        async with open_house(at=start + 1, zone=ZoneInfo(zone)) as house:
            alice = await house.user(plan="none")
            with pytest.raises(QuotaExhausted) as refused:
                await house.quota.reserve(alice, 1)
            assert refused.value.retry_after == pytest.approx(hours * 3600 - 1)
            assert refused.value.extra["resets_at"] == begins
            await house.change("alice", plan="basic")
            await house.clock.set(start + hours * 3600 - 1)
            old = await house.call(alice)
            await house.clock.pass_by(2)
            assert (old.day, (await house.call(alice)).day) == (
                "{}-{:02}-{:02}".format(*day),
                begins[:10],
            )

    asyncio.run(story())


# --- who may not --------------------------------------------------------------------------------------------------


def test_what_is_true_in_the_database_counts_whatever_a_cache_says(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user()
            await house.change_key("alice-key", expires_at=NOON + 9)
            await house.call(alice)
            await house.clock.pass_by(10)
            with pytest.raises(TokenExpired, match="alice-key"):
                await house.quota.reserve(alice, 1)
            await house.change_key("alice-key", expires_at=None, revoked_at=NOON)
            with pytest.raises(InvalidToken, match="alice-key"):
                await house.quota.reserve(alice, 1)
            await house.change("alice", disabled_at=NOON)
            for subject in ("alice-key", "token"):
                with pytest.raises(AccountDisabled, match="alice"):
                    await house.quota.reserve(Principal("alice", subject), 1)
            assert await house.day() == (0, 1)

    asyncio.run(story())


def test_unknown_users_and_keys_of_others_are_refused(open_house):
    async def story():
        async with open_house() as house:
            await house.user("alice")
            await house.user("bob")
            for nobody in (
                Principal("carol", "token"),
                Principal("alice", "bob-key"),
                Principal("alice", "no-key"),
                Principal("alice", ""),
                Principal("local", "owner"),
            ):
                with pytest.raises(InvalidToken) as refused:
                    await house.quota.reserve(nobody, 1)
                assert refused.value.detail_zh != InvalidToken.title_zh
            await house.call(Principal("alice", "token"))

    asyncio.run(story())


# --- credit ----------------------------------------------------------------------------------------------------------


def test_prepaid_calls_are_taken_from_the_credit(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="prepaid")
            with pytest.raises(PaymentRequired):  # there is no wallet yet
                await house.quota.reserve(alice, 1)
            await house.ledger.grant("alice", 5 * PRICE, reference="first", actor="cli:root")
            held = await house.quota.reserve(alice, 3)
            assert await house.wallet() == (5 * PRICE, 3 * PRICE, 0)
            with pytest.raises(PaymentRequired, match=r"0\.30") as refused:
                await house.quota.reserve(alice, 3)
            assert "0.30" in refused.value.detail_zh
            assert await house.day() == (1, 0)  # what was refused is not held
            await house.quota.settle(held, 1)
            assert await house.wallet() == (4 * PRICE, 0, 0)
            released = await house.quota.reserve(alice, 4)
            await house.quota.release(released)
            assert await house.wallet() == (4 * PRICE, 0, 0)
            assert house.events.count(("prepaid", "refused")) == 2

    asyncio.run(story())


def test_credit_for_seven_calls_is_seven_calls_however_many_ask_at_once(open_house):
    async def story():
        async with open_house() as house, open_house() as other:
            alice = await house.user(plan="prepaid")
            await house.ledger.grant("alice", 7 * PRICE, reference="seven", actor="cli:root")

            async def ask(server):
                try:
                    await server.call(alice)
                except PaymentRequired:
                    return 0
                return 1

            assert sum(await asyncio.gather(*(ask(server) for server in [house, other] * 15))) == 7
            assert await house.wallet() == (0, 0, 0)

    asyncio.run(story())


def test_a_plan_changed_while_a_call_is_under_way_does_not_change_how_it_is_paid(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="prepaid")
            await house.ledger.grant("alice", 2 * PRICE, reference="two", actor="cli:root")
            held = [await house.quota.reserve(alice, 1) for _ in range(2)]
            await house.change("alice", plan="basic")
            await house.quota.settle(held[0], 1)
            await house.quota.release(held[1])
            assert await house.wallet() == (PRICE, 0, 0)
            await house.call(alice)
            assert await house.wallet() == (PRICE, 0, PRICE)

    asyncio.run(story())


# --- in a transaction of the caller's --------------------------------------------------------------------------------


async def undone(house, work):
    """A transaction that comes to nothing at its end."""
    async with house.database.write() as connection:
        await work(connection)
        await connection.rollback()


def test_what_is_rolled_back_leaves_nothing_and_is_not_told(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="prepaid")
            await house.ledger.grant("alice", PRICE, reference="one", actor="cli:root")

            async def whole(connection):
                held = await house.quota.reserve(alice, 1, connection)
                await house.quota.settle(held, 1, connection)

            await undone(house, whole)
            assert (await house.day(), await house.wallet()) == ((0, 0), (PRICE, 0, 0))
            assert (await house.states(), house.events) == ({}, [])
            held = await house.quota.reserve(alice, 1)
            for units in (0, 1):
                await undone(house, partial(house.quota.settle, held, units))
            assert (await house.day(), await house.wallet()) == ((1, 0), (PRICE, PRICE, 0))
            await house.sound()

    asyncio.run(story())


def test_within_a_transaction_it_is_told_once_that_is_committed(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user()
            async with house.database.write() as connection:
                held = await house.quota.reserve(alice, 1, connection)
                async with connection.begin_nested():
                    await house.quota.settle(held, 1, connection)
                assert house.events == []
            assert house.events == [("basic", "reserved"), ("basic", "settled")]

    asyncio.run(story())


def test_a_refusal_undone_by_the_caller_leaves_the_rest_of_its_transaction(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="prepaid")
            async with house.database.write() as connection:
                with pytest.raises(PaymentRequired):
                    async with connection.begin_nested():
                        await house.quota.reserve(alice, 1, connection)
                await connection.execute(sa.select(1))
            assert (await house.day(), await house.states()) == ((0, 0), {})

    asyncio.run(story())


# --- at once --------------------------------------------------------------------------------------------------------


def test_of_many_ends_at_once_one_counts(open_house):
    async def story():
        async with open_house() as house, open_house() as other:
            alice = await house.user()
            held = await house.quota.reserve(alice, 1)
            ends = [
                end
                for server in (house, other) * 5
                for end in (server.quota.settle(held, 1), server.quota.release(held))
            ]
            await asyncio.gather(*ends)
            held_now, used = await house.day()
            assert held_now == 0
            assert used == len(await house.lines()) == (await house.wallet())[2] // PRICE
            told = [event for _plan, event in house.events + other.events if event != "reserved"]
            assert told == (["settled"] if used else ["released"])

    asyncio.run(story())


def test_a_charge_that_comes_after_its_hold_expired_is_not_made(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user()
            held = await house.quota.reserve(alice, 1)
            await house.clock.pass_by(HOLD + 1)
            assert await house.reap() == 1
            assert not await house.quota.settle(held, 1)
            await house.quota.release(held)
            assert (await house.day(), await house.lines()) == ((0, 0), [])
            assert house.events == [("basic", "reserved"), ("basic", "expired"), ("basic", "late")]

    asyncio.run(story())


def test_a_charge_before_anybody_looked_is_made_though_the_hold_is_over(open_house):
    async def story():
        async with open_house() as house:
            held = await house.quota.reserve(await house.user(), 1)
            await house.clock.pass_by(HOLD + 1)
            await house.quota.settle(held, 1)
            assert (await house.reap(), await house.day()) == (0, (0, 1))

    asyncio.run(story())
