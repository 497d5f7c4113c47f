"""The server as an operator meets it: start, rest, and a 12 MP JPEG with a 300 px hole by HTTP.

python benchmarks/serving.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import httpx2
import numpy as np
from PIL import Image

from codec import photograph, saved
from common import write

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from server_process import Server

RUNS = 5
MIB = 1024**2


def main() -> None:
    photo = saved(Image.fromarray(photograph()), "JPEG", quality=92)
    mask = np.zeros((3000, 4000), np.uint8)
    cv2.circle(mask, (2000, 1500), 150, 255, -1)
    hole = saved(Image.fromarray(mask), "PNG")
    with tempfile.TemporaryDirectory() as folder:
        starts = [_start_seconds(Path(folder) / f"start{run}") for run in range(3)]
        server = Server(Path(folder) / "data", ERASER_CACHE__BACKEND="null")
        server.wait_ready()
        time.sleep(1)
        rest = server.memory()
        spent = server.cpu_seconds()
        time.sleep(10)
        idle_share = (server.cpu_seconds() - spent) / 10
        rows = {model: _erase(server, photo, hole, model) for model in ("telea", "patch")}
        server.stop()
    figures = {
        "help_seconds": statistics.median(_help_seconds() for _ in range(5)),
        "start_to_ready_seconds": statistics.median(starts),
        "rest_mib": round(rest / MIB, 1),
        "rest_share_of_a_core": round(idle_share, 4),
        "picture": "4000 x 3000 JPEG, hole 300 px across, multipart POST /v1/erase",
        **rows,
    }
    write("serving", figures)


def _help_seconds() -> float:
    start = time.monotonic()
    command = Path(sys.executable).with_name("magic-eraser")
    subprocess.run([str(command), "--help"], check=True, capture_output=True)
    return round(time.monotonic() - start, 3)


def _start_seconds(folder: Path) -> float:
    start = time.monotonic()
    server = Server(folder)
    server.wait_ready()
    seconds = time.monotonic() - start
    server.stop()
    return round(seconds, 2)


def _erase(server: Server, photo: bytes, hole: bytes, model: str) -> dict[str, float]:
    rest = server.memory()
    rows = []
    for _ in range(RUNS + 1):
        spent, start = server.cpu_seconds(), time.monotonic()
        response = httpx2.post(
            f"{server.url}/v1/erase",
            files={"image": photo, "mask": hole},
            data={"model": model},
            timeout=60,
        )
        response.raise_for_status()
        stages = dict(part.split(";dur=") for part in response.headers["server-timing"].split(", "))
        cpu = server.cpu_seconds() - spent
        rows.append((time.monotonic() - start, cpu, float(stages["inpaint"]) / 1000))
    wall, cpu, inpaint = (statistics.median(column) for column in zip(*rows[1:], strict=True))
    return {
        "wall_seconds": round(wall, 3),
        "cpu_seconds": round(cpu, 3),
        "inpaint_wall_seconds": round(inpaint, 3),
        "cpu_seconds_beside_inpainting": round(max(0.0, cpu - inpaint), 3),
        "peak_mib_above_rest": round((server.memory("VmHWM") - rest) / MIB, 1),
    }


if __name__ == "__main__":
    main()
