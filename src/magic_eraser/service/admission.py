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
from magic_eraser.accounts.priority import Priority
from magic_eraser.errors import DeadlineExceeded, Draining, EraserError, QueueFull
from magic_eraser.models.watch import Watch
from magic_eraser.service.line import Line, Waiter

LONGEST_ADVICE = 60.0
FIRST_GUESS = 1.0
"""Seconds that a slot is held, before any was."""
WEIGHT_OF_LAST = 0.2
"""Of the last use of a slot in the moving average: half of it are the last three."""
JITTER = 0.2
"""Of the time that the refused are told to wait, so that they do not all come back at once."""


_Turn = Waiter[asyncio.Future[None]]


class Admission(Protocol):
    """Decides who may work now. `enter` is the one way in, for every door."""

    def enter(self, principal: Principal, watch: Watch) -> AbstractAsyncContextManager[int]:
        """Wait for a slot and hold it for the length of the block, whose value is the place on arrival: how many were
        to be served before. The watch's time begins (`Watch.begin`) when the slot is had.

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

    Those who wait are served by class of priority, which rises for those who get no turn; within a class, parties
    (`Principal.party`) take turns. When the queue is full, whoever fills it makes room for others: `Line.crowder`.

    Args:
        slots: at work at once.
        depth: waiting at once.
        aging_seconds: without a turn that raise a party by one class.
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
        self._mean_seconds: float | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        return len(self._line)

    @property
    def queued(self) -> dict[Priority, int]:
        """How many wait, by the class in which they came."""
        return self._line.counts()

    def check(self, principal: Principal) -> None:
        """Refuse now what `enter` would refuse now: before anything of the request is read.

        Raises:
            QueueFull, Draining: see `enter`.
        """
        try:
            self._check(principal, self._clock())
        except EraserError as error:
            self._on_refusal(error.code)
            raise

    @asynccontextmanager
    async def enter(self, principal: Principal, watch: Watch) -> AsyncIterator[int]:
        """See `Admission`."""
        try:
            ahead = await self._take(principal, watch)
        except EraserError as error:
            self._on_refusal(error.code)
            raise
        start = self._clock()
        watch.begin()
        try:
            yield ahead
        finally:
            self._learn(self._clock() - start)
            self._give_back()

    def expected_wait(self, ahead: int | None = None) -> float:
        """Seconds until one with so many ahead (all who wait, where None) has gone through: by the moving average of
        the time that a slot is held."""
        places = (self.waiting if ahead is None else ahead) + 1
        return places * (FIRST_GUESS if self._mean_seconds is None else self._mean_seconds) / self.slots

    def drain(self) -> None:
        """Let nobody in any more; those inside and in the queue finish."""
        self.draining = True

    async def idle(self) -> None:
        """Returns once nobody is inside."""
        await self._idle.wait()

    def _check(self, principal: Principal, now: float) -> _Turn | None:
        """Who has to make room for a newcomer; nobody where there is some."""
        if self.draining:
            raise Draining
        if self._free or len(self._line) < self.depth:
            return None
        crowder = self._line.crowder(principal.party, principal.priority, now)
        if crowder is None:
            raise QueueFull(
                f"The queue is full: {self.running} are being worked on and {self.waiting} wait.",
                f"排队人数已满：正在处理 {self.running} 个，另有 {self.waiting} 个在等待。",
                retry_after=self._advice(principal.party, principal.priority, now),
            )
        return crowder

    @property
    def _free(self) -> bool:
        return self.running < self.slots and not self._line

    def _advice(self, party: str, priority: Priority, now: float) -> float:
        """Whole seconds, 1..60, after which one of the party may come again."""
        wait = self.expected_wait(self._line.ahead(party, priority, now))
        longest = LONGEST_ADVICE / (1 + JITTER)
        return float(math.ceil(min(longest, max(1.0, wait)) * (1 + JITTER * self._chance())))

    def _learn(self, seconds: float) -> None:
        mean = seconds if self._mean_seconds is None else self._mean_seconds
        self._mean_seconds = mean + WEIGHT_OF_LAST * (seconds - mean)

    async def _take(self, principal: Principal, watch: Watch) -> int:
        now = self._clock()
        crowder = self._check(principal, now)
        if self._free:
            self.running += 1
            self._idle.clear()
            self._line.served(principal.party)
            return 0
        if crowder is not None:
            self._push_out(crowder, now)
        ahead = self._line.ahead(principal.party, principal.priority, now)
        turn = asyncio.get_running_loop().create_future()
        waiter = Waiter(principal.party, principal.priority, now, turn)
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
        return ahead

    def _push_out(self, crowder: _Turn, now: float) -> None:
        self._line.leave(crowder)
        if not crowder.ticket.done():  # done: cancelled in this very moment
            crowder.ticket.set_exception(
                QueueFull(
                    "The queue is full, and this request had to make room for one of somebody who has fewer in it, or "
                    "goes first.",
                    "排队人数已满，此请求须让位给排队较少或优先级更高的用户。",
                    retry_after=self._advice(crowder.party, crowder.priority, now),
                )
            )

    def _give_back(self) -> None:
        while (waiter := self._line.next(self._clock())) is not None:
            if not waiter.ticket.done():
                waiter.ticket.set_result(None)
                return
        self.running -= 1
        if self.running == 0:
            self._idle.set()
