"""A caller with a hundred requests in the queue, and what another's single request takes beside them.

python benchmarks/fairness.py
"""

from __future__ import annotations

import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from common import write
from load import running
from load_clients import Answer, Load, drive_together, one_process
from load_pictures import erase_requests

QUEUED = 100
SIZE = (2048, 1536)
ALONE, BESIDE = 6.0, 30.0
SLOTS = 3


def main() -> None:
    requests = erase_requests("png", 8, SIZE)
    with tempfile.TemporaryDirectory() as folder, one_process() as pool:
        server = running(
            Path(folder) / "data",
            ERASER_CACHE__BACKEND="null",
            ERASER_QUEUE__SLOTS=str(SLOTS),
            ERASER_QUEUE__DEPTH="256",
            ERASER_QUEUE__DEADLINE_SECONDS="120",
        )
        alone = Load(server.port, requests, 1, ALONE, address="127.0.0.3", pause=0.2)
        [first] = pool.submit(drive_together, [alone]).result()
        greedy = Load(server.port, requests, QUEUED + SLOTS, BESIDE, address="127.0.0.2")
        single = Load(server.port, requests, 1, BESIDE - 10, address="127.0.0.3", after=5, pause=0.2)
        many, second = pool.submit(drive_together, [greedy, single]).result()
        server.stop()
    for answers in (first, many, second):
        assert {answer.status for answer in answers} == {200}, Counter(answer.status for answer in answers)
    slot = statistics.median(_in_slot(answer) for answer in many)
    longest = max(answer.seconds for answer in second)
    by_itself = statistics.median(answer.seconds for answer in first)
    write(
        "fairness",
        {
            "picture": f"{SIZE[0]} x {SIZE[1]} PNG, telea, POST /v1/erase, cache off, {SLOTS} slots",
            "queued_by_another": QUEUED,
            "singles": len(second),
            "seconds_alone": round(by_itself, 3),
            "seconds_beside": _spread([answer.seconds for answer in second]),
            "queue_seconds_beside": _spread([_stage(answer, "queue") for answer in second]),
            "slot_seconds": round(slot, 3),
            "longest_delay_in_slots": round((longest - by_itself) / slot, 2),
            "longest_wait_in_slots": round(max(_stage(answer, "queue") for answer in second) / slot, 2),
            "the_hundreds_own_seconds": _spread([answer.seconds for answer in many]),
        },
    )


def _stage(answer: Answer, name: str) -> float:
    stages = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
    return float(stages[name]) / 1000


def _in_slot(answer: Answer) -> float:
    """Seconds that a request held its slot."""
    return sum(_stage(answer, name) for name in ("decode", "filter", "inpaint", "encode"))


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(seconds), 3), "most": round(max(seconds), 3)}


if __name__ == "__main__":
    main()
