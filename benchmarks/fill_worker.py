"""Fills by the package's own models, for engine.py: a warm process that forks a fresh one for every measurement.

A fork starts with everything imported and warm, and with nothing but that in memory, so its peak is the fill's own.
Speaks JSON by lines: a job on stdin, its figures on stdout. Which package is measured is PYTHONPATH's to say.
"""

from __future__ import annotations

import inspect
import json
import os
import statistics
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import magic_eraser
import process_memory
from magic_eraser.imaging import compose
from magic_eraser.imaging.regions import find_regions, shrink
from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.inpainter import Inpainter, InpaintOptions
from magic_eraser.models.watch import Watch

Array = NDArray[Any]
WITHOUT_WEIGHTS = ("patch", "telea", "ns")


class GapWatch(Watch):
    """Remembers the longest stretch between two checks, and where it lay.

    In seconds of the processor where it has one thread, so that other jobs of the machine do not count; of the clock
    where several threads work, whose processor time passes faster.
    """

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        self.where = ""
        self._last = time.process_time(), time.perf_counter()
        self._place = "start"

    def check(self) -> None:
        cpu, clock = self._last
        gap = min(time.process_time() - cpu, time.perf_counter() - clock)
        place = _place(sys._getframe(1))  # noqa: SLF001 (no public name, and inspect.stack takes ms)
        if gap > self.longest:
            self.longest, self.where = gap, f"{self._place} to {place}"
        self._place = place
        super().check()
        self._last = time.process_time(), time.perf_counter()


def _place(frame: FrameType | None) -> str:
    """File and line that checked: past the watch itself and the loop over the parts of a job."""
    while frame is not None and Path(frame.f_code.co_filename).name in ("watch.py", "parallel.py"):
        frame = frame.f_back
    return "?" if frame is None else f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def fill(
    model: Inpainter, image: Array, hole: Array, options: InpaintOptions, watch: Watch, out: Array
) -> None:
    """What the service does with a request, from the mask to the pixels written into `out`."""
    card = model.card
    regions = find_regions(
        hole,
        context=card.context,
        min_context=card.min_context,
        working_size=card.working_size,
        working_hole=card.working_hole,
    )
    fills = []
    for region in regions:
        watch.check()
        crop, unknown = image[region.box.slices], region.unknown
        if region.scale > 1:
            small, small_unknown = shrink(crop, unknown, region.scale)
            answer = model.inpaint(small, small_unknown, options, watch)
            watch.check()
            answer = compose.enlarge(answer, crop, region.hole, unknown, options.seed)
        else:
            answer = model.inpaint(crop, unknown, options, watch)
        fills.append((region, answer))
    watch.check()
    for region, answer in fills:
        np.copyto(out[region.box.slices], answer, where=region.hole[..., None])


def run(job: dict[str, Any]) -> dict[str, Any]:
    """In the fork: figures of one job."""
    model = _load(CATALOG[job["model"]])
    _warm(model)  # a fork has its libraries' pages still to touch: 60 to 100 MB that are not the fill's
    process_memory.trim()
    image, hole = np.load(job["image"]), np.load(job["hole"])
    out = image.copy()
    options = InpaintOptions(seed=job["seed"])
    if job["effort"]:
        options = replace(options, effort=type(options.effort)(job["effort"]))
    process_memory.forget_peak()
    before = process_memory.now()
    watch, peak, taken = GapWatch(), 0, []
    for turn in range(job["repeats"]):
        cpu, wall = time.process_time(), time.perf_counter()
        fill(model, image, hole, options, GapWatch() if turn else watch, out)
        taken.append((time.process_time() - cpu, time.perf_counter() - wall))
        if not turn:  # later turns find memory that this one freed
            peak = process_memory.peak()
    np.save(job["out"], out)
    cpu, wall = (statistics.median(column) for column in zip(*taken, strict=True))
    return {
        "cpu": round(cpu, 4),
        "wall": round(wall, 4),
        "peak_mib": round((peak - before) / process_memory.MIB, 1),
        "gap": round(watch.longest, 4),
        "gap_at": watch.where,
    }


def _answer(job: dict[str, Any]) -> str:
    """Run a job in a fork and return its line."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            answer = run(job)
        except BaseException as error:  # noqa: BLE001 (a fill that fails is a figure too)
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        with os.fdopen(writing, "w", encoding="utf-8") as pipe:
            pipe.write(json.dumps(answer))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text or json.dumps({"error": "the process died"})


def _load(entry: Any) -> Inpainter:
    """The model, with the cores that BENCH_THREADS gives a fill; packages from before took a number, or nothing."""
    threads = int(os.environ.get("BENCH_THREADS", "1"))
    if not inspect.signature(entry.load).parameters:
        return entry.load()
    try:
        from magic_eraser.models.setup import Setup
    except ImportError:
        return entry.load(threads)
    return entry.load(Setup(threads=threads))


def _warm(model: Inpainter) -> None:
    """One small fill, so that nothing is imported, set up or first touched inside a measurement."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (96, 96, 3), np.uint8)
    image[:, 48:] = cv2.GaussianBlur(image[:, 48:], (0, 0), 3)
    hole = np.zeros((96, 96), np.bool_)
    hole[30:60, 30:60] = True
    fill(model, image, hole, InpaintOptions(), Watch(), image.copy())


def main() -> None:
    cv2.setNumThreads(1)
    for name in WITHOUT_WEIGHTS:
        _warm(_load(CATALOG[name]))
    process_memory.trim()
    print(json.dumps({"package": str(Path(magic_eraser.__file__).parent)}), flush=True)
    for line in sys.stdin:
        print(_answer(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
