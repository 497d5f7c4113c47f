"""The door: how many work at once, how many may wait, and nobody once we are leaving."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from magic_eraser.accounts.principal import Principal
from magic_eraser.errors import DeadlineExceeded, Draining, EraserError, QueueFull
from magic_eraser.models.watch import Watch


class Admission(Protocol):
    """Decides who may work now. `enter` is the one way in, for every door."""

    def enter(self, principal: Principal, watch: Watch) -> AbstractAsyncContextManager[None]:
        """Wait for a slot and hold it for the length of the block.

        Raises:
            QueueFull: too many wait already; `retry_after` is set.
            Draining: the server is leaving.
            DeadlineExceeded: the request's time ran out in the queue.
        """
        ...


class NullAdmission:
    """Everybody at once: the library and the command line."""

    @asynccontextmanager
    async def enter(self, principal: Principal, watch: Watch) -> AsyncIterator[None]:
        yield


class SlotAdmission:
    """First come, first served, in one event loop.

    Args:
        slots: at work at once.
        depth: waiting at once.
        on_refusal: told the error's code when somebody is turned away.
    """

    def __init__(self, slots: int, depth: int, on_refusal: Callable[[str], None] | None = None) -> None:
        self.slots = slots
        self.depth = depth
        self._on_refusal = on_refusal
        self.running = 0
        self.draining = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._mean_seconds = 1.0  # moving average of a slot's use; the first guess counts for little
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def enter(self, principal: Principal, watch: Watch) -> AsyncIterator[None]:
        try:
            if self.draining:
                raise Draining(retry_after=5)
            await self._take(watch)
        except EraserError as error:
            if self._on_refusal is not None:
                self._on_refusal(error.code)
            raise
        start = time.monotonic()
        try:
            yield
        finally:
            self._mean_seconds += 0.2 * (time.monotonic() - start - self._mean_seconds)
            self._give_back()

    async def _take(self, watch: Watch) -> None:
        if self.running < self.slots and not self._waiting:
            self.running += 1
            self._idle.clear()
            return
        if len(self._waiting) >= self.depth:
            raise QueueFull(
                f"The queue is full: {self.running} are being worked on and {self.waiting} wait.",
                f"排队人数已满：正在处理 {self.running} 个，另有 {self.waiting} 个在等待。",
                retry_after=self.expected_wait(),
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(watch.remaining()):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # the slot came in the same moment: pass it on
                self._give_back()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise DeadlineExceeded(
                    "The time limit passed while the request waited in the queue (timeout).",
                    "排队等待时间过长，请求已超时。",
                ) from None
            raise

    def _give_back(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # done: cancelled in this very moment
                turn.set_result(None)
                return
        self.running -= 1
        if self.running == 0:
            self._idle.set()

    def expected_wait(self) -> float:
        """Whole seconds, 1..60, after which a newcomer may find a place."""
        return float(min(60, max(1, math.ceil((self.waiting + 1) * self._mean_seconds / self.slots))))

    def drain(self) -> None:
        """Let nobody in any more; those inside and in the queue finish."""
        self.draining = True

    async def idle(self) -> None:
        """Returns once nobody is inside."""
        await self._idle.wait()
