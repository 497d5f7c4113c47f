"""A process that puts results into a file cache until it is killed: `python cache_writer.py FOLDER SEED`."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from magic_eraser.service.cache import Kept
from magic_eraser.service.cache.file import FileCache

KEYS = [f"{number:02x}" * 32 for number in range(24)]
MAX_BYTES = 6_000_000


def result(key: str, size: int) -> Kept:
    """Says what it is in every part."""
    return Kept(key.encode() * size, {"key": key, "size": size})


async def write(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    cache = FileCache(folder, ttl_seconds=3600, max_bytes=MAX_BYTES)

    async def put_for_ever() -> None:
        while True:
            key = chance.choice(KEYS)
            await cache.put(key, result(key, chance.randrange(1, 12_000)))

    print("writing", flush=True)
    await asyncio.gather(*(put_for_ever() for _ in range(3)))


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
