"""Independent parts of one job on one or more threads, with the same result on any number of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from types import TracebackType
from typing import Self, TypeVar

from magic_eraser.models.watch import Watch

Part = TypeVar("Part")


class Crew:
    """Threads of one fill; numpy and OpenCV let go of the interpreter inside their calls.

    Args:
        threads: at least 1; with 1 everything runs in the caller's thread.
        watch: checked before every part.
    """

    def __init__(self, threads: int, watch: Watch) -> None:
        self.watch = watch
        self._pool = ThreadPoolExecutor(threads, "patch") if threads > 1 else None
        self._ahead = 2 * threads

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def each(self, work: Callable[[Part], None], parts: Iterable[Part]) -> None:
        """Call `work` once for every part; the parts are drawn in order, in the caller's thread.

        Raises:
            Cancelled, DeadlineExceeded: as `watch` says; work that has begun is waited for.
        """
        drawn = iter(parts)
        first = list(islice(drawn, 2))
        if self._pool is None or len(first) < 2:  # one part is not worth another thread
            for part in chain(first, drawn):
                self.watch.check()
                work(part)
            return
        waiting: list[Future[None]] = []
        try:
            for part in chain(first, drawn):
                self.watch.check()
                if len(waiting) >= self._ahead:
                    waiting.pop(0).result()
                waiting.append(self._pool.submit(work, part))
            while waiting:
                waiting.pop(0).result()
                self.watch.check()
        finally:
            for future in waiting:
                future.cancel()


def pieces(count: int, length: int) -> list[slice]:
    """0..count cut into slices of at most `length`."""
    return [slice(start, min(start + length, count)) for start in range(0, count, length)]
