"""The door: it holds back, lets in by turn, turns away, and forgets nobody."""

from __future__ import annotations

import asyncio

import pytest

from magic_eraser.accounts.principal import LOCAL_OWNER
from magic_eraser.errors import DeadlineExceeded, Draining, QueueFull
from magic_eraser.models.watch import Watch
from magic_eraser.service.admission import SlotAdmission


class Visitor:
    """Goes in, stays until told to leave."""

    def __init__(self, door: SlotAdmission, seconds: float | None = None) -> None:
        self.inside = asyncio.Event()
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._visit(door, Watch(seconds)))

    async def _visit(self, door: SlotAdmission, watch: Watch) -> None:
        async with door.enter(LOCAL_OWNER, watch):
            self.inside.set()
            await self.leave.wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_no_more_than_the_slots_are_inside_and_the_rest_come_in_turn():
    async def story() -> None:
        door = SlotAdmission(slots=2, depth=10)
        guests = [Visitor(door) for _ in range(4)]
        await settle()
        assert [guest.inside.is_set() for guest in guests] == [True, True, False, False]
        assert (door.running, door.waiting) == (2, 2)
        guests[1].leave.set()
        await settle()
        assert [guest.inside.is_set() for guest in guests] == [True, True, True, False]
        for guest in guests:
            guest.leave.set()
        await asyncio.gather(*(guest.task for guest in guests))
        assert (door.running, door.waiting) == (0, 0)

    asyncio.run(story())


def test_one_too_many_is_told_when_to_come_back():
    async def story() -> None:
        refused = []
        door = SlotAdmission(slots=1, depth=1, on_refusal=refused.append)
        guests = [Visitor(door), Visitor(door)]
        await settle()
        with pytest.raises(QueueFull) as caught:
            async with door.enter(LOCAL_OWNER, Watch()):
                pass
        assert 1 <= caught.value.retry_after <= 60
        assert refused == ["queue_full"]
        for guest in guests:
            guest.leave.set()
        await asyncio.gather(*(guest.task for guest in guests))

    asyncio.run(story())


def test_a_deadline_in_the_queue_ends_the_waiting():
    async def story() -> None:
        door = SlotAdmission(slots=1, depth=5)
        first = Visitor(door)
        await settle()
        late = Visitor(door, seconds=0.01)
        with pytest.raises(DeadlineExceeded):
            await late.task
        assert door.waiting == 0
        first.leave.set()
        await first.task
        assert door.running == 0

    asyncio.run(story())


def test_who_gives_up_waiting_leaves_no_gap():
    async def story() -> None:
        door = SlotAdmission(slots=1, depth=5)
        first, second, third = Visitor(door), Visitor(door), Visitor(door)
        await settle()
        second.task.cancel()
        await settle()
        assert door.waiting == 1
        first.leave.set()
        await settle()
        assert third.inside.is_set()
        third.leave.set()
        await third.task
        assert door.running == 0

    asyncio.run(story())


def test_who_gives_up_in_the_moment_of_its_turn_passes_it_on():
    async def story() -> None:
        door = SlotAdmission(slots=1, depth=5)
        first, second, third = Visitor(door), Visitor(door), Visitor(door)
        await settle()
        first.leave.set()
        await asyncio.sleep(0)  # first leaves and hands its slot to second ...
        second.task.cancel()  # ... who is gone before it wakes
        await settle()
        assert third.inside.is_set()
        third.leave.set()
        await asyncio.gather(first.task, third.task)
        assert (door.running, door.waiting) == (0, 0)

    asyncio.run(story())


def test_while_draining_nobody_new_comes_in_and_the_rest_finish():
    async def story() -> None:
        door = SlotAdmission(slots=1, depth=5)
        inside, waiting = Visitor(door), Visitor(door)
        await settle()
        door.drain()
        with pytest.raises(Draining):
            async with door.enter(LOCAL_OWNER, Watch()):
                pass
        idle = asyncio.create_task(door.idle())
        await settle()
        assert not idle.done()
        inside.leave.set()
        waiting.leave.set()
        await asyncio.gather(inside.task, waiting.task, idle)

    asyncio.run(story())


def test_an_error_inside_gives_the_slot_back():
    async def story() -> None:
        door = SlotAdmission(slots=1, depth=0)
        with pytest.raises(ZeroDivisionError):
            async with door.enter(LOCAL_OWNER, Watch()):
                raise ZeroDivisionError
        async with door.enter(LOCAL_OWNER, Watch()):
            assert door.running == 1

    asyncio.run(story())
