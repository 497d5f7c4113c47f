"""Who waits, and who is next: classes of priority, turns between parties, and age."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from magic_eraser.accounts.principal import Priority

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Waiter(Generic[T]):
    """One that waits.

    Attributes:
        party: with whom it shares its turns.
        priority: its class when it came.
        since: when it came, monotonic seconds.
        ticket: whatever the owner of the line wakes it by.
    """

    party: str
    priority: Priority
    since: float
    ticket: T


class Line(Generic[T]):
    """A queue of queues: in each class of priority one for each party, the parties in the order in which they were
    served last. Everything costs at most the number of parties that wait.

    Args:
        aging_seconds: that raise a waiter by one class.
    """

    def __init__(self, aging_seconds: float) -> None:
        self._aging = aging_seconds
        self._waiting: dict[Priority, OrderedDict[str, deque[Waiter[T]]]] = {
            priority: OrderedDict() for priority in Priority
        }
        self._served: OrderedDict[str, None] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def join(self, waiter: Waiter[T]) -> None:
        """At the end of its party's queue."""
        parties = self._waiting[waiter.priority]
        parties.setdefault(waiter.party, deque()).append(waiter)
        self._count += 1

    def leave(self, waiter: Waiter[T]) -> bool:
        """Out of the line, wherever it stands; whether it stood there."""
        parties = self._waiting[waiter.priority]
        queue = parties.get(waiter.party)
        if queue is None or waiter not in queue:
            return False
        queue.remove(waiter)
        if not queue:
            del parties[waiter.party]
        self._count -= 1
        return True

    def next(self, now: float) -> Waiter[T] | None:
        """Takes the next one out: of the highest class, its age counted; there of the party that was served least
        recently; there the one that came first."""
        heads = [queue[0] for parties in self._waiting.values() for queue in parties.values()]
        if not heads:
            return None
        turns = {party: turn for turn, party in enumerate(self._served, start=1)}
        best = min(heads, key=lambda head: (-self._class(head, now), turns.get(head.party, 0), head.since))
        self.leave(best)
        self.served(best.party)
        return best

    def served(self, party: str) -> None:
        """It has had a turn; only parties that wait, or had one a moment ago, are remembered."""
        self._served[party] = None
        self._served.move_to_end(party)
        while len(self._served) > self._count + REMEMBERED:
            self._served.popitem(last=False)

    def crowder(self, party: str, priority: Priority) -> Waiter[T] | None:
        """Whom a newcomer to a full line pushes out: the last one of the largest party in the lowest class that waits,
        where that class is lower than the newcomer's, or that party has more waiting there than the newcomer's would
        (longest queue drop: McKenney, Stochastic fairness queueing, 1990). None where the newcomer has no such right.
        """
        for lowest, parties in self._waiting.items():
            if parties:
                largest = max(parties.values(), key=len)
                if lowest < priority or (
                    lowest == priority and len(largest) > len(parties.get(party, ())) + 1
                ):
                    return largest[-1]
                return None
        return None

    def _class(self, waiter: Waiter[T], now: float) -> int:
        return waiter.priority + int((now - waiter.since) / self._aging)


REMEMBERED = 256
"""Turns of parties that do not wait now: without them, whoever has just been served would come before the others who
wait, by coming back alone."""
