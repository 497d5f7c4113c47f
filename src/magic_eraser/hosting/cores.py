"""How many processor cores this process may use, one fill of it, and whose turn it is on all of them."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from magic_eraser.models.watch import Watch

CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(limit: Path = CGROUP_LIMIT) -> int:
    """At least 1: the cores that the system lets this process run on, or fewer where its container has a quota.

    Args:
        limit: the control group's `cpu.max` (cgroup v2): microseconds allowed, or "max", and those of the period.
    """
    has_affinity = hasattr(os, "sched_getaffinity")  # not macOS, not Windows
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    try:
        allowed, period = (int(number) for number in limit.read_text().split())
        cores = min(cores, round(allowed / period))
    except (OSError, ValueError, ZeroDivisionError):  # no control groups, or "max"
        pass
    return max(1, cores)


def share(cores: int, slots: int) -> int:
    """Cores for each of `slots` requests at once, at least 1."""
    return max(1, cores // slots)


def limit_opencv(threads: int) -> None:
    """OpenCV's calls use as many cores as a fill may. One number for the whole process: the last word holds."""
    cv2.setNumThreads(threads)


LOOK_SECONDS = 0.05
"""Between two looks at the watch of one that waits, which nothing wakes when it is cancelled."""


class Turn:
    """One at a time, in the order of arrival: two networks at once, each on all cores, take longer than one after
    the other, and memory for both."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._line: deque[Watch] = deque()

    @contextmanager
    def taken(self, watch: Watch) -> Iterator[None]:
        """Waits until everybody before is done.

        Raises:
            Cancelled, DeadlineExceeded: as `watch` says, while waiting.
        """
        mine = watch.part(0, 1)  # an object of its own, though the same watch may stand in the line twice
        with self._changed:
            self._line.append(mine)
        try:
            with self._changed:
                while self._line[0] is not mine:
                    watch.check()
                    self._changed.wait(LOOK_SECONDS)
            yield
        finally:
            with self._changed:
                self._line.remove(mine)
                self._changed.notify_all()
