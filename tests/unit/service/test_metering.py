"""What is held is settled or given back, also for callers that go away in the middle of holding it."""

from __future__ import annotations

import asyncio

import pytest

from magic_eraser.accounts.principal import LOCAL_OWNER
from magic_eraser.billing.quota import NullQuota, Reservation
from magic_eraser.errors import QuotaExhausted, StorageUnavailable
from magic_eraser.service.metering import Metering


class SlowQuota(NullQuota):
    """Holds a call at once, and tells so when it is let; like a database whose answer to the commit is on its way."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.held: set[str] = set()
        self._refusal = refusal
        self.away = False

    async def reserve(self, principal, units, within=None) -> Reservation:
        if self._refusal is None:
            self.held.add("r")
        self.begun.set()
        await self.go_on.wait()
        if self._refusal is not None:
            raise self._refusal
        return Reservation("r", units)

    async def release(self, reservation, within=None) -> None:
        if self.away:
            raise StorageUnavailable
        self.held.remove(reservation.id)


async def leaving(quota: SlowQuota, times: int = 1) -> asyncio.Task[Reservation]:
    """A caller that was told to go so many times while the call was being held."""
    asking = asyncio.create_task(Metering(quota).reserve(LOCAL_OWNER, 1))
    await quota.begun.wait()
    for _ in range(times):
        asking.cancel()
        await asyncio.sleep(0)
    quota.go_on.set()
    await asyncio.wait({asking})
    await asyncio.sleep(0)
    return asking


@pytest.mark.parametrize("times", [1, 2])
def test_a_caller_that_goes_while_its_call_is_being_held_holds_nothing(times):
    async def story() -> None:
        quota = SlowQuota()
        assert (await leaving(quota, times)).cancelled()
        assert quota.held == set()

    asyncio.run(story())


def test_a_refusal_that_comes_after_the_caller_went_is_nobodys(caplog):
    async def story() -> None:
        assert (await leaving(SlowQuota(QuotaExhausted()))).cancelled()

    asyncio.run(story())
    assert caplog.records == []


def test_where_the_database_went_too_the_hold_ends_by_itself():
    async def story() -> None:
        quota = SlowQuota()
        quota.away = True
        assert (await leaving(quota)).cancelled()
        assert quota.held == {"r"}

    asyncio.run(story())
