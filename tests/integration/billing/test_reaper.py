"""Holds of servers that are gone, and rows that are long over."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa

from billing_house import HOLD, NOON, PRICE
from magic_eraser.accounts.principal import Principal
from magic_eraser.billing.calls import reaper
from magic_eraser.billing.calls.reaper import prune
from magic_eraser.billing.tables import quota_days, reservations

WEEK = 7 * 86400


def test_a_hold_of_a_server_that_is_gone_ends_by_itself(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="prepaid")
            await house.ledger.grant("alice", 9 * PRICE, reference="r", actor="cli:root")
            gone = await house.quota.reserve(alice, 2)
            await house.clock.pass_by(HOLD - 1)
            young = await house.quota.reserve(alice, 1)
            assert await house.reap() == 0
            await house.clock.pass_by(2)
            assert (await house.reap(), await house.reap()) == (1, 0)
            assert await house.states() == {gone.id: "expired", young.id: "held"}
            assert (await house.day(), await house.wallet()) == ((1, 0), (9 * PRICE, PRICE, 0))
            assert house.events.count(("prepaid", "expired")) == 1

    asyncio.run(story())


def test_a_hold_that_is_renewed_goes_on(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user()
            worked_on, forgotten = [await house.quota.reserve(alice, 1) for _ in range(2)]
            await house.clock.pass_by(HOLD - 1)
            async with house.database.write() as within:
                await house.quota.renew([worked_on.id], within)
            await house.clock.pass_by(2)
            assert await house.reap() == 1
            assert await house.states() == {worked_on.id: "held", forgotten.id: "expired"}

    asyncio.run(story())


def test_a_clock_set_back_keeps_no_hold_for_ever(open_house):
    async def story():
        async with open_house(at=NOON + 10 * WEEK) as house:
            await house.quota.reserve(await house.user(), 1)
            await house.clock.set(NOON)
            await house.user("bob")
            await house.quota.reserve(Principal("bob", "token"), 1)
            assert await house.reap() == 1
            assert await house.day("bob") == (1, 0)

    asyncio.run(story())


def test_many_holds_of_many_end_though_several_servers_reap_and_others_settle(open_house, monkeypatch):
    monkeypatch.setattr(reaper, "AT_ONCE", 7)

    async def story():
        async with open_house() as house, open_house() as other:
            who = [await house.user(f"user{number}", plan="open") for number in range(4)]
            held = [await house.quota.reserve(who[number % 4], 1) for number in range(60)]
            await house.clock.pass_by(HOLD + 1)
            await other.clock.set(house.clock.at)
            settling = [
                server.quota.settle(each, 1) for each, server in zip(held, [house, other] * 30, strict=True)
            ]
            *reaped, _ = await asyncio.gather(
                house.reap(), other.reap(), house.reap(), asyncio.gather(*settling)
            )
            states = list((await house.states()).values())
            assert states.count("expired") == sum(reaped)
            assert states.count("expired") + states.count("settled") == 60
            late = (house.events + other.events).count(("open", "late"))
            assert late == sum(reaped)
            for each in who:
                used = (await house.day(each.tenant_id))[1]
                assert (await house.day(each.tenant_id))[0] == 0
                assert (await house.wallet(each.tenant_id))[2] == used * PRICE

    asyncio.run(story())


def test_what_ended_a_week_ago_is_removed_and_what_it_charged_stays(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user()
            await house.call(alice)
            await house.quota.release(await house.quota.reserve(alice, 1))
            looked = Principal("anonymous@203.0.113.7", "")
            await house.quota.release(await house.quota.reserve(looked, 1))
            await house.clock.pass_by(WEEK)
            assert await prune(house.database) == 1  # the empty day of the address
            await house.clock.pass_by(HOLD + 1)
            late = await house.quota.reserve(alice, 1)
            assert await prune(house.database) == 3
            assert list(await house.states()) == [late.id]
            assert await house.day() == (0, 1)
            assert len(await house.lines()) == 1
            assert await house.rows(sa.select(quota_days.c.day)) != []
            await house.quota.settle(late, 1)

    asyncio.run(story())


def test_a_hold_is_never_pruned_however_old(open_house):
    async def story():
        async with open_house() as house:
            await house.quota.reserve(await house.user(), 1)
            await house.clock.pass_by(10 * WEEK)
            assert await prune(house.database) == 0
            assert await house.reap() == 1
            assert await prune(house.database) == 2
            assert await house.rows(sa.select(reservations)) == []

    asyncio.run(story())
