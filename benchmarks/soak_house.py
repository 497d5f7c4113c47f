"""The servers of a soak and what they stand on: started, broken and mended."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from soak_ledger import Absences, Ledger

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from private_servers import PrivatePostgres, PrivateRedis
from server_process import Server, free_port

ROOM_MIB = 256
"""Of the small disk: database, cache, uploads, jobs and temporary files of the server that stands on it."""
DRAIN_SECONDS = 10
MIB = 1024**2
COMMON = {
    "ERASER_MODELS__DEFAULT": "telea",
    "ERASER_LIMITS__BODY_IDLE_SECONDS": "4",
    "ERASER_LIMITS__MAX_BODY_BYTES": str(8 * MIB),
    "ERASER_SERVER__DRAIN_SECONDS": str(DRAIN_SECONDS),
    "ERASER_JOBS__LEASE_SECONDS": "3",
    "ERASER_IDEMPOTENCY__TTL_SECONDS": "60",
    "ERASER_QUEUE__DEPTH": "16",
    "ERASER_QUEUE__DEADLINE_SECONDS": "10",
    "ERASER_IMAGES__MAX_BYTES": str(48 * MIB),
    "ERASER_CACHE__MAX_BYTES": str(32 * MIB),
}


class Post:
    """A server that comes back on the same port with the same data."""

    def __init__(self, name: str, store: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.store = store
        self.data_dir = folder
        self.temp_dir = folder / "tmp"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = folder.with_name(f"{name}.log")
        self.absences = Absences()
        self.lives: list[list[float]] = []
        self._environment = {
            **COMMON,
            **environment,
            "ERASER_SERVER__PORT": str(self.port),
            "ERASER_LOG__FILE": str(self.log_path),
            "TMPDIR": str(self.temp_dir),
        }
        self.server: Server | None = None

    def start(self) -> None:
        """Returns when it is ready."""
        self.temp_dir.mkdir(parents=True, exist_ok=True)
        self.server = Server(self.data_dir, **self._environment)
        self.server.port, self.server.url = self.port, self.url
        self.lives.append([])
        self.server.wait_ready(60)
        if self.absences.spans:
            self.absences.end()

    def end(self, number: int) -> int:
        """By a signal; its exit status."""
        assert self.server is not None
        self.absences.begin()
        self.server.signal(number)
        return self.server.process.wait(DRAIN_SECONDS + 20)

    def defects(self) -> list[str]:
        """What the servers wrote of failures that nobody expected."""
        lines = self.log_path.read_text(errors="replace").splitlines() if self.log_path.exists() else []
        bad = [line for line in lines if '"level": "error"' in line or "Traceback" in line]
        # uvicorn's word for clients that drip while it leaves
        return [line for line in bad if "timeout graceful shutdown exceeded" not in line]

    def watch(self) -> None:
        """Note the memory, in MiB, where it is there."""
        try:
            assert self.server is not None
            self.lives[-1].append(self.server.memory() / MIB)
        except (OSError, KeyError):  # between two lives
            pass

    def descriptors(self) -> int:
        assert self.server is not None
        return len(os.listdir(f"/proc/{self.server.process.pid}/fd"))  # noqa: PTH208 (a count)


class House:
    """PostgreSQL and Redis with two servers, and a third with SQLite on a small disk of its own."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder = folder
        self.disk = folder / "disk"
        self.postgres = PrivatePostgres()
        self.redis = PrivateRedis(maxmemory="64mb", maxmemory_policy="allkeys-lru")
        shared = {
            "ERASER_DATABASE__URL": self.postgres.url,
            "ERASER_REDIS__URL": self.redis.url,
            "ERASER_CACHE__BACKEND": "redis",
        }
        own = {
            "ERASER_CACHE__BACKEND": "file",
            "ERASER_DATABASE__URL": f"sqlite:///{self.disk / 'eraser.db'}",
        }
        self.posts = [
            Post("first", "postgresql", folder / "first", shared),
            Post("second", "postgresql", folder / "second", shared),
            Post("third", "sqlite", self.disk, own),
        ]
        ledger.absences |= {post.name: post.absences for post in self.posts}
        self.small_disk = False

    def open(self) -> None:
        self.disk.mkdir(parents=True)
        self.small_disk = _mount(self.disk)
        self.postgres.start()
        self.redis.start()
        for post in self.posts:
            post.start()

    def close(self) -> None:
        for post in self.posts:
            if post.server is not None and post.server.process.poll() is None:
                post.server.process.kill()
                post.server.process.wait()
        self.postgres.close()
        self.redis.close()
        if self.small_disk:
            subprocess.run(["umount", "--lazy", self.disk], check=True)

    @property
    def database_urls(self) -> dict[str, str]:
        return {"postgresql": self.postgres.url, "sqlite": f"sqlite:///{self.disk / 'eraser.db'}"}

    # --- faults -----------------------------------------------------------------------------------------

    async def kill(self, post: Post) -> None:
        await asyncio.to_thread(post.end, signal.SIGKILL)
        await asyncio.to_thread(post.start)

    async def terminate(self, post: Post, ledger: Ledger) -> None:
        status = await asyncio.to_thread(post.end, signal.SIGTERM)
        if status != 0:
            ledger.complain(f"SIGTERM: {post.name} left with status {status}")
        await asyncio.to_thread(post.start)

    async def lose_redis(self, seconds: float) -> None:
        await asyncio.to_thread(self.redis.stop)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.redis.start)

    async def lose_postgres(self, seconds: float) -> None:
        await asyncio.to_thread(self.postgres.stop)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.postgres.start)

    async def lock_sqlite(self, seconds: float) -> None:
        def lock() -> None:
            connection = sqlite3.connect(self.disk / "eraser.db", timeout=30, isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")
            connection.close()

        await asyncio.to_thread(lock)

    async def fill_disk(self, seconds: float) -> None:
        """To the last byte; what others free meanwhile is taken as well."""
        ballast = self.disk / "ballast"
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                await asyncio.to_thread(_pour, ballast)
                await asyncio.sleep(0.1)
        finally:
            ballast.unlink(missing_ok=True)


def _pour(path: Path) -> None:
    for size in (MIB, 4096):
        try:
            with path.open("ab", buffering=0) as file:
                while file.write(secrets.token_bytes(size)) == size:
                    pass
        except OSError:  # full: that is meant
            continue


def _mount(folder: Path) -> bool:
    """A small file system in memory; only root may."""
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_MIB}m", "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
