"""The door: how many work at once, how many may wait, whose turn it is, and nobody once we are leaving."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from magic_eraser.accounts.principal import Principal
from magic_eraser.errors import DeadlineExceeded, Draining, EraserError, QueueFull
from magic_eraser.models.watch import Watch
from magic_eraser.service.line import Line, Waiter

LONGEST_ADVICE = 60.0
DRAINING_SECONDS = 5.0
JITTER = 0.2
"""Of the time that the refused are told to wait, so that they do not all come back at once."""


class Admission(Protocol):
    """Decides who may work now. `enter` is the one way in, for every door."""

    def enter(self, principal: Principal, watch: Watch) -> AbstractAsyncContextManager[int]:
        """Wait for a slot and hold it for the length of the block, whose value is how many were ahead on arrival. The
        watch's time begins (`Watch.begin`) when the slot is had.

        Raises:
            QueueFull: too many wait already, or somebody with fewer came; `retry_after` is set.
            Draining: the server is leaving.
            DeadlineExceeded: the request's time ran out in the queue.
        """
        ...


class NullAdmission:
    """Everybody at once: the library and the command line."""

    @asynccontextmanager
    async def enter(self, principal: Principal, watch: Watch) -> AsyncIterator[int]:
        watch.begin()
        yield 0


class SlotAdmission:
    """Slots and a bounded, fair queue, in one event loop.

    Those who wait are served by class of priority, which rises with waiting; within a class, parties take turns
    (`Principal.party`). When the queue is full, whoever fills it makes room for others: see `Line.crowder`.

    Args:
        slots: at work at once.
        depth: waiting at once.
        aging_seconds: waiting that raises by one class.
        on_refusal: told the error's code when somebody is turned away.
        clock: monotonic seconds.
        chance: 0..1, for the jitter.
    """

    def __init__(
        self,
        slots: int,
        depth: int,
        *,
        aging_seconds: float = 10.0,
        on_refusal: Callable[[str], None] = lambda _code: None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.slots = slots
        self.depth = depth
        self.running = 0
        self.draining = False
        self._on_refusal = on_refusal
        self._clock = clock
        self._chance = chance
        self._line: Line[asyncio.Future[None]] = Line(aging_seconds)
        self._mean_seconds = 1.0  # moving average of a slot's use; the first guess counts for little
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        return len(self._line)

    def check(self, principal: Principal) -> None:
        """Refuse now what `enter` would refuse now: before anything of the request is read.

        Raises:
            QueueFull, Draining: see `enter`.
        """
        try:
            self._check(principal)
        except EraserError as error:
            self._on_refusal(error.code)
            raise

    @asynccontextmanager
    async def enter(self, principal: Principal, watch: Watch) -> AsyncIterator[int]:
        """See `Admission`."""
        ahead = self.waiting
        try:
            await self._take(principal, watch)
        except EraserError as error:
            self._on_refusal(error.code)
            raise
        start = self._clock()
        watch.begin()
        try:
            yield ahead
        finally:
            self._mean_seconds += 0.2 * (self._clock() - start - self._mean_seconds)
            self._give_back()

    def expected_wait(self) -> float:
        """Whole seconds, 1..60, after which a newcomer may find a place: those ahead by the mean time of a slot."""
        expected = (self.waiting + 1) * self._mean_seconds / self.slots
        return float(min(LONGEST_ADVICE, max(1, math.ceil(expected))))

    def drain(self) -> None:
        """Let nobody in any more; those inside and in the queue finish."""
        self.draining = True

    async def idle(self) -> None:
        """Returns once nobody is inside."""
        await self._idle.wait()

    def _check(self, principal: Principal) -> None:
        if self.draining:
            raise Draining(retry_after=DRAINING_SECONDS)
        if self._free or len(self._line) < self.depth:
            return
        if self._line.crowder(principal.party, principal.priority) is None:
            raise self._full()

    @property
    def _free(self) -> bool:
        return self.running < self.slots and not self._line

    def _full(self) -> QueueFull:
        wait = self.expected_wait()
        return QueueFull(
            f"The queue is full: {self.running} are being worked on and {self.waiting} wait.",
            f"排队人数已满：正在处理 {self.running} 个，另有 {self.waiting} 个在等待。",
            retry_after=min(LONGEST_ADVICE, math.ceil(wait * (1 + JITTER * self._chance()))),
        )

    async def _take(self, principal: Principal, watch: Watch) -> None:
        self._check(principal)
        if self._free:
            self.running += 1
            self._idle.clear()
            self._line.served(principal.party)
            return
        if len(self._line) >= self.depth:
            self._push_out(principal)
        turn = asyncio.get_running_loop().create_future()
        waiter = Waiter(principal.party, principal.priority, self._clock(), turn)
        self._line.join(waiter)
        try:
            async with asyncio.timeout(watch.remaining()):
                await turn
        except BaseException as error:
            if not self._line.leave(waiter) and turn.done() and not turn.cancelled() and not turn.exception():
                self._give_back()  # the slot came in the same moment: pass it on
            if isinstance(error, TimeoutError):
                raise DeadlineExceeded(
                    "The time limit passed while the request waited in the queue (timeout).",
                    "排队等待时间过长，请求已超时。",
                ) from None
            raise

    def _push_out(self, principal: Principal) -> None:
        crowder = self._line.crowder(principal.party, principal.priority)
        assert crowder is not None  # `_check` has looked
        error = self._full()
        self._line.leave(crowder)
        if not crowder.ticket.done():
            crowder.ticket.set_exception(error)

    def _give_back(self) -> None:
        while (waiter := self._line.next(self._clock())) is not None:
            if not waiter.ticket.done():  # done: cancelled in this very moment
                waiter.ticket.set_result(None)
                return
        self.running -= 1
        if self.running == 0:
            self._idle.set()
