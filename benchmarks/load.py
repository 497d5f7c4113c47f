"""The server under load, beside a bare loop in as many processes as cores; and asked for twice what it can do.

python benchmarks/load.py
"""

from __future__ import annotations

import atexit
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bare_loop import BareLoop
from common import write
from load_clients import Load, one_process, start
from load_pictures import encoded, erase_requests, hole, photograph

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from server_process import Server

SIZE = (1024, 768)
CLIENTS, ROUNDS, SECONDS = 8, 5, 6.0
CROWD, OVERLOAD_SECONDS, TIMES = 64, 60.0, 2.0
MASKS = 32
DEADLINE = 30.0
MIB = 1024**2


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, one_process() as pool:
        server = running(Path(folder) / "data", ERASER_CACHE__BACKEND="null")
        rows = {name: beside_bare_loop(server, pool, name) for name in ("jpeg", "png")}
        able = rows["jpeg"]["requests_per_second"]
        crowded = overload(server, pool, able)
        server.stop()
    write(
        "load",
        {
            "picture": f"{SIZE[0]} x {SIZE[1]}, hole 100 px across, telea, cache off, POST /v1/erase",
            "clients": CLIENTS,
            **rows,
            "overload": crowded,
        },
    )


def beside_bare_loop(server: Server, pool: ProcessPoolExecutor, format: str) -> dict[str, Any]:
    """Rounds of both, one after the other; medians, and the ratio of each round."""
    load = Load(server.port, erase_requests(format, MASKS, SIZE), CLIENTS, SECONDS)
    bare = BareLoop(encoded(photograph(*SIZE), format), [hole(*SIZE, seed) for seed in range(MASKS)])
    start(Load(load.port, load.requests, CLIENTS, 1.0), pool).result()
    rows, times = [], []
    for _ in range(ROUNDS):
        limit, limit_cpu = bare.run(SECONDS)
        spent, begun = server.cpu_seconds(), time.monotonic()
        answers = start(load, pool).result()
        wall, cpu = time.monotonic() - begun, server.cpu_seconds() - spent
        assert {answer.status for answer in answers} == {200}, Counter(answer.status for answer in answers)
        times += [answer.seconds for answer in answers]
        rows.append((len(answers) / wall, limit, len(answers) / wall / limit, cpu / len(answers), limit_cpu))
    bare.close()
    rate, limit, ratio, cpu, limit_cpu = (statistics.median(column) for column in zip(*rows, strict=True))
    return {
        "requests_per_second": round(rate, 1),
        "bare_loop_per_second": round(limit, 1),
        "ratio": round(ratio, 3),
        "ratio_of_each_round": [round(row[2], 2) for row in rows],
        **percentiles(times),
        "cpu_milliseconds_per_request": round(cpu * 1000, 1),
        "cpu_milliseconds_of_bare_loop": round(limit_cpu * 1000, 1),
    }


def overload(server: Server, pool: ProcessPoolExecutor, able: float) -> dict[str, Any]:
    """Requests at a rate that no queue can hold: what each became, and the server's memory meanwhile."""
    requests = erase_requests("jpeg", MASKS, SIZE)
    rate = able * TIMES
    crowd = start(Load(server.port, requests, CROWD, OVERLOAD_SECONDS, per_second=rate), pool)
    memory = watched(server, crowd)
    answers = crowd.result()
    counts = Counter(answer.status for answer in answers)
    accepted = [answer.seconds for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status in (429, 503)]
    return {
        "clients": CROWD,
        "seconds": OVERLOAD_SECONDS,
        "sent_per_second": round(rate, 1),
        "answers": {str(status): count for status, count in sorted(counts.items())},
        "other_than_200_429_503_504": sum(
            count for status, count in counts.items() if status not in (200, 429, 503, 504)
        ),
        "answered_per_second": round(len(accepted) / OVERLOAD_SECONDS, 1),
        "accepted": percentiles(accepted),
        "deadline_seconds": DEADLINE,
        "refused": percentiles([answer.seconds for answer in refused]) if refused else None,
        "refused_without_retry_after": sum("retry-after" not in answer.headers for answer in refused),
        "rss_mib_each_second": [round(mebibytes) for mebibytes in memory],
        "rss_slope_mib_per_minute": slope(memory),
    }


def watched(server: Server, work: Future[Any]) -> list[float]:
    """MiB of the server, each second until the work is done."""
    seen = []
    while not work.done():
        seen.append(server.memory() / MIB)
        time.sleep(1)
    return seen


def slope(each_second: Sequence[float]) -> float:
    """Growth a minute over the last two thirds, by least squares; before, caches and heaps fill."""
    late = each_second[len(each_second) // 3 :]
    return round(float(np.polyfit(np.arange(len(late)), late, 1)[0] * 60), 2) if len(late) > 1 else 0.0


def running(folder: Path, **environment: str) -> Server:
    """A server of our own that is ready, and that ends with us, whatever happens."""
    server = Server(folder, **environment)
    atexit.register(server.process.kill)
    server.wait_ready()
    return server


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Of answers' times."""
    p50, p95 = np.percentile(seconds, [50, 95])
    return {"p50_seconds": round(float(p50), 3), "p95_seconds": round(float(p95), 3)}


if __name__ == "__main__":
    main()
