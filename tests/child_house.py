"""A pool whose networks run in processes of their own, driven from tests without an event loop."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import psutil

from child_models import puppet
from magic_eraser.hosting.options import HostingOptions
from magic_eraser.hosting.pool import LocalPool
from magic_eraser.hosting.workers import Workers
from magic_eraser.models.entry import Entry
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.watch import Watch

IMAGE = np.arange(32 * 24 * 3, dtype=np.uint8).reshape(32, 24, 3)
HOLE = np.zeros((32, 24), bool)
HOLE[8:12, 4:9] = True
THREADS = 2


def children() -> list[psutil.Process]:
    """Processes of models that live or have not been waited for."""
    return [child for child in psutil.Process().children() if "child_process" in _command(child)]


def _command(process: psutil.Process) -> str:
    try:
        return "zombie child_process" if process.status() == "zombie" else " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


class House:
    """A pool with its workers, driven from tests without an event loop."""

    def __init__(self, *entries: Entry, **options) -> None:
        self.workers = Workers(8)
        catalog = {entry.card.id: entry for entry in entries or (puppet(),)}
        given = {"isolation": "process", "network_threads": THREADS, **options}
        self.pool = LocalPool(self.workers, catalog, options=HostingOptions(**given))

    def fill(self, prompt="", watch=None, model="puppet", images=(IMAGE,), holes=(HOLE,)):
        options = InpaintOptions(prompt=prompt)
        return asyncio.run(self.pool.inpaint(model, images, holes, options, watch or Watch(60)))

    def close(self) -> None:
        asyncio.run(self.pool.close())
        self.workers.close()


def wait_for(what, seconds=20.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)
