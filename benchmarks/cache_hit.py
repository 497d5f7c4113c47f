"""What a kept result takes: the same request for a photograph of a megapixel again and again, by each backend.

python benchmarks/cache_hit.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from common import write
from load import percentiles, running
from load_clients import Answer, Load, one_process, start
from load_pictures import erase_requests

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from private_servers import PrivateRedis

SIZE = (1200, 834)
SECONDS = 4.0
PAUSE = 0.01
"""Between two requests: a hit is measured as one caller has it, not as the most a second."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, PrivateRedis() as redis:
        rows = {
            f"{backend}, {name}": _measure(Path(folder), backend, name, redis.url)
            for backend in ("file", "memory", "redis")
            for name in ("jpeg", "png")
        }
    picture = f"{SIZE[0]} x {SIZE[1]}, telea, POST /v1/erase, one client"
    write("cache_hit", {"picture": picture, **rows})


def _measure(folder: Path, backend: str, name: str, redis_url: str) -> dict[str, Any]:
    server = running(folder / f"{backend}-{name}", ERASER_CACHE__BACKEND=backend, ERASER_REDIS__URL=redis_url)
    with one_process() as pool:
        request = erase_requests(name, 1, SIZE)
        first, *answers = start(Load(server.port, request, 1, SECONDS, pause=PAUSE), pool).result()
    server.stop()
    _expect(first, "miss")
    for answer in answers:
        _expect(answer, "hit")
    return {
        "miss_seconds": round(first.seconds, 3),
        "hits": len(answers),
        **percentiles([answer.seconds for answer in answers]),
        "megabytes": round(int(first.headers["content-length"]) / 1e6, 2),
    }


def _expect(answer: Answer, cache: str) -> None:
    assert (answer.status, answer.headers["x-eraser-cache"]) == (200, cache), answer


if __name__ == "__main__":
    main()
