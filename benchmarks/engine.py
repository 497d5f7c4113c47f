"""The fills: quality, processor time, memory and cancel gaps of `patch` beside its peers, and contact sheets.

python benchmarks/engine.py --quick                         # half a minute: the evaluation objects, some moved masks
python benchmarks/engine.py --only moved --methods patch --json before.json
python benchmarks/engine.py --only moved --methods patch --package ../other/src --against before.json
python benchmarks/engine.py --methods all --shiftmap-python PATH --sheets artifacts/engine --json PATH

The evaluation photographs are no part of the project: without them (`--eval`) only skimage's and the sizes are
measured. A method is `patch`, `patch/fast`, `patch/best` (efforts), another model of the package, or a peer.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import fill_report
from contact_sheet import write_sheets
from fill_cases import Case, Picture, freeform_cases, moved_cases, object_cases, skimage_cases
from fill_metrics import Image, measure
from fill_own import Worker
from fill_peers import PEERS, SLOW_SETS, Peers
from large_cases import large_cases

ROOT = Path(__file__).parents[1]
SETS = ("object", "moved", "freeform", "skimage", "sizes")
ALL = ("patch", "telea", "ns", "biharmonic", "shiftmap", "gmic", "migan")
SHEETS = ("object", "freeform", "skimage")
UNSHOWN = ("ns", "biharmonic")  # on sheets: blurs like telea's
UNSEEDED = ("telea", "ns")
LARGE = 2_000_000  # pixels of a picture whose figures are taken round the hole, this many pixels round it:
MARGIN = 16


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """What is to be measured, in the order of `SETS`."""
    there = (options.eval / "object").is_dir()
    if not there:
        print(
            f"no evaluation photographs at {options.eval}: object, moved and freeform are left out",
            file=sys.stderr,
        )
    found = {
        "object": lambda: object_cases(options.eval),
        "moved": lambda: moved_cases(options.eval, 2 if options.quick else 8),
        "freeform": lambda: freeform_cases(options.eval),
        "skimage": lambda: skimage_cases(made=not options.quick),
        "sizes": lambda: large_cases(quick=options.quick),
    }
    wanted = options.only or [name for name in SETS if not (options.quick and name == "freeform")]
    for name in SETS:
        if name in wanted and (there or name in ("skimage", "sizes")):
            yield from (case for case in found[name]() if fnmatch(case.key, options.case))


class Bench:
    """Runs the methods over cases."""

    def __init__(self, options: argparse.Namespace, methods: list[str], peers: Peers) -> None:
        self._options, self._methods, self._peers = options, methods, peers

    def rows(self, case: Case, worker: Worker) -> list[dict[str, Any]]:
        """Every method's figures for one case; its contact sheet on the way."""
        picture = case.build()
        worker.hold(picture)
        rows, shown = [], {}
        for method in self._methods:
            for seed, filled, figures in self._fills(method, case, picture, worker):
                row = {
                    "set": case.set,
                    "case": case.name,
                    "truth": case.truth,
                    "method": method,
                    "seed": seed,
                }
                if filled is not None:
                    row |= _quality(case, picture, filled)
                    if method not in UNSHOWN:
                        shown[method if len(self._options.seeds) == 1 else f"{method} {seed}"] = filled
                rows.append(row | figures)
        if self._options.sheets is not None and case.set in SHEETS and not _is_made(case):
            write_sheets(self._options.sheets / f"{case.set}-{case.name}", picture.image, picture.hole, shown)
        return rows

    def _fills(
        self, method: str, case: Case, picture: Picture, worker: Worker
    ) -> Iterator[tuple[int, Image | None, dict[str, Any]]]:
        first = self._options.seeds[0]
        if method == "migan":
            if picture.published is not None:
                yield first, picture.published, {}
        elif method in PEERS:
            if case.set in SLOW_SETS and not _is_made(case):
                yield first, *self._peers.fill(method, case.key, picture)
        else:
            model, _, effort = method.partition("/")
            for seed in self._options.seeds[:1] if model in UNSEEDED else self._options.seeds:
                job = {"model": model, "seed": seed, "effort": effort, "repeats": self._options.repeats}
                yield seed, *worker.fill(job)


