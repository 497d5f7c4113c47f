"""The door: it holds back, lets in by turn, turns away, and forgets nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magic_eraser.accounts.principal import LOCAL_OWNER, Principal
from magic_eraser.accounts.priority import Priority
from magic_eraser.errors import DeadlineExceeded, Draining, EraserError, QueueFull
from magic_eraser.models.watch import Watch
from magic_eraser.service.admission import NullAdmission, SlotAdmission


def caller(tenant: str, priority: Priority = Priority.NORMAL) -> Principal:
    return replace(LOCAL_OWNER, tenant_id=tenant, priority=priority)


class Visitor:
    """Goes in, stays until told to leave."""

    def __init__(
        self, door: SlotAdmission, seconds: float | None = None, principal: Principal = LOCAL_OWNER
    ) -> None:
        self.inside = asyncio.Event()
        self.leave = asyncio.Event()
        self.ahead: int | None = None
        self.task = asyncio.create_task(self._visit(door, principal, Watch(seconds)))

    async def _visit(self, door: SlotAdmission, principal: Principal, watch: Watch) -> None:
        async with door.enter(principal, watch) as self.ahead:
            self.inside.set()
            await self.leave.wait()


class Clock:
    """Monotonic seconds, by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def hold(door: SlotAdmission, clock: Clock, seconds: float) -> None:
    async with door.enter(LOCAL_OWNER, Watch()):
        clock.now += seconds


async def go(*guests: Visitor) -> list[BaseException | None]:
    for guest in guests:
        guest.leave.set()
    return await asyncio.gather(*(guest.task for guest in guests), return_exceptions=True)


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


def test_who_is_gone_when_its_turn_comes_is_passed_over():
    async def story() -> None:
        door = SlotAdmission(slots=1, depth=5)
        first, second, third = Visitor(door), Visitor(door), Visitor(door)
        await settle()
        first.leave.set()
        second.task.cancel()  # still in the line when first leaves, as no task has run since
        await settle()
        assert first.task.exception() is None
        assert third.inside.is_set()
        await go(third)
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


# --- whose turn it is ---------------------------------------------------------------------------------


def test_a_tenant_with_a_hundred_waiting_delays_another_by_one_release():
    async def story() -> None:
        door = SlotAdmission(slots=1, depth=200)
        crowd = [Visitor(door, principal=caller("crowd")) for _ in range(101)]
        await settle()
        single = Visitor(door, principal=caller("single"))
        await settle()
        crowd[0].leave.set()
        await settle()
        assert single.inside.is_set()
        assert single.ahead == 0
        await go(single, *crowd)

    asyncio.run(story())


def test_items_of_a_batch_let_others_by_and_those_with_priority_go_first():
    async def story() -> None:
        door = SlotAdmission(slots=1, depth=10)
        order: list[Priority] = []

        async def visit(priority: Priority) -> None:
            async with door.enter(caller(f"tenant {priority}", priority), Watch()):
                order.append(priority)

        first = Visitor(door)
        await settle()
        visits = [asyncio.create_task(visit(priority)) for priority in Priority]
        await settle()
        assert door.queued == dict.fromkeys(Priority, 1)
        first.leave.set()
        await asyncio.gather(first.task, *visits)
        assert order == [Priority.FIRST, Priority.NORMAL, Priority.BATCH]

    asyncio.run(story())


def test_the_place_on_arrival_is_told():
    async def story() -> None:
        door = SlotAdmission(slots=1, depth=10)
        guests = [Visitor(door) for _ in range(4)]
        other = Visitor(door, principal=caller("other"))
        await settle()
        await go(*guests, other)
        assert [guest.ahead for guest in guests] == [0, 0, 1, 2]
        assert other.ahead == 0

    asyncio.run(story())


def test_the_time_of_work_that_may_wait_begins_with_its_slot():
    async def story() -> None:
        for door in (SlotAdmission(slots=1, depth=0), NullAdmission()):
            watch = Watch.waiting(60)
            assert watch.remaining() is None
            async with door.enter(LOCAL_OWNER, watch):
                assert 59 < watch.remaining() <= 60

    asyncio.run(story())


# --- the queue is full --------------------------------------------------------------------------------


def test_one_party_alone_may_use_the_whole_queue():
    async def story() -> None:
        door = SlotAdmission(slots=1, depth=8)
        guests = [Visitor(door) for _ in range(9)]
        await settle()
        assert door.waiting == 8
        assert await go(*guests) == [None] * 9

    asyncio.run(story())


def test_who_fills_the_queue_makes_room_for_another():
    async def story() -> None:
        refused: list[str] = []
        door = SlotAdmission(slots=1, depth=3, on_refusal=refused.append)
        crowd = [Visitor(door, principal=caller("crowd")) for _ in range(4)]
        await settle()
        single = Visitor(door, principal=caller("single"))
        await settle()
        assert door.waiting == 3
        assert refused == ["queue_full"]
        *served, pushed_out = await go(single, *crowd)
        assert served == [None] * 4
        assert isinstance(pushed_out, QueueFull)
        assert 1 <= pushed_out.retry_after <= 60

    asyncio.run(story())


