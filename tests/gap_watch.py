"""A watch that measures how long the work goes on without looking at it."""

from __future__ import annotations

import time

from magic_eraser.models.watch import Watch


class GapWatch(Watch):
    """`longest` is the longest time between two checks, in seconds of this thread's processor time."""

    def __init__(self):
        super().__init__()
        self.last, self.longest = time.thread_time(), 0.0

    def check(self):
        now = time.thread_time()
        self.last, self.longest = now, max(self.longest, now - self.last)
        super().check()
