"""Who waits, and who is next: classes of priority, turns between parties, and age."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from magic_eraser.accounts.priority import Priority

T = TypeVar("T")

REMEMBERED = 256
"""Turns of parties that do not wait now: without them, whoever has just been served would come before the others who
wait, by coming back alone."""


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


@dataclass(slots=True, eq=False)
class _Queue(Generic[T]):
    """Those of one party in one class, first come first served; never empty in the line."""

    party: str
    priority: Priority
    waiters: deque[Waiter[T]] = field(default_factory=deque)
    turn: float = -math.inf
    """When one of it was served last."""

    def __len__(self) -> int:
        return len(self.waiters)


class Line(Generic[T]):
    """A queue of queues, one for each party in each class of priority.

    The class of a queue rises by one with every `aging_seconds` in which none of it was served. Not with the time that
    its head has waited: all of a long queue is old, and would go before every newcomer, for as long as it is long.

    A turn, a newcomer and its place cost as much as there are parties that wait; to leave from the middle costs as much
    as the party has waiting.

    Args:
        aging_seconds: without a turn that raise by one class.
    """

    def __init__(self, aging_seconds: float) -> None:
        self._aging = aging_seconds
        self._queues: dict[tuple[Priority, str], _Queue[T]] = {}
        self._served: OrderedDict[str, int] = OrderedDict()
        self._turns = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Waiter[T]]:
        for queue in self._queues.values():
            yield from queue.waiters

    def counts(self) -> dict[Priority, int]:
        """How many wait, by the class in which they came."""
        counts = dict.fromkeys(Priority, 0)
        for queue in self._queues.values():
            counts[queue.priority] += len(queue)
        return counts

    def join(self, waiter: Waiter[T]) -> None:
        """At the end of its party's queue."""
        key = waiter.priority, waiter.party
        if key not in self._queues:
            self._queues[key] = _Queue(waiter.party, waiter.priority)
        self._queues[key].waiters.append(waiter)
        self._count += 1

    def leave(self, waiter: Waiter[T]) -> bool:
        """Out of the line, wherever it stands; whether it stood there."""
        key = waiter.priority, waiter.party
        queue = self._queues.get(key)
        if queue is None or waiter not in queue.waiters:
            return False
        queue.waiters.remove(waiter)
        if not queue.waiters:
            del self._queues[key]
        self._count -= 1
        return True

    def next(self, now: float) -> Waiter[T] | None:
        """Takes the next one out: of the highest class, its age counted; there of the party that was served least
        recently; there the one that came first."""
        if not self._queues:
            return None
        queue = min(self._queues.values(), key=lambda queue: self._order(queue, now))
        head = queue.waiters[0]
        queue.turn = now
        self.leave(head)
        self.served(head.party)
        return head

    def served(self, party: str) -> None:
        """It has had a turn; only the last turns are remembered."""
        self._turns += 1
        self._served[party] = self._turns
        self._served.move_to_end(party)
        while len(self._served) > self._count + REMEMBERED:
            self._served.popitem(last=False)

    def ahead(self, party: str, priority: Priority, now: float) -> int:
        """How many will be served before a newcomer, should nobody else come and nobody grow older."""
        own = self._queues.get((priority, party))
        before = 0 if own is None else len(own)
        newcomer = (-priority, self._last_turn(party), math.inf)
        mine = newcomer if own is None else self._order(own, now)
        total = before
        for queue in self._queues.values():
            if queue.priority > priority:
                total += len(queue)
            elif queue.party != party:
                rounds = before if queue.priority == priority else 0
                total += min(len(queue), rounds + (self._order(queue, now) < mine))
        return total

    def crowder(self, party: str, priority: Priority, now: float) -> Waiter[T] | None:
        """Whom a newcomer to a full line pushes out: the last one of the largest queue of the lowest class in which
        there is one that must give way (longest queue drop: McKenney, Stochastic fairness queueing, 1990). None where
        the newcomer has no such right.

        Those give way who are of a lower class, their age counted; and those of a party that has more waiting than the
        newcomer's would, as long as they are of no higher class.
        """
        own = self._queues.get((priority, party))
        places = 1 if own is None else len(own) + 1
        giving_way = [
            queue
            for queue in self._queues.values()
            if queue.priority <= priority
            and (len(queue) > places or self._class(queue, queue.waiters[-1], now) < priority)
        ]
        if not giving_way:
            return None
        return min(giving_way, key=lambda queue: (queue.priority, -len(queue))).waiters[-1]

    def _order(self, queue: _Queue[T], now: float) -> tuple[float, int, float]:
        head = queue.waiters[0]
        return -self._class(queue, head, now), self._last_turn(queue.party), head.since

    def _last_turn(self, party: str) -> int:
        return self._served.get(party, 0)

    def _class(self, queue: _Queue[T], waiter: Waiter[T], now: float) -> int:
        return queue.priority + int((now - max(waiter.since, queue.turn)) / self._aging)
