"""A server's part in jobs, in a process of its own, to be killed: `python jobs_process.py URL FOLDER LEASE`.

Works until it is killed; appends the name of every picture that it begins to `FOLDER/begun-PID`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from jobs_house import Clerk, house

TESTS = Path(__file__).parent
SECONDS = 0.01
"""That each picture takes."""


class Writing(Clerk):
    def __init__(self, path: Path) -> None:
        super().__init__(SECONDS)
        self._file = path.open("ab", buffering=0)

    async def erase(self, principal, request, watch=None, *, prepaid=None):
        self._file.write(b"one\n")
        return await super().erase(principal, request, watch, prepaid=prepaid)


async def work(url: str, folder: Path, lease: float) -> None:
    async with house(url, folder, lease=lease, attempts=9) as built:
        built.runner(Writing(folder / f"begun-{os.getpid()}"), concurrency=4)
        await asyncio.Event().wait()


def begin(url: str, folder: Path, lease: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, url, str(folder), str(lease)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(TESTS)})


def begun(folder: Path) -> dict[str, int]:
    """How many pictures each process began."""
    return {path.name: path.read_bytes().count(b"\n") for path in folder.glob("begun-*")}


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
