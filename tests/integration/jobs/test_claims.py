"""Items from the queue to their end, on SQLite and on PostgreSQL. The clock is the database's: rows are changed as time
would have changed them."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest
import sqlalchemy as sa

from jobs_house import LEASE, Forgetful, TableQuota, result
from magic_eraser.accounts.principal import LOCAL_OWNER, Principal
from magic_eraser.accounts.priority import Priority
from magic_eraser.db.base import now
from magic_eraser.errors import (
    Cancelled,
    DownloadFailed,
    Draining,
    EmptyMask,
    OutOfMemory,
    QueueFull,
    QuotaExhausted,
    StorageFull,
    StorageUnavailable,
    UnknownModel,
)
from magic_eraser.jobs.claims import FIRST_PAUSE
from magic_eraser.jobs.options import to_json
from magic_eraser.jobs.tables import ItemState, JobState
from magic_eraser.jobs.turns import LONGEST_PAUSE
from magic_eraser.service.request import EraseOptions, OutputOptions

OTHERS = Principal("others", "key")


async def finish(house, claimed, **values) -> bool:
    blob = await house.blobs.put(claimed.job_id, b"erased")
    return await house.claims.finish(claimed, result(**values), blob)


async def waits(house, job, index=0) -> float:
    """Seconds until the item is begun again."""
    row = await house.row(job, index)
    return row.run_at - (await house.rows(now().select()))[0][0]


# --- claiming ---------------------------------------------------------------------------------------------


def test_a_claim_carries_what_the_work_needs(open_house):
    async def story():
        async with open_house(quota=TableQuota()) as house:
            asked = Principal("t", "key", "203.0.113.9", Priority.FIRST)
            job = await house.job(principal=asked)
            claimed = await house.claims.claim("a")
            assert (claimed.job_id, claimed.index, claimed.fence, claimed.attempts) == (job.id, 0, 1, 1)
            assert claimed.principal == replace(asked, priority=Priority.BATCH)
            assert claimed.reservation.units == 2
            assert await house.blobs.get(claimed.image_blob) == b"image"
            assert await house.holds() == {"held": 1}
            assert (await house.store.get("t", job.id)).state is JobState.RUNNING

    asyncio.run(story())


def test_many_servers_at_once_never_get_the_same_item(open_house):
    async def story():
        async with open_house() as house, open_house() as other:
            job = await house.job(items=60)

            async def take(claims, owner) -> list[int]:
                taken = []
                while (claimed := await claims.claim(owner)) is not None:
                    taken.append(claimed.index)
                return taken

            servers = [house.claims, other.claims] * 3
            shares = await asyncio.gather(*(take(claims, str(n)) for n, claims in enumerate(servers)))
            assert sorted(index for share in shares for index in share) == list(range(60))
            assert {row.attempts for row in await house.items(job)} == {1}

    asyncio.run(story())


def test_tenants_take_turns_however_many_jobs_one_of_them_has(open_house):
    async def story():
        async with open_house() as house:
            for _ in range(5):
                await house.job(items=2)
            await house.job(items=3, principal=OTHERS)
            order = []
            for _ in range(6):  # one at a time: each is done before the next is begun
                claimed = await house.claims.claim("a")
                order.append(claimed.principal.tenant_id)
                await finish(house, claimed)
            assert order == ["local", "others"] * 3

    asyncio.run(story())


def test_the_tenant_with_fewest_items_under_way_is_next(open_house):
    async def story():
        async with open_house() as house:
            await house.job(items=9)
            mine = [await house.claims.claim("a") for _ in range(3)]
            await house.job(items=9, principal=OTHERS)
            order = [(await house.claims.claim("a")).principal.tenant_id for _ in range(5)]
            assert len(mine) == 3
            assert order[:3] == ["others"] * 3
            assert sorted(order[3:]) == ["local", "others"]

    asyncio.run(story())


def test_small_jobs_one_after_the_other_do_not_keep_a_large_one_waiting(open_house):
    async def story():
        async with open_house() as house:
            await house.job(items=9, principal=OTHERS)
            order = []
            for _ in range(6):
                await house.job(items=1)
                claimed = await house.claims.claim("a")
                order.append(claimed.principal.tenant_id)
                await finish(house, claimed)
            assert order.count("others") == 3

    asyncio.run(story())


def test_callers_without_a_name_take_turns_by_address(open_house):
    async def story():
        async with open_house() as house:
            busy, modest = (Principal("anonymous", "", address) for address in ("192.0.2.1", "192.0.2.2"))
            for _ in range(3):
                await house.job(items=2, principal=busy)
            await house.job(items=2, principal=modest)
            order = [(await house.claims.claim("a")).principal.address for _ in range(4)]
            assert sorted(order) == ["192.0.2.1"] * 2 + ["192.0.2.2"] * 2

    asyncio.run(story())


def test_jobs_of_one_tenant_take_turns(open_house):
    async def story():
        async with open_house() as house:
            jobs = [await house.job(items=2), await house.job(items=2)]
            order = [(claimed := await house.claims.claim("a")).job_id for _ in range(4)]
            assert claimed.index == 1
            assert order == [job.id for job in jobs] * 2

    asyncio.run(story())


def test_who_has_no_quota_left_fails_with_that_error_and_holds_nothing(open_house):
    async def story():
        async with open_house(quota=TableQuota(limit=4)) as house:
            job = await house.job(items=3)
            claimed = [await house.claims.claim("a") for _ in range(3)]
            assert [item is None for item in claimed] == [False, False, True]
            failed = (await house.items(job))[2]
            assert (failed.success, failed.error_code) == (False, "quota_exhausted")
            assert failed.error_zh == QuotaExhausted().sentence("zh")
            assert await house.holds() == {"held": 2}

    asyncio.run(story())


def test_an_item_that_cannot_be_begun_does_not_stop_the_queue(open_house):
    def units(options, _principal):
        if options.model == "ns":
            raise KeyError(options.model)  # a defect
        if options.model == "gone":
            raise UnknownModel
        return 1

    async def story():
        async with open_house(units=units) as house:
            faulty, gone = [
                await house.job(items=1, options=to_json(EraseOptions(model=model), OutputOptions()))
                for model in ("ns", "gone")
            ]
            newer = await house.job(items=1, options={"erase": {"of_a_later_version": 1}, "output": {}})
            sound = await house.job(items=1)
            assert (await house.claims.claim("a")).job_id == sound.id
            assert [item.error_code for item in await house.items(gone)] == ["unknown_model"]
            for job in (faulty, newer):
                for attempts in (1, 2):
                    assert (await house.row(job)).state == ItemState.QUEUED
                    assert (await house.row(job)).attempts == attempts
                    await house.change(job, run_at=now())
                    assert await house.claims.claim("a") is None
                assert [item.error_code for item in await house.items(job)] == ["internal"]

    asyncio.run(story())


# --- leases ---------------------------------------------------------------------------------------------------


def test_an_item_whose_server_is_gone_is_begun_by_another_and_the_first_comes_too_late(open_house):
    async def story():
        async with open_house(quota=TableQuota()) as house:
            job = await house.job(items=1)
            first = await house.claims.claim("dead")
            assert await house.claims.claim("b") is None  # it is not due yet
            await house.change(job, lease_until=now() - 0.01)
            second = await house.claims.claim("b")
            assert (second.fence, second.attempts) == (2, 2)
            assert not await finish(house, first)
            await house.claims.fail(first, EmptyMask())
            await house.claims.give_back(first)
            assert await house.claims.held("b") == {second.key}
            assert await finish(house, second)
            assert not await finish(house, second)  # again, with another blob: not twice
            assert (await house.store.get("local", job.id)).succeeded == 1
            assert [event.units for event in await house.events()] == [2]
            assert await house.holds() == {"released": 1, "settled": 1}  # what the dead server held went back

    asyncio.run(story())


def test_renewing_keeps_everything_a_server_has_and_nothing_else(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job(items=3)
            mine, cancelled = await house.claims.claim("a"), await house.job(items=1, principal=OTHERS)
            lost = await house.claims.claim("a")
            theirs = await house.claims.claim("b")
            await house.change(job, lease_until=now() + 1)
            await house.store.cancel(OTHERS.tenant_id, cancelled.id)
            assert await house.claims.renew("a") == await house.claims.held("a") == {mine.key}
            assert lost.job_id == cancelled.id
            left = (await house.row(job)).lease_until - (await house.row(job, theirs.index)).lease_until
            assert left == pytest.approx(LEASE - 1, abs=5)

    asyncio.run(story())


def test_what_is_still_worked_on_is_still_held(open_house):
    async def story():
        quota = TableQuota()
        async with open_house(quota=quota) as house:
            await house.job(items=2)
            mine = await house.claims.claim("a")
            await house.claims.claim("b")
            await house.claims.renew("a")
            assert quota.renewed == {int(mine.reservation.id)}

    asyncio.run(story())


def test_a_clock_that_was_ahead_holds_nothing_up(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job(items=2)
            first = await house.claims.claim("a")
            await house.change(job, 0, lease_until=now() + 86_400 + LEASE)  # a day ahead, then set right
            await house.change(job, 1, run_at=now() + 86_400)
            assert (await house.claims.claim("b")).index == 0
            assert (await house.claims.claim("b")).index == 1
            assert not await finish(house, first)

    asyncio.run(story())


def test_a_picture_that_ends_the_server_each_time_is_given_up(open_house):
    async def story():
        async with open_house(quota=TableQuota()) as house:
            job = await house.job(items=2)
            for attempt in (1, 2, 3):
                claimed = await house.claims.claim("a")
                assert (claimed.index, claimed.attempts) == (0, attempt)
                await house.change(job, 0, lease_until=now() - 1)
            assert (await house.claims.claim("a")).index == 1
            parked = (await house.items(job))[0]
            assert (parked.success, parked.error_code) == (False, "internal")
            assert "ended 3 times" in parked.error

    asyncio.run(story())


# --- ends -----------------------------------------------------------------------------------------------------


def test_an_end_is_told_with_its_charge_and_its_usage_event(open_house):
    async def story():
        async with open_house(quota=TableQuota()) as house:
            job = await house.job(items=2)
            await finish(house, await house.claims.claim("a"))
            await finish(house, await house.claims.claim("a"), cache="hit")
            told = [(event.source, event.source_id, event.units) for event in await house.events()]
            assert told == [("job", f"{job.id}/0", 2), ("job", f"{job.id}/1", 0)]
            item = (await house.items(job))[0]
            assert (item.success, item.format, item.width, item.height) == (True, "png", 4, 3)
            assert (item.model, item.seconds, item.notices) == ("telea", 0.25, ())
            assert await house.blobs.get(item.result_blob) == b"erased"
            assert await house.holds() == {"settled": 2}

    asyncio.run(story())


def test_an_item_whose_hold_ran_out_is_told_as_one_that_cost_nothing(open_house):
    async def story():
        quota = TableQuota()
        async with open_house(quota=quota) as house:
            job = await house.job(items=1)
            claimed = await house.claims.claim("a")
            async with house.database.write() as connection:
                await quota.release(claimed.reservation, connection)
            assert await finish(house, claimed)
            assert [(event.source_id, event.units) for event in await house.events()] == [(f"{job.id}/0", 0)]
            assert await house.holds() == {"released": 1}

    asyncio.run(story())


def test_an_end_whose_transaction_fails_did_not_happen(open_house):
    class Refusing(TableQuota):
        async def settle(self, reservation, units, within=None) -> bool:
            await super().settle(reservation, units, within)
            raise StorageUnavailable

    async def story():
        async with open_house(quota=Refusing()) as house:
            job = await house.job(items=1)
            claimed = await house.claims.claim("a")
            with pytest.raises(StorageUnavailable):
                await finish(house, claimed)
            assert await house.holds() == {"held": 1}
            assert await house.events() == []
            assert (await house.row(job)).state == ItemState.LEASED
            assert (await house.store.get("local", job.id)).succeeded == 0

    asyncio.run(story())


def test_an_end_told_again_since_the_answer_was_lost_is_the_same_end(open_house):
    async def story():
        async with open_house(quota=TableQuota(), kind=Forgetful) as house:
            job = await house.job(items=1)
            claimed = await house.claims.claim("a")
            blob = await house.blobs.put(job.id, b"erased")
            house.database.lost = 1
            with pytest.raises(StorageUnavailable):
                await house.claims.finish(claimed, result(), blob)
            assert await house.claims.finish(claimed, result(), blob)  # or the blob would be thrown away
            assert (await house.items(job))[0].result_blob == blob
            assert len(await house.events()) == 1
            assert house.over == [job.id]

    asyncio.run(story())


def test_what_may_pass_is_begun_again_after_a_pause(open_house):
    async def story():
        async with open_house(quota=TableQuota()) as house:
            job = await house.job(items=1)
            error = OutOfMemory(retry_after=0)
            for attempt in (1, 2):
                claimed = await house.claims.claim("a")
                await house.claims.fail(claimed, error)
                assert await house.claims.claim("a") is None
                pause = FIRST_PAUSE * 4 ** (attempt - 1)
                assert 0.75 * pause < await waits(house, job) < 1.25 * pause
                await house.change(job, run_at=now())
            await house.claims.fail(await house.claims.claim("a"), error)
            assert [item.error_code for item in await house.items(job)] == ["model_unavailable"]
            assert await house.holds() == {"released": 3}
            assert await house.events() == []

    asyncio.run(story())


def test_a_model_that_says_how_long_it_is_away_is_waited_for(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job(items=1)
            await house.claims.fail(await house.claims.claim("a"), DownloadFailed(retry_after=90))
            assert 85 < await waits(house, job) <= 90
            await house.change(job, run_at=now())
            await house.claims.fail(await house.claims.claim("a"), DownloadFailed(retry_after=10**6))
            assert await waits(house, job) <= LONGEST_PAUSE

    asyncio.run(story())


def test_what_its_caller_has_to_mend_is_not_tried_again(open_house):
    async def story():
        async with open_house(quota=TableQuota()) as house:
            job = await house.job(items=1)
            await house.claims.fail(await house.claims.claim("a"), EmptyMask())
            over = await house.store.get("local", job.id)
            assert (over.state, over.failed) == (JobState.FAILED, 1)
            item = (await house.items(job))[0]
            assert (item.attempts, item.error_code) == (1, "empty_mask")
            assert item.error == EmptyMask().sentence("en")
            assert await house.holds() == {"released": 1}

    asyncio.run(story())


@pytest.mark.parametrize(
    "error", [QueueFull(retry_after=7), Draining(), StorageUnavailable(), StorageFull(), Cancelled()]
)
def test_what_is_not_the_items_fault_does_not_count(open_house, error):
    async def story():
        async with open_house(quota=TableQuota()) as house:
            job = await house.job(items=1)
            for _ in range(5):  # more than its attempts
                await house.claims.fail(await house.claims.claim("a"), error)
                assert 0.5 < await waits(house, job) <= max(1.0, error.retry_after or 0)
                await house.change(job, run_at=now())
            claimed = await house.claims.claim("a")
            assert claimed.attempts == 1
            await house.claims.give_back(claimed)
            assert (await house.claims.claim("b")).attempts == 1  # at once

    asyncio.run(story())


def test_what_was_granted_without_our_hearing_of_it_is_given_back(open_house):
    async def story():
        async with open_house(kind=Forgetful, quota=TableQuota()) as house:
            job = await house.job(items=2)
            known = await house.claims.claim("a")
            house.database.lost = 1
            with pytest.raises(StorageUnavailable):
                await house.claims.claim("a")
            assert (await house.row(job, 1)).owner == "a"
            assert await house.claims.give_back_strays("a", {known.key}) == 1
            assert await house.claims.held("a") == {known.key}
            assert await house.holds() == {"held": 1, "released": 1}
            assert (await house.claims.claim("b")).index == 1

    asyncio.run(story())


# --- all of it at random ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_happens_in_whatever_order_each_item_ends_once(open_house, seed):  # noqa: C901 (a list of what happens)
    async def story():
        chance = random.Random(seed)
        async with open_house(quota=TableQuota()) as house:
            made, held, settled = [], [], 0
            for _step in range(150):
                match chance.choice(
                    ["new", "claim", "claim", "claim", "end", "end", "fail", "zombie", "cancel"]
                ):
                    case "new" if len(made) < 8:
                        who = chance.choice([LOCAL_OWNER, OTHERS])
                        made.append(await house.job(items=chance.randint(1, 4), principal=who))
                    case "claim":
                        claimed = await house.claims.claim(chance.choice("abc"))
                        held += [claimed] if claimed else []
                    case "end" if held:
                        settled += await finish(house, chance.choice(held))  # possibly again, or too late
                    case "fail" if held:
                        error = chance.choice([EmptyMask(), OutOfMemory(retry_after=0), QueueFull()])
                        await house.claims.fail(chance.choice(held), error)
                    case "zombie" if made:
                        past = chance.choice([now() - 1, now() + 10**6])
                        await house.change(chance.choice(made), lease_until=past, run_at=now())
                    case "cancel" if made and chance.random() < 0.2:
                        job = chance.choice(made)
                        await house.store.cancel(job.tenant_id, job.id)
                await agrees(house, made, settled)
            for job in made:
                await house.change(job, lease_until=now() - 1, run_at=now())
            while (claimed := await house.claims.claim("last")) is not None:
                settled += await finish(house, claimed)
            await agrees(house, made, settled)
            assert sorted(house.over) == sorted(job.id for job in made)

    async def agrees(house, made, settled):
        """Counters, numbers, ledger and usage tell the same story as the items."""
        for job in made:
            stands = await house.store.get(job.tenant_id, job.id)
            items = await house.items(job)
            states = [item.state for item in items]
            assert stands.succeeded == states.count(ItemState.SUCCEEDED)
            assert stands.failed == states.count(ItemState.FAILED)
            told = await house.store.events(job.tenant_id, job.id, 0)
            assert [event.sequence for event in told] == list(range(1, stands.sequence + 1))
            assert stands.over == (ItemState.QUEUED not in states and ItemState.LEASED not in states)
            assert (job.id in house.over) == stands.over
        assert len(await house.events()) == (await house.holds()).get("settled", 0) == settled

    asyncio.run(story())


def test_claiming_is_quick_beside_jobs_that_are_over(open_house):
    """A queue that grows slow as it is used is no queue: 3,000 rows that are done change nothing."""

    async def story():
        async with open_house() as house:
            for _ in range(3):
                done = await house.job(items=1000)
                await house.change(done, state=ItemState.SUCCEEDED)
                await house.age(done, state=JobState.SUCCEEDED, claimed_at=1.0)
            await house.job(items=5)
            begin = (await house.rows(sa.select(now())))[0][0]
            for _ in range(5):
                assert await house.claims.claim("a") is not None
            assert (await house.rows(sa.select(now())))[0][0] - begin < 2

    asyncio.run(story())
