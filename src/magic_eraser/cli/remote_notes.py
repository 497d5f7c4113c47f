"""What was sent to a server and is not all back yet, noted beside the results, so that a command that is given again
goes on, and nothing is done, or paid for, twice."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from magic_eraser.cli.pairs import write

NAME = ".magic-eraser-jobs.json"


@dataclass(frozen=True, slots=True)
class Sent:
    """A job.

    Attributes:
        server: its address.
        key: `Idempotency-Key` of its submission.
        items: digests of its pairs and their options, in order.
        job: the server's id; empty where its answer has not come.
    """

    server: str
    key: str
    items: tuple[str, ...]
    job: str = ""


class Notes:
    """A file in the folder of results; gone where there is nothing to note. One that cannot be understood is as none.

    Args:
        folder: need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._sent = self._read()

    def of(self, server: str) -> list[Sent]:
        return [sent for sent in self._sent if sent.server == server]

    def add(self, sent: Sent) -> None:
        """Before it is sent."""
        self._sent.append(sent)
        self._write()

    def accepted(self, sent: Sent, job: str) -> Sent:
        """The server has it."""
        self.remove(sent)
        known = replace(sent, job=job)
        self.add(known)
        return known

    def remove(self, sent: Sent) -> None:
        """Everything is back, or will never be."""
        self._sent = [each for each in self._sent if each != sent]
        self._write()

    def _read(self) -> list[Sent]:
        try:
            noted = json.loads(self._path.read_text())
            return [Sent(each["server"], each["key"], tuple(each["items"]), each["job"]) for each in noted]
        except (OSError, ValueError, TypeError, KeyError):
            return []

    def _write(self) -> None:
        if self._sent:
            write(self._path, json.dumps([asdict(sent) for sent in self._sent]).encode())
        else:
            self._path.unlink(missing_ok=True)
