"""What accounts cost a server under load: the same clients at one that asks nobody who calls, and at those that do.

python benchmarks/accounts_load.py
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import write
from load import CLIENTS, MASKS, MIB, SIZE, percentiles, running
from load_clients import Answer, Load, one_process, start
from load_pictures import erase_requests

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from accounts_at_work import Site
from databases import make_schema
from private_servers import PrivatePostgres
from server_process import Server

ROUNDS, SECONDS, WARM = 8, 4.0, 1.5
OFF, SQLITE, POSTGRES = "off", "required, sqlite", "required, postgresql"
CALLS_A_DAY = 1_000_000


@dataclass(slots=True)
class House:
    """A server, what it is asked, and what was seen of it: a column of each round."""

    server: Server
    load: Load
    site: Site | None
    rest: int
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    p95: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    good: int = 0


def main() -> None:
    with tempfile.TemporaryDirectory() as name, PrivatePostgres() as postgres, one_process() as pool:
        folder = Path(name)
        houses = {
            OFF: opened(folder / "off", None),
            SQLITE: opened(folder / "sqlite", f"sqlite:///{folder / 'eraser.db'}"),
            POSTGRES: opened(folder / "postgresql", postgres.url),
        }
        for house in houses.values():
            asked(house, pool, WARM)
        for number in range(ROUNDS):  # whoever comes first in a round comes last in the next
            for house in list(houses.values())[:: 1 if number % 2 else -1]:
                measure(house, pool)
        rows = {kind: row(house, houses[OFF]) for kind, house in houses.items()}
        wrong = [fault for house in houses.values() for fault in faults(house)]
        for house in houses.values():
            house.server.stop()
    picture = f"{SIZE[0]} x {SIZE[1]} JPEG, hole 100 px across, telea, cache off, POST /v1/erase"
    write("accounts_load", {"picture": picture, "clients": CLIENTS, "rounds": ROUNDS, **rows})
    sys.exit("\n".join(wrong) or 0)


def opened(folder: Path, url: str | None) -> House:
    """A server of its own, ready; with a URL one that requires keys, and a user with a key for each client."""
    folder.mkdir()
    environment, keys, site = {"ERASER_CACHE__BACKEND": "null"}, [None], None
    if url is not None:
        asyncio.run(make_schema(url))
        site = Site(url, folder)
        site.write_plans({"free": (10, "0"), "many": (CALLS_A_DAY, "0.10")})
        environment = site.environment
        keys = [site.key(f"user{number}", "many") for number in range(CLIENTS)]
    server = running(folder / "data", **environment)
    requests = [
        request
        for number in range(MASKS)
        for request in erase_requests("jpeg", 1, SIZE, headers=keys[number % len(keys)])
    ]
    return House(server, Load(server.port, requests, CLIENTS, SECONDS), site, server.memory())


def asked(house: House, pool: ProcessPoolExecutor, seconds: float) -> list[Answer]:
    """The answers, all of them good."""
    load = Load(house.load.port, house.load.requests, CLIENTS, seconds)
    answers = start(load, pool).result()
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) == {200}, statuses
    house.good += len(answers)
    return answers


def measure(house: House, pool: ProcessPoolExecutor) -> None:
    spent, begun = house.server.cpu_seconds(), time.monotonic()
    answers = asked(house, pool, SECONDS)
    wall, cpu = time.monotonic() - begun, house.server.cpu_seconds() - spent
    seconds = [answer.seconds for answer in answers]
    house.rates.append(len(answers) / wall)
    house.cpu.append(cpu / len(answers))
    house.p95.append(percentiles(seconds)["p95_seconds"])
    house.seconds += seconds


def row(house: House, off: House) -> dict[str, Any]:
    """Medians, and how they stand to the server that asks nobody, round by round."""
    pairs = zip(house.rates, off.rates, strict=True)
    late = zip(house.p95, off.p95, strict=True)
    return {
        "requests_per_second": round(statistics.median(house.rates), 1),
        **percentiles(house.seconds),
        "cpu_milliseconds_per_request": round(statistics.median(house.cpu) * 1000, 1),
        "rest_mib": round(house.rest / MIB, 1),
        "rate_to_off": round(statistics.median(mine / other for mine, other in pairs), 3),
        "p95_to_off": round(statistics.median(mine / other for mine, other in late), 3),
    }


def faults(house: House) -> list[str]:
    """Whatever was answered is charged, once."""
    if house.site is None:
        return []
    charged = sum(len(house.site.charges(f"user{number}")) for number in range(CLIENTS))
    told = [] if charged == house.good else [f"{house.good} pictures were answered, {charged} are charged."]
    return told + house.site.faults()


if __name__ == "__main__":
    main()
