"""LaMa in a whole request: a 12 MP photograph with a hole of 300 px and one of 2,500 px, beside what IOPaint does.

python benchmarks/neural.py

IOPaint's way, written down from its source: the hole's box with 128 px on each side, whatever that makes, through
TorchScript in float32; the answer pasted; JPEG at quality 100. Its weights and ours are the same seeded ones. Both
decode, fill and encode in this process with as many threads as there are cores, and take turns.
"""

from __future__ import annotations

import io
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from codec import photograph, saved
from common import write

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from checkpoints import lama
from magic_eraser.library import Eraser

RUNS = 3
MARGIN = 128
CORES = os.cpu_count() or 1


def main() -> None:
    torch.set_num_threads(CORES)
    photo = saved(Image.fromarray(photograph()), "JPEG", quality=92)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MODEL_CACHE_DIR"] = folder
        file = lama.save_torchscript(lama.make(), Path(folder) / "big-lama.pt")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
            peer = torch.jit.load(file).eval()
        with Eraser("lama", threads=CORES) as eraser:
            figures = {
                f"hole_{across}px": _compare(
                    lambda mask: _as_iopaint(peer, photo, mask),
                    lambda mask: eraser(photo, mask),
                    _hole(across),
                    RUNS if across < 1000 else 1,
                )
                for across in (300, 2500)
            }
    write("neural", {"picture": "4000 x 3000 JPEG", "threads": CORES, "model": "lama", **figures})


def _compare(
    peer: Callable[[bytes], bytes], ours: Callable[[bytes], bytes], mask: bytes, runs: int
) -> dict[str, Any]:
    """Wall and CPU seconds of both, medians of runs that take turns; each has run once before."""
    _time(ours, mask)
    if runs > 1:
        _time(peer, mask)
    rows = [(_time(peer, mask), _time(ours, mask)) for _ in range(runs)]
    figures: dict[str, Any] = {}
    for name, which in (("iopaint", 0), ("ours", 1)):
        wall, cpu = (statistics.median(row[which][k] for row in rows) for k in (0, 1))
        figures[name] = {"seconds": round(wall, 3), "cpu_seconds": round(cpu, 3)}
    for kind in ("seconds", "cpu_seconds"):
        figures[f"ratio_of_{kind}"] = round(figures["ours"][kind] / figures["iopaint"][kind], 3)
    return figures


def _time(work: Callable[[bytes], bytes], mask: bytes) -> tuple[float, float]:
    wall, cpu = time.monotonic(), time.process_time()
    work(mask)
    return time.monotonic() - wall, time.process_time() - cpu


def _hole(across: int) -> bytes:
    mask = np.zeros((3000, 4000), np.uint8)
    cv2.circle(mask, (2000, 1500), across // 2, 255, -1)
    return saved(Image.fromarray(mask), "PNG")


def _as_iopaint(net: torch.jit.ScriptModule, photo: bytes, mask_png: bytes) -> bytes:
    image = np.array(Image.open(io.BytesIO(photo)).convert("RGB"))
    mask = np.array(Image.open(io.BytesIO(mask_png)).convert("L")) > 127
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    rows = slice(max(0, top - MARGIN), top + height + MARGIN)
    columns = slice(max(0, left - MARGIN), left + width + MARGIN)
    crop, hole = image[rows, columns], mask[rows, columns]
    sides = [-side % 8 for side in hole.shape]
    padded = np.pad(crop, ((0, sides[0]), (0, sides[1]), (0, 0)), mode="symmetric")
    holes = np.pad(hole, ((0, sides[0]), (0, sides[1])), mode="symmetric")
    with torch.inference_mode():
        seen = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
        answer = net(seen, torch.from_numpy(holes)[None, None].float())[0].permute(1, 2, 0).numpy()
    filled = (answer * 255).clip(0, 255).astype(np.uint8)[: hole.shape[0], : hole.shape[1]]
    image[rows, columns] = np.where(hole[..., None], filled, crop)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=100)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