def test_a_look_at_a_full_queue_refuses_whom_the_queue_would_refuse_and_takes_no_place():
    async def story() -> None:
        refused: list[str] = []
        door = SlotAdmission(slots=1, depth=2, on_refusal=refused.append)
        door.check(caller("crowd"))
        crowd = [Visitor(door, principal=caller("crowd")) for _ in range(3)]
        await settle()
        with pytest.raises(QueueFull):
            door.check(caller("crowd"))
        door.check(caller("single"))
        door.check(caller("crowd", Priority.FIRST))
        assert (door.running, door.waiting) == (1, 2)
        door.drain()
        with pytest.raises(Draining):
            door.check(caller("single"))
        assert refused == ["queue_full", "draining"]
        await go(*crowd)

    asyncio.run(story())


def test_the_refused_are_told_the_time_that_those_ahead_take_and_not_all_the_same():
    async def story() -> None:
        clock = Clock()
        chances = iter([0.0, 0.5, 0.999])
        door = SlotAdmission(slots=2, depth=6, clock=clock, chance=lambda: next(chances))
        await hold(door, clock, 10.0)
        guests = [Visitor(door) for _ in range(8)]
        await settle()
        told = []
        for _ in range(3):
            with pytest.raises(QueueFull) as caught:
                door.check(LOCAL_OWNER)
            told.append(caught.value.retry_after)
        assert told == [35, 39, 42]  # (6 + 1) places of 10 s by 2 slots; and up to a fifth more
        await go(*guests)

    asyncio.run(story())


@pytest.mark.parametrize(("seconds", "told"), [(0.001, {1, 2}), (3600.0, {50, 60})])
def test_nobody_is_told_less_than_a_second_or_more_than_a_minute(seconds, told):
    async def story() -> None:
        for chance, expected in zip((0.0, 0.999), sorted(told), strict=True):
            clock = Clock()
            door = SlotAdmission(slots=1, depth=0, clock=clock, chance=lambda chance=chance: chance)
            await hold(door, clock, seconds)
            guest = Visitor(door)
            await settle()
            with pytest.raises(QueueFull) as caught:
                door.check(LOCAL_OWNER)
            assert caught.value.retry_after == expected
            await go(guest)

    asyncio.run(story())


def test_the_mean_follows_how_long_slots_are_held():
    async def story() -> None:
        clock = Clock()
        door = SlotAdmission(slots=1, depth=0, clock=clock)
        assert door.expected_wait() == 1.0  # a guess
        await hold(door, clock, 4.0)
        assert door.expected_wait() == 4.0
        for _ in range(20):
            await hold(door, clock, 2.0)
        assert door.expected_wait() == pytest.approx(2.0, abs=0.05)

    asyncio.run(story())


# --- whatever happens ---------------------------------------------------------------------------------

arrive = st.tuples(st.just("arrive"), st.sampled_from("abc"), st.sampled_from(Priority), st.booleans())
leave = st.tuples(st.just("leave"), st.integers(0, 5))
give_up = st.tuples(st.just("give up"), st.integers(0, 5))
rest = st.tuples(st.just("rest"), st.integers(1, 3))


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(0, 4),
    st.lists(st.one_of(arrive, arrive, leave, give_up, rest), max_size=40),
)
def test_no_slot_and_no_place_is_lost_whatever_happens_in_whatever_moment(slots, depth, steps):
    async def story() -> None:
        refused: list[str] = []
        door = SlotAdmission(slots, depth, on_refusal=refused.append)
        guests: list[Visitor] = []
        for what, *details in steps:
            if what == "arrive":
                tenant, priority, in_a_hurry = details
                guests.append(Visitor(door, 0.0 if in_a_hurry else None, caller(tenant, priority)))
            elif what == "rest":
                for _ in range(details[0]):
                    await asyncio.sleep(0)  # at one, in the middle of what is going on
            elif guests:
                guest = guests[details[0] % len(guests)]
                guest.leave.set() if what == "leave" else guest.task.cancel()
            assert door.running <= slots
            assert door.waiting <= depth
            assert door.waiting == 0 or door.running == slots
        await settle()
        await settle()
        still_here = [guest for guest in guests if not guest.task.done()]
        assert door.running + door.waiting == len(still_here)
        assert door.running == sum(guest.inside.is_set() for guest in still_here)
        answers = await go(*guests)
        assert (door.running, door.waiting) == (0, 0)
        assert sum(isinstance(answer, EraserError) for answer in answers) == len(refused)
        assert all(isinstance(answer, EraserError | asyncio.CancelledError | None) for answer in answers)
        async with asyncio.timeout(1):
            await door.idle()

    asyncio.run(story())
