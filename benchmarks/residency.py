"""Models coming and going: memory of the whole process tree after each unload, and clients that switch models.

python benchmarks/residency.py

LaMa in its published size, MI-GAN beside it, both in children as the server has them; seeded weights.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from checkpoints import lama, migan
from common import write
from magic_eraser.hosting.options import HostingOptions
from magic_eraser.hosting.pool import LocalPool
from magic_eraser.hosting.workers import Workers
from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.watch import Watch
from magic_eraser.models.weights import WeightStore

ROUNDS = 10
CLIENTS, FILLS = 8, 6
MIB = 1024**2


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lama.save_torchscript(lama.make(), folder / "big-lama.pt")
        migan.traced(migan.generator()).save(folder / "migan_traced.pt")
        figures = asyncio.run(_measure(WeightStore(folder)))
    write("residency", figures)


async def _measure(store: WeightStore) -> dict[str, Any]:
    workers = Workers(CLIENTS)
    pool = LocalPool(
        workers,
        CATALOG,
        options=HostingOptions(isolation="process", budget_mb=8000),
        why_not=lambda _card: None,
        weights=store.paths,
    )
    image = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    hole = np.zeros((512, 512), bool)
    hole[200:300, 200:300] = True

    async def fill(model: str) -> float:
        start = time.monotonic()
        await pool.inpaint(model, [image], [hole], InpaintOptions(), Watch())
        return time.monotonic() - start

    try:
        await fill("telea")  # what the first fill of all brings along is not the network's
        return {"unloads_of_lama": await _unloads(pool, fill), "switching": await _switching(fill)}
    finally:
        await pool.close()
        workers.close()


async def _unloads(pool: LocalPool, fill: Callable[[str], Awaitable[float]]) -> dict[str, Any]:
    before = _tree_mib()
    rows = []
    for _ in range(ROUNDS):
        first, second = await fill("lama"), await fill("lama")
        full = _tree_mib()
        await pool.unload("lama")
        rows.append((first, second, full - before, _tree_mib() - before))
    firsts, seconds, full, left = (list(column) for column in zip(*rows, strict=True))
    return {
        "rounds": ROUNDS,
        "first_fill_seconds_with_load": round(min(firsts), 2),
        "next_fill_seconds": round(min(seconds), 2),
        "mib_above_start_while_ready": round(max(full)),
        "mib_above_start_after_each_unload": [round(mebibytes) for mebibytes in left],
    }


async def _switching(fill: Callable[[str], Awaitable[float]]) -> dict[str, Any]:
    """Clients at once, each asking for the two models by turns."""
    most = 0
    done = asyncio.Event()

    async def client(number: int) -> list[float]:
        return [await fill(("lama", "migan")[(number + k) % 2]) for k in range(FILLS)]

    async def count() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, len(psutil.Process().children(recursive=True)))
            await asyncio.sleep(0.05)

    counting = asyncio.create_task(count())
    start = time.monotonic()
    taken = await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    done.set()
    await counting
    return {
        "clients": CLIENTS,
        "fills": sum(len(each) for each in taken),
        "most_processes_at_once": most,
        "seconds": round(time.monotonic() - start, 1),
        "longest_wait_seconds": round(max(max(each) for each in taken), 1),
    }


def _tree_mib() -> float:
    """Resident memory of this process and all that it started."""
    own = psutil.Process()
    return sum(process.memory_info().rss for process in (own, *own.children(recursive=True))) / MIB


if __name__ == "__main__":
    main()
