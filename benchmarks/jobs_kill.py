"""A job of a thousand pictures through five `kill -9` of the server, on SQLite and on PostgreSQL.

python benchmarks/jobs_kill.py
"""

from __future__ import annotations

import asyncio
import io
import random
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx2

from common import write
from load import running
from load_pictures import BOUNDARY, encoded, form, hole, photograph
from magic_eraser.imaging.codec import decode
from soak_account import rows_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from private_servers import PrivatePostgres
from server_process import Server

ITEMS, KILLS, SIZE = 1000, 5, (320, 240)
SEED = 6
OVER = {"succeeded", "failed", "cancelled"}
LEASE_SECONDS = "2"
LIMIT_SECONDS = 900.0


def main() -> None:
    archive = pairs(ITEMS)
    with tempfile.TemporaryDirectory() as name, PrivatePostgres() as postgres:
        folder = Path(name)
        urls = {"sqlite": f"sqlite:///{folder / 'eraser.db'}", "postgresql": postgres.url}
        rows = {kind: through_kills(folder / kind, url, archive) for kind, url in urls.items()}
    write(
        "jobs_kill",
        {
            "job": f"{ITEMS} pictures of {SIZE[0]} x {SIZE[1]}, telea, as a ZIP of {len(archive) / 1e6:.0f} MB",
            "lease_seconds": float(LEASE_SECONDS),
            **rows,
        },
    )
    wrong = [
        name for name, row in rows.items() if row["lost"] or row["told_twice"] or row["state"] != "succeeded"
    ]
    sys.exit(f"lost or twice: {', '.join(wrong)}" if wrong else 0)


def pairs(count: int) -> bytes:
    """A ZIP of pictures and masks, paired by name; each picture differs by a pixel."""
    out = io.BytesIO()
    pixels = photograph(*SIZE)
    with zipfile.ZipFile(out, "w") as archive:
        for k in range(count):
            pixels[0, 0] = (k % 256, k // 256, 0)
            archive.writestr(f"images/{k:04}.jpg", encoded(pixels, "jpeg"))
            archive.writestr(f"masks/{k:04}.png", hole(*SIZE, k, across=40))
    return out.getvalue()


def through_kills(folder: Path, url: str, archive: bytes) -> dict[str, Any]:
    """The job without a kill, then with them."""
    environment = {
        "ERASER_DATABASE__URL": url,
        "ERASER_CACHE__BACKEND": "null",
        "ERASER_JOBS__LEASE_SECONDS": LEASE_SECONDS,
    }
    chance = random.Random(SEED)  # noqa: S311 (moments, not secrets)
    server = running(folder, **environment)
    begun = time.monotonic()
    job = submit(server, archive)
    while state(server, job)["state"] not in OVER:
        time.sleep(1)
    undisturbed = time.monotonic() - begun
    begun = time.monotonic()
    job = submit(server, archive)
    done_at_kills = []
    for share in sorted(chance.uniform(0.02, 0.95) for _ in range(KILLS)):
        while state(server, job)["succeeded"] < share * ITEMS:
            time.sleep(0.5)
        time.sleep(chance.uniform(0, 0.5))
        done_at_kills.append(state(server, job)["succeeded"])
        server.process.kill()
        server.process.wait()
        server = running(folder, **environment)
    while (now := state(server, job))["state"] not in OVER and time.monotonic() - begun < LIMIT_SECONDS:
        time.sleep(0.25)
    seconds = time.monotonic() - begun
    figures = account(server, job, now, url)
    server.stop()
    return {
        "seconds_undisturbed": round(undisturbed, 1),
        "seconds_with_kills": round(seconds, 1),
        "done_at_each_kill": done_at_kills,
        **figures,
    }


def submit(server: Server, archive: bytes) -> str:
    response = httpx2.post(
        f"{server.url}/v1/jobs",
        content=form({"model": "telea", "archive": archive}),
        headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        timeout=120,
    )
    response.raise_for_status()
    assert response.status_code == 202
    return str(response.json()["id"])


def state(server: Server, job: str) -> dict[str, Any]:
    response = httpx2.get(f"{server.url}/v1/jobs/{job}", timeout=30)
    response.raise_for_status()
    found: dict[str, Any] = response.json()
    return found


def account(server: Server, job: str, now: dict[str, Any], url: str) -> dict[str, Any]:
    """What became of every item: its result, and how often the ledger has it."""
    items = now["items"]
    with tempfile.TemporaryFile() as file:
        with httpx2.stream("GET", f"{server.url}/v1/jobs/{job}/archive", timeout=120) as response:
            response.raise_for_status()
            for piece in response.iter_bytes():
                file.write(piece)
        with zipfile.ZipFile(file) as archive:
            pictures = [name for name in archive.namelist() if name.endswith(".jpg")]  # beside a report
            whole = sum(decode(archive.read(name)).width == SIZE[0] for name in pictures)
    told = asyncio.run(events(url, job))
    return {
        "state": now["state"],
        "items": len(items),
        "succeeded": sum(item["success"] is True for item in items),
        "lost": ITEMS - sum(item["success"] is True for item in items),
        "whole_pictures_in_the_archive": whole,
        "ledger": len(told),
        "told_twice": len(told) - len(set(told)),
        "attempts": asyncio.run(attempts(url, job)),
    }


async def events(url: str, job: str) -> list[str]:
    """The ledger's entries of a job."""
    query = "SELECT source_id FROM usage_events WHERE source = 'job' AND source_id LIKE :job"
    return [str(row[0]) for row in await rows_of(url, query, job=f"{job}/%")]


async def attempts(url: str, job: str) -> int:
    """How often an item was begun, all together."""
    query = "SELECT sum(attempts) FROM job_items WHERE job_id = :job"
    return int((await rows_of(url, query, job=job))[0][0])


if __name__ == "__main__":
    main()
