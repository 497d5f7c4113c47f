"""Threads for work that would hold up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from magic_eraser.models.watch import Watch

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """A bounded pool. A cancelled caller waits until its thread has left, so that what the thread holds in
    memory stays counted.

    Args:
        threads: at once, >= 1.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="eraser")
        self._watches: set[Watch] = set()

    async def run(self, watch: Watch, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread. Where the awaiting task is cancelled, so is `watch`, and the thread is waited
        for."""
        watch.check()
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._threads, lambda: work(*args, **kwargs))
        self._watches.add(watch)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            watch.cancel()
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # seen: it is the watch's own, and nobody is left to hear another
            raise
        finally:
            self._watches.discard(watch)

    def close(self) -> None:
        """Cancel what runs and wait for it to leave; start nothing that has not begun."""
        for watch in tuple(self._watches):
            watch.cancel()
        self._threads.shutdown(wait=True, cancel_futures=True)
