"""What was looked up a moment ago, for so short a time that it may be a little wrong."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

SECONDS = 0.5
"""That a key or a user is taken to be as it was. What must not be wrong (charges) is looked at again."""
MOST = 10_000
"""Entries of one cache: those used least lately go first. About 5 MB."""

Value = TypeVar("Value")


class ShortCache(Generic[Value]):
    """Values by a text. Used in one event loop.

    Args:
        seconds: longest life of an entry.
        most: entries that are kept.
        clock: seconds, for tests.
    """

    def __init__(
        self, seconds: float = SECONDS, most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, Value]] = OrderedDict()
        self.changes = 0
        """Counts what was forgotten. Whoever looks a value up notes it before, and gives it to `put`: what was read
        before a change must not be kept after it."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Value | None:
        """None: nothing that is still good."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: str, value: Value, *, changes: int, at_most: float | None = None) -> None:
        """Keep a value, unless something was forgotten since.

        Args:
            changes: `self.changes` as it was before the value was read.
            at_most: seconds after which it is wrong for certain.
        """
        if changes != self.changes:
            return
        life = self._seconds if at_most is None else min(self._seconds, at_most)
        self._entries[key] = (self._clock() + life, value)
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def forget(self, key: str) -> None:
        """Look at the truth again the next time."""
        self._entries.pop(key, None)
        self.changes += 1

    def forget_all(self, of: Callable[[Value], bool]) -> None:
        """The same for all whose values are of that kind."""
        for key in [key for key, (_, value) in self._entries.items() if of(value)]:
            del self._entries[key]
        self.changes += 1
