"""A server's share of calls in a process of its own, which a test may kill.

python tests/billing_process.py DATABASE_URL ZONE TASKS SECONDS

Says "ready", waits for a line, then does one call of alice's in each of TASKS tasks at once, each SECONDS long. Says
what becomes of each, one word a line: "held", then "settled"; or "refused".
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from billing_house import book
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.principal import Principal
from magic_eraser.billing.calls.database_quota import DatabaseQuota
from magic_eraser.db.database import Database
from magic_eraser.errors import QuotaExhausted

HOLD = 2.0
ALICE = Principal("alice", "alice-key")


def noon_zone() -> str:
    """A time zone in which it is about noon: no test that goes by the true clock runs into the next day."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}"


class Process:
    """One of them, begun and ready soon; see `wait_ready`."""

    def __init__(self, url: str, zone: str, tasks: int = 50, seconds: float = 0.0) -> None:
        command = [sys.executable, str(Path(__file__)), url, zone, str(tasks), str(seconds)]
        self.said: list[str] = []
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def wait_ready(self) -> None:
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        self.process.stdin.write("go\n")

    def hear(self, word: str, times: int) -> None:
        """Returns once it said so that often."""
        while self.said.count(word) < times:
            self.hear_anything()

    def hear_anything(self) -> None:
        """Returns once it said one word more."""
        line = self.process.stdout.readline()
        assert line, self.said
        self.said.append(line.strip())

    def kill(self) -> list[str]:
        """`kill -9`. All that it said before."""
        self.process.kill()
        return self.finish(code=-signal.SIGKILL)

    def close(self) -> None:
        """Nothing is left of it."""
        self.process.kill()
        with self.process:  # waits, and closes its pipes
            pass

    def finish(self, code: int = 0) -> list[str]:
        """All that it said."""
        said = self.process.stdout.read()
        assert self.process.wait() == code
        return self.said + said.split()


async def _main(url: str, zone: str, tasks: int, seconds: float) -> None:
    database = Database(url, timeout_seconds=60, pool_size=4)
    quota = DatabaseQuota(database, Plans(book(ZoneInfo(zone))), hold_seconds=HOLD)
    await database.ping()
    print("ready", flush=True)
    sys.stdin.readline()

    async def call() -> None:
        try:
            held = await quota.reserve(ALICE, 1)
        except QuotaExhausted:
            print("refused", flush=True)
            return
        print("held", flush=True)
        await asyncio.sleep(seconds)
        await quota.settle(held, 1)
        print("settled", flush=True)

    await asyncio.gather(*(call() for _ in range(tasks)))
    await database.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
