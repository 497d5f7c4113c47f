"""MI-GAN on the CPU: our inference beside TorchScript in float32, the same seeded weights, 512 x 512, in one run.

    python benchmarks/migan_cpu.py

The published file cannot be told from one with seeded weights by its time. Both sides run in turn, so that what
else the machine does falls on both; CPU seconds count, and the ratio more than they.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Threads that wait by spinning make a busy machine's figures for two threads worthless, of both sides.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

import torch

from checkpoints import migan as published
from common import write
from magic_eraser.models.migan.net import Generator

RUNS = 3
CPU = torch.device("cpu")


def compare(work: dict[str, Callable[[], Any]]) -> dict[str, dict[str, float]]:
    """Medians of CPU and wall seconds of each, and of the ratio to the first, over runs in turn."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in work}
    for run in range(RUNS + 1):
        for name, call in work.items():
            cpu, wall = time.process_time(), time.perf_counter()
            call()
            if run:  # the first one warms up
                taken[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    base = next(iter(taken.values()))
    return {
        name: {
            "cpu_s": round(statistics.median(cpu for cpu, _ in times), 3),
            "wall_s": round(statistics.median(wall for _, wall in times), 3),
            "ratio_cpu": round(
                statistics.median(own[0] / theirs[0] for own, theirs in zip(times, base, strict=True)), 3
            ),
            "ratio_wall": round(
                statistics.median(own[1] / theirs[1] for own, theirs in zip(times, base, strict=True)), 3
            ),
        }
        for name, times in taken.items()
    }


def nets(tensors: dict[str, torch.Tensor]) -> dict[str, Generator]:
    """Ours, for the threads that torch has now."""
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    return {kind: Generator(tensors, CPU, dtype) for kind, dtype in kinds.items()}


def main() -> None:
    plain = published.generator()
    x = published.example()
    script = published.traced(plain)

    def run_script() -> torch.Tensor:
        with torch.inference_mode():
            return script(x)

    figures: dict[str, Any] = {"torch": torch.__version__}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        work: dict[str, Callable[[], Any]] = {"torchscript float32": run_script}
        for kind, net in nets(plain.state_dict()).items():
            work[f"ours {kind}"] = lambda net=net: net(x, lambda _share: None)
        figures[f"{threads} threads"] = compare(work)
    expected = run_script()
    for kind, net in nets(plain.state_dict()).items():
        error = (net(x, lambda _share: None) - expected).abs() * 127.5
        figures[f"error_in_levels {kind}"] = {
            "mean": round(error.mean().item(), 5),
            "most": round(error.max().item(), 4),
        }
    write("migan_cpu", figures)


if __name__ == "__main__":
    main()
