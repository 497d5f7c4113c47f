"""What clients and servers told during a soak, and whether it may be so."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

PATIENCE = frozenset({429, 503, 507})
"""Answers that any request may get while something is broken or full; they say when to come again."""
TOLERATED = PATIENCE | {504}
AROUND = 2.0
"""Seconds before and after a server's absence in which its connections may break."""


@dataclass
class Absences:
    """When a server was away, of the monotonic clock; an end of None: it still is."""

    spans: list[list[float | None]] = field(default_factory=list)

    def begin(self) -> None:
        self.spans.append([time.monotonic(), None])

    def end(self) -> None:
        self.spans[-1][1] = time.monotonic()

    def explains(self, begun: float, ended: float) -> bool:
        """Whether a request that was open then may have broken."""
        return any(
            begun <= (last or ended) + AROUND and ended >= (first or 0) - AROUND for first, last in self.spans
        )


@dataclass
class Accepted:
    """A job that a server promised to do.

    Attributes:
        id: the server's.
        items: that it was given.
        store: of which database.
        cancelled: a client asked for that.
        removed: a client removed it once it was over.
        seen: the last that the server said of it.
    """

    id: str
    items: int
    store: str
    cancelled: bool = False
    removed: bool = False
    seen: dict[str, int | str] = field(default_factory=dict)


@dataclass
class Ledger:
    """One for the whole soak."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    broken: list[tuple[str, str, float, float]] = field(default_factory=list)
    absences: dict[str, Absences] = field(default_factory=dict)
    jobs: dict[str, Accepted] = field(default_factory=dict)
    given_up: Counter[str] = field(default_factory=Counter)

    def answered(self, what: str, status: int, expected: frozenset[int], *, said: str, patient: bool) -> None:
        """An answer came.

        Args:
            what: the kind of request.
            expected: that it may get when all is well.
            said: the beginning of a failure's body, for the report.
            patient: whether it names a time to come again.
        """
        self.answers[f"{what} {status}"] += 1
        if status == 500 or status not in expected | TOLERATED:
            self.complain(f"{what}: {status} {said}")
        elif status in (429, 503) and not patient:
            self.complain(f"{what}: {status} without Retry-After")

    def cut_off(self, what: str, server: str, begun: float, reason: str) -> None:
        """A connection broke, or was refused."""
        self.answers[f"{what} cut off"] += 1
        self.broken.append((f"{what}: {reason}", server, begun, time.monotonic()))

    def complain(self, sentence: str) -> None:
        self.wrong.append(sentence)

    def accept(self, job: str, items: int, store: str) -> Accepted:
        """202: from now on it must not get lost. The same job twice, as a retry with the same key has it, is one."""
        return self.jobs.setdefault(job, Accepted(job, items, store))

    def unexplained(self) -> list[str]:
        """Connections that broke though their server was there."""
        return [
            f"{server}, {what}"
            for what, server, begun, ended in self.broken
            if not self.absences[server].explains(begun, ended)
        ]
