"""Equal work is done once, whoever comes, goes or fails meanwhile."""

from __future__ import annotations

import asyncio
import gc
import random
import traceback
from contextlib import suppress
from contextvars import ContextVar
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magic_eraser.errors import Cancelled, DeadlineExceeded, QuotaExhausted, UnsupportedFormat
from magic_eraser.service.flights import Flights

request_id: ContextVar[str] = ContextVar("request_id")


class Work:
    """Goes on until it is let go, and knows how often it was begun, how many run at once, and what ended it."""

    def __init__(self, outcome: object = "result") -> None:
        self.go = asyncio.Event()
        self.outcome = outcome
        self.begun = self.running = self.most = self.cancelled = 0
        self.seen: list[str] = []

    async def __call__(self):
        self.begun += 1
        self.running += 1
        self.most = max(self.most, self.running)
        self.seen.append(request_id.get("nobody"))
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            await asyncio.sleep(0)  # stopping takes a moment
            raise
        finally:
            self.running -= 1
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def story(coroutine):
    """Runs it; an error that nobody saw fails the test."""
    unseen: list[dict[str, object]] = []

    async def watched():
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unseen.append(context))
        return await coroutine

    result = asyncio.run(watched())
    gc.collect(1)  # not of all generations, which takes 0.1 s
    assert unseen == []
    return result


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def call(flights, work, seconds=None, key="key"):
    return asyncio.create_task(flights.run(key, work, seconds))


async def outcomes(tasks):
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_fifty_equal_callers_are_one_piece_of_work():
    async def fifty():
        flights, work = Flights(), Work()
        tasks = [call(flights, work) for _ in range(50)]
        await turns()
        assert len(flights) == 1
        work.go.set()
        results = await outcomes(tasks)
        assert results == [("result", False), *[("result", True)] * 49]
        assert (work.begun, len(flights)) == (1, 0)

    story(fifty())


def test_other_keys_are_other_work():
    async def two():
        flights, first, second = Flights(), Work("first"), Work("second")
        tasks = [call(flights, first, key="a"), call(flights, second, key="b")]
        first.go.set()
        second.go.set()
        assert await outcomes(tasks) == [("first", False), ("second", False)]

    story(two())


def test_what_is_over_is_begun_anew():
    async def twice():
        flights, work = Flights(), Work()
        work.go.set()
        assert await flights.run("key", work, None) == ("result", False)
        assert await flights.run("key", work, None) == ("result", False)
        assert work.begun == 2

    story(twice())


def test_the_one_who_began_it_may_leave_while_another_waits():
    async def leader_leaves():
        flights, work = Flights(), Work()
        leader, follower = call(flights, work), call(flights, work)
        await turns()
        leader.cancel()
        await turns()
        assert (work.running, len(flights)) == (1, 1)
        work.go.set()
        assert await follower == ("result", True)
        assert (work.begun, work.cancelled) == (1, 0)
        assert leader.cancelled()

    story(leader_leaves())


def test_work_that_fails_after_its_leader_left_is_no_unseen_error():
    async def leader_leaves():
        flights, work = Flights(), Work(UnsupportedFormat())
        leader, follower = call(flights, work), call(flights, work)
        await turns()
        leader.cancel()
        work.go.set()
        results = await outcomes([leader, follower])
        assert [type(result) for result in results] == [asyncio.CancelledError, UnsupportedFormat]

    story(leader_leaves())


def test_with_the_last_who_waits_the_work_ends_before_they_are_told():
    async def all_leave():
        flights, work = Flights(), Work()
        tasks = [call(flights, work) for _ in range(3)]
        await turns()
        for task in tasks:
            task.cancel()
        await outcomes(tasks)
        assert (work.cancelled, work.running, len(flights)) == (1, 0, 0)

    story(all_leave())


def test_one_who_comes_while_the_work_is_being_stopped_begins_anew():
    async def late_comer():
        flights, work = Flights(), Work()
        leader = call(flights, work)
        await turns()
        leader.cancel()
        await asyncio.sleep(0)  # the work has been told, and stops
        assert len(flights) == 1
        late = call(flights, work)
        await turns(10)
        assert (work.begun, work.running, work.most) == (2, 1, 1)
        work.go.set()
        assert await late == ("result", False)

    story(late_comer())


def test_an_error_reaches_everybody_as_an_object_of_their_own():
    async def fails():
        error = QuotaExhausted("None left.", "没有了。", retry_after=7, extra={"limit": 10})
        error.__cause__ = OSError("why")
        flights, work = Flights(), Work(error)
        tasks = [call(flights, work) for _ in range(20)]
        await turns()
        work.go.set()
        errors = await outcomes(tasks)
        assert len({id(each) for each in errors}) == 20
        assert len({id(each.extra) for each in errors}) == 20
        for each in errors:
            assert (type(each), each.detail, each.detail_zh) == (QuotaExhausted, "None left.", "没有了。")
            assert (each.retry_after, each.extra, str(each.__cause__)) == (7, {"limit": 10}, "why")
            assert len(traceback.extract_tb(each.__traceback__)) < 10
            assert traceback.extract_tb(each.__traceback__)[-1].name == "__call__"
        assert len(flights) == 0

    story(fails())


class Odd(UnsupportedFormat):
    """Made of what no other error is made of."""

    def __init__(self, *, channels: int) -> None:
        super().__init__(f"{channels} channels.")
        self.channels = channels


def test_an_error_of_any_make_reaches_everybody():
    async def fails():
        flights, work = Flights(), Work(Odd(channels=5))
        tasks = [call(flights, work) for _ in range(3)]
        await turns()
        work.go.set()
        errors = await outcomes(tasks)
        assert [(type(each), each.channels, str(each)) for each in errors] == [(Odd, 5, "5 channels.")] * 3

    story(fails())


