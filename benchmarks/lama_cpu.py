"""LaMa on a processor: our network's time beside the published graph's, with the same weights in the same run.

python benchmarks/lama_cpu.py [--threads 1 2] [--sides 512 1024] [--runs 3]

Both take turns, so that a noisy neighbour meets both; the least time of each counts. CPU seconds are of the whole
process, so with one thread they do not depend on who else runs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from checkpoints import lama
from common import write
from magic_eraser.models.inpainter import Effort, InpaintOptions
from magic_eraser.models.lama import LAMA_CARD, WORKING_SIZE, load
from magic_eraser.models.setup import Precision, Setup
from magic_eraser.models.watch import Watch


def case(side: int) -> tuple[Any, Any]:
    """A random picture with a hole of a third of its side in the middle."""
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    hole = np.zeros((side, side), bool)
    hole[side // 3 : 2 * side // 3, side // 3 : 2 * side // 3] = True
    return image, hole


def least_times(works: dict[str, Callable[[], object]], runs: int) -> dict[str, dict[str, float]]:
    """Least wall and CPU seconds of each, in turn, after one run that does not count."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for run in range(runs + 1):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            if run:
                taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: {
            "wall_s": round(min(wall for wall, _ in times), 3),
            "cpu_s": round(min(cpu for _, cpu in times), 3),
        }
        for name, times in taken.items()
    }


def measure(checkpoint: Path, side: int, threads: int, runs: int) -> dict[str, Any]:
    """Seconds of TorchScript, of our network in both precisions, and of its three efforts."""
    import torch

    image, hole = case(side)
    weights = (checkpoint,)
    torch.set_num_threads(threads)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        published = torch.jit.load(checkpoint)
    picture = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    mask = torch.from_numpy(hole)[None, None].float()

    def as_published() -> None:
        with torch.inference_mode():
            published(picture, mask)

    works: dict[str, Callable[[], object]] = {"torchscript_float32": as_published}
    for precision in (Precision.FLOAT32, Precision.BFLOAT16):
        model = load(Setup(threads=threads, device="cpu", precision=precision, weights=weights))
        for effort in Effort if precision is Precision.BFLOAT16 else (Effort.BALANCED,):
            name = f"{precision}_{effort}"
            works[name] = lambda model=model, effort=effort: model.inpaint(
                image, hole, InpaintOptions(effort=effort), Watch()
            )
    times = least_times(works, runs)
    first = times["torchscript_float32"]
    for each in times.values():
        each["wall_ratio"] = round(each["wall_s"] / first["wall_s"], 3)
        each["cpu_ratio"] = round(each["cpu_s"] / first["cpu_s"], 3)
    return {"side": side, "hole": side // 3, "threads": threads, "times": times}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = lama.save_torchscript(lama.make(), Path(folder) / LAMA_CARD.weights[0].name)
        rows = []
        for side in asked.sides:
            large = side > WORKING_SIZE  # one run, on all cores: it takes four times as long
            numbers = [max(asked.threads)] if large else asked.threads
            rows += [measure(checkpoint, side, each, 1 if large else asked.runs) for each in numbers]
    write("lama_cpu", {"weights": "seeded, of the published shapes", "rows": rows})


if __name__ == "__main__":
    main()