def _is_made(case: Case) -> bool:
    return case.set == "skimage" and case.truth


def _quality(case: Case, picture: Picture, filled: Image) -> dict[str, Any]:
    """Figures of a fill; in a large picture, where the truth is known, of the hole's surroundings alone."""
    box: tuple[slice, ...] = (slice(None),)
    if picture.hole.size > LARGE:
        left, top, width, height = cv2.boundingRect(picture.hole.view(np.uint8))
        rows = slice(max(0, top - MARGIN), top + height + MARGIN)
        box = (rows, slice(max(0, left - MARGIN), left + width + MARGIN))
    truth = picture.image[box] if case.truth else None
    found = asdict(measure(filled[box], picture.hole[box], truth))
    return {name: round(value, 4) for name, value in found.items() if value is not None}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    default_eval = Path(os.environ.get("BENCH_EVAL", ROOT / "../shared/eval"))
    parser.add_argument("--eval", type=Path, default=default_eval, help="evaluation folder (or BENCH_EVAL)")
    parser.add_argument("--quick", action="store_true", help="a subset for every day")
    parser.add_argument("--only", type=_listed, help=f"sets: {','.join(SETS)}")
    parser.add_argument(
        "--case", default="*", help="only cases of this set/name, such as 'object/4' or 'moved/8-*'"
    )
    parser.add_argument(
        "--methods", type=_listed, default=["patch", "telea", "migan"], help=f"all, or {','.join(ALL)}"
    )
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0])
    parser.add_argument(
        "--repeats", type=int, default=1, help="runs of each fill, of which the median time is told"
    )
    parser.add_argument("--jobs", type=int, default=1, help="fills at once; 1 for times that count")
    parser.add_argument("--threads", type=int, default=1, help="cores that one fill may use")
    parser.add_argument("--package", type=Path, help="another copy of the package to measure")
    parser.add_argument(
        "--shiftmap-python",
        default=os.environ.get("BENCH_SHIFTMAP_PYTHON"),
        help="an interpreter with opencv-contrib-python-headless (or BENCH_SHIFTMAP_PYTHON)",
    )
    parser.add_argument(
        "--cache", type=Path, default=ROOT / "artifacts/fill-peers", help="where peers' fills are kept"
    )
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--against", type=Path, help="a file of an earlier run to compare with")
    options = parser.parse_args()
    os.environ["BENCH_THREADS"] = str(options.threads)  # read by the workers
    if unknown := set(options.only or ()) - set(SETS):
        parser.error(f"no such set: {', '.join(sorted(unknown))}")
    return options


def _listed(text: str) -> list[str]:
    return text.split(",")


def usable(options: argparse.Namespace, peers: Peers) -> tuple[list[str], dict[str, str]]:
    """The methods that can run, and why others cannot."""
    wanted = list(ALL) if options.methods == ["all"] else options.methods
    missing = {name: why for name in wanted if name in PEERS and (why := peers.missing(name))}
    for name, why in missing.items():
        print(f"{name} is left out: {why}", file=sys.stderr)
    return [name for name in wanted if name not in missing], missing


def main() -> None:
    options = arguments()
    peers = Peers(options.cache, options.shiftmap_python)
    methods, missing = usable(options, peers)
    bench = Bench(options, methods, peers)
    cv2.setNumThreads(1)
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()

    def run(case: Case) -> list[dict[str, Any]]:
        worker = idle.get()
        try:
            return bench.rows(case, worker)
        finally:
            idle.put(worker)

    with ExitStack() as stack, ThreadPoolExecutor(options.jobs) as threads:
        workers = [stack.enter_context(Worker(options.package)) for _ in range(options.jobs)]
        print(f"measuring {workers[0].package}", file=sys.stderr)
        for worker in workers:
            idle.put(worker)
        rows = [row for found in threads.map(run, cases(options)) for row in found]
    print(fill_report.tables(rows))
    if options.against is not None:
        print(fill_report.against(rows, fill_report.read(options.against)))
    if options.json is not None:
        facts = {
            "seeds": options.seeds,
            "repeats": options.repeats,
            "jobs": options.jobs,
            "left_out": missing,
        }
        fill_report.write(options.json, facts, rows)


if __name__ == "__main__":
    main()
