"""What does not add up is found and named, with both numbers."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from billing_house import PRICE, TODAY
from magic_eraser.billing.invariants import check
from magic_eraser.billing.tables import ledger_entries, quota_days, reservations, wallets


@pytest.mark.parametrize(
    ("spoil", "sentences"),
    [
        (
            quota_days.update().values(used=5),
            [f"alice on {TODAY}: 5 calls are counted as used, the ledger has 2."],
        ),
        (
            quota_days.update().values(held=0),
            [f"alice on {TODAY}: 0 calls are counted as held, 1 are."],
        ),
        (
            quota_days.delete(),
            [
                f"alice on {TODAY}: 0 calls are counted as used, the ledger has 2.",
                f"alice on {TODAY}: 0 calls are counted as held, 1 are.",
            ],
        ),
        (
            wallets.update().values(held=7),
            ["alice: 0.00007 of the credit is held, calls under way hold 0.10."],
        ),
        (
            wallets.update().values(credit=8 * PRICE),
            [
                "alice: the wallet has a credit of 0.80, by the ledger it is 0.70.",
                ("All accounts together must be nothing and are 0.10: by the ledger -0.70 lies outside of wallets, and "
                "0.80 in them."),
            ],
        ),
        (
            wallets.update().values(owed=-3),
            [
                "alice: the wallet owes -0.00003, by the ledger it is 0.00.",
                ("All accounts together must be nothing and are 0.00003: by the ledger -0.70 lies outside of wallets, "
                "and 0.70003 in them."),
            ],
        ),
        (
            reservations.update().where(reservations.c.state == "settled").values(day="2026-11-23"),
            [
                f"alice on 2026-11-23: reservation ID held 0.20, entry 2 of alice on {TODAY} charges 0.20 for 1 calls.",
                f"alice on 2026-11-23: reservation ID held 0.20, entry 3 of alice on {TODAY} charges 0.10 for 1 calls.",
            ],
        ),
        (
            reservations.update().where(reservations.c.state == "settled").values(state="released"),
            [f"alice on {TODAY}: reservation ID is released, and the ledger has 1 entries of it."] * 2,
        ),
        (
            reservations.update().where(reservations.c.state == "released").values(state="settled"),
            [f"alice on {TODAY}: reservation ID is settled, and the ledger has 0 entries of it."],
        ),
        (
            ledger_entries.insert().values(
                at=0, tenant_id="alice", subject="", source="refund", source_id="x", day=TODAY, calls=-2,
                from_account="revenue", to_account="outside", amount=2 * PRICE + 1, plan="", original_id=2, note="",
            ),
            [
                f"alice on {TODAY}: 2 calls are counted as used, the ledger has 0.",
                "alice: of entry 2 over 0.20 and 1 calls, 0.20001 and 2 calls were given back.",
            ],
        ),
    ],
)  # fmt: skip
def test_each_difference_is_a_sentence(open_house, spoil, sentences):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="prepaid")
            await house.ledger.grant("alice", 10 * PRICE, reference="r", actor="cli:root")
            await house.call(alice, 2)
            held = await house.quota.reserve(alice, 2)
            await house.quota.settle(held, 1)
            await house.quota.release(await house.quota.reserve(alice, 1))
            await house.quota.reserve(alice, 1)
            ids = list(await house.states())
            assert await check(house.database) == []
            async with house.database.write() as connection:
                await connection.execute(spoil)
            found = await check(house.database)
            for each in ids:
                found = [sentence.replace(each, "ID") for sentence in found]
            assert sorted(found) == sorted(sentences)
            raise Spoiled

    with pytest.raises(Spoiled):
        asyncio.run(story())


class Spoiled(Exception):
    """The house checks at its end that everything adds up; here it does not."""


def test_many_differences_are_told_by_the_first_of_them(open_house):
    async def story():
        async with open_house() as house:
            async with house.database.write() as connection:
                await connection.execute(
                    quota_days.insert(),
                    [{"tenant_id": f"t{n}", "day": TODAY, "held": 0, "used": 1} for n in range(50)],
                )
            assert len(await check(house.database)) == 20
            raise Spoiled

    with pytest.raises(Spoiled):
        asyncio.run(story())


def test_calls_that_go_on_meanwhile_do_not_disturb_it(open_house):
    async def story():
        async with open_house() as house, open_house() as other:
            alice = await house.user(plan="open")
            ended = asyncio.Event()

            async def work():
                for _ in range(60):
                    await house.call(alice)
                ended.set()

            working = asyncio.create_task(work())
            looks = 0
            while not ended.is_set():
                assert await check(other.database) == []
                looks += 1
            await working
            assert looks >= 3
            async with (
                other.database.read() as connection
            ):  # the way of looking is not left on the connection
                if not other.database.is_sqlite:
                    level = await connection.execute(sa.text("SHOW transaction_isolation"))
                    assert level.scalar_one() == "read committed"

    asyncio.run(story())
