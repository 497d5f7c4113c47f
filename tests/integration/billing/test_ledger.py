"""Money in and out, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from billing_house import BERLIN, PRICE, TODAY
from magic_eraser.accounts import money
from magic_eraser.accounts.tables import audit_log
from magic_eraser.billing.tables import Account, ledger_entries
from magic_eraser.errors import Conflict, NotFound, PaymentRequired, QuotaExhausted, ValidationFailed

ROOT = {"actor": "cli:root"}


async def audited(house) -> list[tuple]:
    column = audit_log.c
    query = sa.select(column.actor, column.action, column.target, column.details).order_by(column.id)
    return [tuple(row) for row in await house.rows(query)]


async def charged(house, who, units=1) -> int:
    """One call; the id of its entry."""
    await house.call(who, units)
    return (await house.ledger.entries(who.tenant_id, limit=1))[0].id


# --- grants and payments ------------------------------------------------------------------------------------


def test_credit_is_granted_once_however_often_it_is_told(open_house):
    async def story():
        async with open_house() as house:
            await house.user(plan="prepaid")
            first = await house.ledger.grant("alice", 500, reference="r1", note="welcome", **ROOT)
            again = await house.ledger.grant("alice", 500, reference="r1", note="told again", **ROOT)
            assert first == again
            assert (first.source, first.amount, first.note, first.day) == ("grant", 500, "welcome", TODAY)
            assert (first.from_account, first.to_account) == (Account.OUTSIDE, Account.CREDIT)
            assert await house.wallet() == (500, 0, 0)
            with pytest.raises(Conflict, match='"r1"') as refused:
                await house.ledger.grant("alice", 501, reference="r1", **ROOT)
            assert "r1" in refused.value.detail_zh
            await house.user("bob")
            await house.ledger.grant("bob", 700, reference="r1", **ROOT)  # another's reference is his own
            assert (await house.wallet(), await house.wallet("bob")) == ((500, 0, 0), (700, 0, 0))
            told = {"entry": first.id, "amount": "0.005", "reference": "r1"}
            assert (await audited(house))[0] == ("cli:root", "money.grant", "alice", told)
            assert len(await audited(house)) == 2

    asyncio.run(story())


def test_a_payment_is_what_is_owed_less(open_house):
    async def story():
        async with open_house() as house:
            await house.call(await house.user(), 3)
            await house.ledger.payment("alice", 2 * PRICE, reference="bank 1", **ROOT)
            assert await house.wallet() == (0, 0, PRICE)
            await house.ledger.payment("alice", 2 * PRICE, reference="bank 2", **ROOT)
            assert await house.wallet() == (0, 0, -PRICE)
            assert [row[1] for row in await audited(house)] == ["money.payment"] * 2

    asyncio.run(story())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"amount": 0}, "0.00"),
        ({"amount": -1}, "-0.00001"),
        ({"amount": money.MOST + 1}, "10000000000"),
        ({"reference": ""}, "1 to 60"),
        ({"reference": "r" * 61}, "61"),
        ({"note": "n" * 1001}, "1001"),
    ],
)
def test_what_makes_no_sense_is_refused(open_house, values, words):
    async def story():
        async with open_house() as house:
            await house.user()
            asked = {"amount": 1, "reference": "r", **values}
            for move in (house.ledger.grant, house.ledger.payment):
                with pytest.raises(ValidationFailed) as refused:
                    await move("alice", **asked, **ROOT)
                assert words in refused.value.detail
                assert refused.value.detail_zh != ValidationFailed.title_zh
            assert (await audited(house), await house.lines()) == ([], [])

    asyncio.run(story())


def test_nobody_is_granted_anything_who_is_not_there(open_house):
    async def story():
        async with open_house() as house:
            with pytest.raises(NotFound, match="alcie"):
                await house.ledger.grant("alcie", 5, reference="r", **ROOT)
            assert await house.wallet("alcie") == (0, 0, 0)

    asyncio.run(story())


def test_of_the_same_grant_told_by_many_at_once_one_counts(open_house):
    async def story():
        async with open_house() as house, open_house() as other:
            await house.user()
            told = [
                server.ledger.grant("alice", 5, reference="same", **ROOT) for server in [house, other] * 6
            ]
            assert len({entry.id for entry in await asyncio.gather(*told)}) == 1
            assert await house.wallet() == (5, 0, 0)
            assert len(await audited(house)) == 1

    asyncio.run(story())


# --- refunds --------------------------------------------------------------------------------------------------


def test_a_refund_points_at_what_it_takes_back(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user()
            original = await charged(house, alice, 3)
            entry = await house.ledger.refund(original, call=True, reference="bad picture", **ROOT)
            assert (entry.original_id, entry.calls, entry.amount) == (original, -1, 3 * PRICE)
            assert (entry.from_account, entry.to_account) == (Account.REVENUE, Account.OWED)
            assert (await house.day(), await house.wallet()) == ((0, 0), (0, 0, 0))
            assert house.events[-1] == ("basic", "refunded")
            told = {
                "entry": entry.id,
                "original": original,
                "amount": "0.30",
                "calls": 1,
                "reference": "bad picture",
            }
            assert await audited(house) == [("cli:root", "money.refund", "alice", told)]
            again = await house.ledger.refund(original, call=True, reference="bad picture", **ROOT)
            assert again == entry
            assert len(await audited(house)) == 1
            assert house.events.count(("basic", "refunded")) == 1

    asyncio.run(story())


def test_a_prepaid_call_is_refunded_to_the_credit(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="prepaid")
            await house.ledger.grant("alice", 2 * PRICE, reference="r", **ROOT)
            original = await charged(house, alice, 2)
            await house.ledger.refund(original, amount=PRICE, reference="half", **ROOT)
            assert (await house.wallet(), await house.day()) == ((PRICE, 0, 0), (0, 1))

    asyncio.run(story())


def test_a_call_is_given_back_on_the_day_for_which_it_counted(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user()
            original = await charged(house, alice)
            await house.clock.pass_by(86400)
            for _ in range(3):
                await house.call(alice)
            entry = await house.ledger.refund(original, call=True, reference="r", **ROOT)
            assert entry.day == TODAY
            assert (await house.day(), await house.day(day="2026-11-25")) == ((0, 0), (0, 3))
            with pytest.raises(QuotaExhausted):
                await house.quota.reserve(alice, 1)

    asyncio.run(story())


def test_a_call_given_back_today_can_be_made_again(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="free")
            originals = [await charged(house, alice) for _ in range(2)]
            await house.ledger.refund(
                originals[0], call=True, reference="r", **ROOT
            )  # no money: it cost none
            await house.call(alice)
            with pytest.raises(QuotaExhausted):
                await house.quota.reserve(alice, 1)

    asyncio.run(story())


def test_no_more_is_given_back_than_was_charged(open_house):
    async def story():
        async with open_house() as house:
            original = await charged(house, await house.user(), 3)
            await house.ledger.refund(original, amount=2 * PRICE, reference="two", **ROOT)
            with pytest.raises(Conflict, match=r"0\.10 is left") as refused:
                await house.ledger.refund(original, amount=2 * PRICE, reference="two more", **ROOT)
            assert "0.10" in refused.value.detail_zh
            rest = await house.ledger.refund(original, reference="the rest", **ROOT)
            assert rest.amount == PRICE
            with pytest.raises(Conflict, match=r"0\.00 is left"):
                await house.ledger.refund(original, reference="and more", **ROOT)
            call = await house.ledger.refund(original, call=True, reference="the call", **ROOT)
            assert (call.amount, call.calls) == (0, -1)
            with pytest.raises(Conflict, match="given back before"):
                await house.ledger.refund(original, call=True, reference="the call again", **ROOT)
            with pytest.raises(Conflict, match='"two"'):
                await house.ledger.refund(original, amount=PRICE, reference="two", **ROOT)
            assert (await house.wallet(), await house.day()) == ((0, 0, 0), (0, 0))

    asyncio.run(story())


def test_refunds_that_make_no_sense_are_refused(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user()
            original = await charged(house, alice)
            grant = await house.ledger.grant("alice", 5, reference="r", **ROOT)
            refund = await house.ledger.refund(original, amount=1, reference="a bit", **ROOT)
            bob = await house.user("bob", plan="free")
            free = await charged(house, bob)
            fee = await posted(house, source_id="f", from_account=Account.OWED, to_account=Account.FEES)
            for refused_id, values in (
                (original, {"amount": -1}),
                (original, {"amount": 0}),
                (original, {"reference": ""}),
                (free, {}),
                (grant.id, {}),
                (refund.id, {}),
                (fee.id, {"call": True}),
            ):
                with pytest.raises(ValidationFailed) as refused:
                    await house.ledger.refund(refused_id, **{"reference": "r", **values}, **ROOT)
                assert refused.value.detail_zh != ValidationFailed.title_zh
            with pytest.raises(NotFound, match="4711"):
                await house.ledger.refund(4711, reference="r", **ROOT)
            assert (await house.ledger.refund(fee.id, reference="r", **ROOT)).amount == 9

    asyncio.run(story())


@pytest.mark.parametrize("same", [True, False])
def test_two_refunds_at_once_give_back_once(open_house, same):
    async def story():
        async with open_house() as house, open_house() as other:
            original = await charged(house, await house.user())

            async def give_back(server, reference):
                try:
                    return await server.ledger.refund(original, call=True, reference=reference, **ROOT)
                except Conflict:
                    return None

            references = ["same"] * 6 if same else [f"r{number}" for number in range(6)]
            servers = [house, other] * 3
            given = await asyncio.gather(*map(give_back, servers, references))
            entries = {entry.id for entry in given if entry is not None}
            assert len(entries) == 1
            assert given.count(None) == (0 if same else 5)
            assert (await house.day(), await house.wallet()) == ((0, 0), (0, 0, 0))

    asyncio.run(story())


def test_refunds_and_calls_at_once_do_not_wait_for_each_other_for_ever(open_house):
    async def story():
        async with open_house() as house, open_house() as other:
            alice = await house.user(plan="open")
            originals = [await charged(house, alice) for _ in range(8)]
            await asyncio.gather(
                *(
                    server.ledger.refund(original, call=True, reference="r", **ROOT)
                    for original, server in zip(originals, [house, other] * 4, strict=True)
                ),
                *(server.call(alice) for server in [house, other] * 4),
            )
            assert (await house.day(), await house.wallet()) == ((0, 8), (0, 0, 8 * PRICE))

    asyncio.run(story())


# --- posting ------------------------------------------------------------------------------------------------------


async def posted(house, **values):
    asked = {
        "tenant_id": "alice",
        "source": "fee",
        "source_id": "2026-11",
        "from_account": Account.OWED,
        "to_account": Account.FEES,
        "amount": 9,
        **values,
    }
    async with house.database.write() as connection:
        return await house.ledger.post(connection, **asked)


def test_an_entry_is_posted_once_in_the_transaction_of_others(open_house):
    async def story():
        async with open_house() as house:
            await house.user()
            first = await posted(house, plan="basic", note="November")
            assert await posted(house) == first
            assert (first.plan, first.note, first.calls) == ("basic", "November", 0)
            assert await house.wallet() == (0, 0, 9)
            for other in (
                {"amount": 8},
                {"to_account": Account.REVENUE},
                {"from_account": Account.CREDIT},
                {"tenant_id": "bob"},
            ):
                with pytest.raises(Conflict):
                    await posted(house, **other)
            async with house.database.write() as connection:
                values = {"from_account": Account.OUTSIDE, "to_account": Account.CREDIT, "amount": 5}
                await house.ledger.post(
                    connection, tenant_id="alice", source="grant", source_id="x", **values
                )
                await connection.rollback()
            assert (await house.wallet(), len(await house.lines())) == ((0, 0, 9), 1)

    asyncio.run(story())


def test_credit_that_calls_hold_cannot_be_spent_otherwise(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="prepaid")
            await house.ledger.grant("alice", 3 * PRICE, reference="r", **ROOT)
            held = await house.quota.reserve(alice, 2)
            from_credit = {"from_account": Account.CREDIT, "to_account": Account.FEES}
            with pytest.raises(PaymentRequired, match=r"0\.10 is left"):
                await posted(house, amount=PRICE + 1, **from_credit)
            await posted(house, amount=PRICE, **from_credit)
            await house.quota.settle(held, 2)
            assert await house.wallet() == (0, 0, 0)
            with pytest.raises(ValidationFailed):
                await posted(house, amount=-1)
            with pytest.raises(ValidationFailed):
                await posted(house, to_account=Account.OWED)

    asyncio.run(story())


def test_what_is_written_stays_written(open_house):
    async def story():
        async with open_house() as house:
            await house.call(await house.user())
            for deed in (ledger_entries.update().values(amount=1), ledger_entries.delete()):
                with pytest.raises(exc.DBAPIError, match="append-only"):
                    async with house.database.write() as connection:
                        await connection.execute(deed)

    asyncio.run(story())


# --- reading --------------------------------------------------------------------------------------------------------


def test_entries_are_read_page_by_page_and_only_ones_own(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="open")
            await house.call(await house.user("bob"))
            for _ in range(5):
                await house.call(alice)
            grant = await house.ledger.grant("alice", 5, reference="r", **ROOT)
            pages, after = [], None
            while page := await house.ledger.entries("alice", limit=4, after=after):
                pages.append([entry.id for entry in page])
                after = page[-1].id
            assert [len(page) for page in pages] == [4, 2]
            ids = [*pages[0], *pages[1]]
            assert ids == sorted(ids, reverse=True)
            assert await house.ledger.entries("alice", source="grant") == [grant]
            assert len(await house.ledger.entries("alice", limit=10**9)) == 6
            assert await house.ledger.entries("carol") == []

    asyncio.run(story())


def test_the_standing_is_what_the_next_call_will_find(open_house):
    async def story():
        async with open_house() as house:
            alice = await house.user(plan="prepaid")
            plan = house.plans.of("basic")
            nothing = await house.ledger.standing(alice, plan)
            assert (nothing.day, nothing.used, nothing.held, nothing.credit, nothing.owed) == (
                TODAY,
                0,
                0,
                0,
                0,
            )
            await house.ledger.grant("alice", 5 * PRICE, reference="r", **ROOT)
            await house.call(alice, 2)
            await house.quota.reserve(alice, 1)
            stands = await house.ledger.standing("alice", plan)
            assert (stands.used, stands.held, stands.limit, stands.left) == (1, 1, 3, 1)
            assert (stands.credit, stands.owed) == (2 * PRICE, 0)
            assert stands.resets_at == house.plans.book.next_day(house.clock.at)
            assert house.plans.book.zone is BERLIN
            unlimited = await house.ledger.standing("alice", house.plans.of("open"))
            assert (unlimited.limit, unlimited.left) == (None, None)
            used_up = await house.ledger.standing("alice", house.plans.of("none"))
            assert used_up.left == 0

    asyncio.run(story())