def test_a_defect_reaches_everybody_too():
    async def fails():
        flights, work = Flights(), Work(ZeroDivisionError("defect"))
        tasks = [call(flights, work) for _ in range(20)]
        await turns()
        work.go.set()
        errors = await outcomes(tasks)
        assert [str(error) for error in errors] == ["defect"] * 20
        assert len(traceback.extract_tb(errors[0].__traceback__)) < 10

    story(fails())


@pytest.mark.parametrize("own", [Cancelled(), DeadlineExceeded()])
def test_a_failure_of_the_leaders_own_makes_one_of_the_others_begin_anew(own):
    async def leader_fails():
        flights, failing, work = Flights(), Work(own), Work()
        leader = call(flights, failing)
        await turns()
        followers = [call(flights, work) for _ in range(10)]
        await turns()
        failing.go.set()
        await turns(20)
        assert (work.begun, work.most, len(flights)) == (1, 1, 1)
        work.go.set()
        results = await outcomes([leader, *followers])
        assert type(results[0]) is type(own)
        assert sorted(results[1:]) == [("result", False), *[("result", True)] * 9]

    story(leader_fails())


def test_work_that_cancels_itself_is_cancelled_for_its_caller_and_begun_anew_for_others():
    async def cancels_itself():
        flights, work = Flights(), Work()
        failing = Work(asyncio.CancelledError())
        leader = call(flights, failing)
        await turns()
        follower = call(flights, work)
        await turns()
        failing.go.set()
        work.go.set()
        first, second = await outcomes([leader, follower])
        assert isinstance(first, Cancelled)
        assert second == ("result", False)

    story(cancels_itself())


def test_one_who_comes_in_the_turn_in_which_the_work_fails_begins_anew():
    """Done, and not yet out of the table: a caller that looked there for ever would stop the whole server."""

    async def in_that_turn():
        flights, work = Flights(), Work()
        work.go.set()
        comer: list[asyncio.Task[object]] = []

        async def fails():
            comer.append(call(flights, work))
            raise DeadlineExceeded

        with pytest.raises(DeadlineExceeded):
            await flights.run("key", fails, None)
        assert await asyncio.wait_for(comer[0], 1) == ("result", False)

    story(in_that_turn())


def test_a_follower_whose_time_is_over_leaves_and_the_work_goes_on():
    async def impatient():
        flights, work = Flights(), Work()
        leader = call(flights, work)
        await turns()
        with pytest.raises(DeadlineExceeded):
            await flights.run("key", work, 0.01)
        work.go.set()
        assert await leader == ("result", False)
        assert work.begun == 1

    story(impatient())


def test_the_last_follower_whose_time_is_over_ends_the_work():
    async def impatient():
        flights, work = Flights(), Work()
        leader, follower = call(flights, work), call(flights, work, seconds=0.01)
        await turns()
        leader.cancel()
        with pytest.raises(DeadlineExceeded):
            await follower
        assert (work.cancelled, work.running, len(flights)) == (1, 0, 0)

    story(impatient())


def test_a_timeout_of_the_works_own_is_not_taken_for_the_callers():
    async def times_out():
        flights, work = Flights(), Work(TimeoutError("of a socket"))
        tasks = [call(flights, work, seconds=10) for _ in range(2)]
        await turns()
        work.go.set()
        assert [str(error) for error in await outcomes(tasks)] == ["of a socket"] * 2

    story(times_out())


def test_work_runs_with_the_context_of_the_one_who_began_it():
    async def two():
        flights, work = Flights(), Work()

        async def as_request(name):
            request_id.set(name)
            return await flights.run("key", work, None)

        tasks = [asyncio.create_task(as_request(name)) for name in ("first", "second")]
        await turns()
        work.go.set()
        await outcomes(tasks)
        assert work.seen == ["first"]

    story(two())


class Crowd:
    """Callers of two keys that come, go, fail and leave by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.flights: Flights[str] = Flights()
        self.running = {"a": 0, "b": 0}
        self.begun: dict[int, int] = {}

    async def work(self, caller: int, key: str) -> str:
        self.begun[caller] = self.begun.get(caller, 0) + 1
        self.running[key] += 1
        assert self.running[key] == 1
        try:
            await turns(self.chance.randrange(6))
            if self.chance.random() < 0.4:
                raise self.chance.choice([Cancelled(), DeadlineExceeded(), UnsupportedFormat(), OSError("x")])
            return key
        except asyncio.CancelledError:
            await turns(self.chance.randrange(3))
            raise
        finally:
            self.running[key] -= 1

    async def walk(self) -> None:
        tasks = []
        for caller in range(30):
            key = self.chance.choice(["a", "b"])
            seconds = self.chance.choice([None, 0.0, 5.0])
            tasks.append((key, call(self.flights, partial(self.work, caller, key), seconds, key)))
            await turns(self.chance.randrange(3))
            if self.chance.random() < 0.4:
                self.chance.choice(tasks)[1].cancel()
        for key, task in tasks:
            with suppress(asyncio.CancelledError, Cancelled, DeadlineExceeded, UnsupportedFormat, OSError):
                assert (await asyncio.wait_for(task, 5))[0] == key


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32))
def test_whatever_comes_and_goes_nothing_is_left_and_never_two_at_once(seed):
    crowd = Crowd(seed)
    story(crowd.walk())
    assert all(count == 1 for count in crowd.begun.values())
    assert (len(crowd.flights), crowd.running) == (0, {"a": 0, "b": 0})
