"""What a model has taken so far, so that a plan can tell what it will take."""

from __future__ import annotations

KEPT = 0.8
"""Share that the past keeps at every new fill or load: half of what counts is of the last three."""
MILLION = 1_000_000


class Pace:
    """Seconds of one model's loads, and seconds per million working pixels of its fills, as moving averages.

    Fills count by their pixels: a small crop, which takes longer for its size, says little about large ones. Whoever
    keeps it calls it under one lock.
    """

    def __init__(self) -> None:
        self._load: float | None = None
        self._seconds = 0.0
        self._millions = 0.0

    def loaded(self, seconds: float) -> None:
        self._load = seconds if self._load is None else KEPT * self._load + (1 - KEPT) * seconds

    def filled(self, pixels: int, seconds: float) -> None:
        self._seconds = KEPT * self._seconds + seconds
        self._millions = KEPT * self._millions + pixels / MILLION

    def stopped(self, pixels: int, seconds: float) -> None:
        """A fill that came to no end in that time: it tells something where less was expected."""
        expected = self.fill_seconds(pixels)
        if expected is None or expected < seconds:
            self.filled(pixels, seconds)

    def fill_seconds(self, pixels: int) -> float | None:
        """Of that many working pixels; None before the first fill."""
        return self._seconds / self._millions * pixels / MILLION if self._millions else None

    def load_seconds(self) -> float | None:
        """None before the first load."""
        return self._load
