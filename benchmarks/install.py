"""From a fresh clone to the first erased photograph, as the README has it; and what it takes on disk.

python benchmarks/install.py
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx2
from PIL import Image
from skimage import data

from codec import saved
from common import write

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from server_process import free_port

ROOT = Path(__file__).parents[1]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        figures = {
            "clone_to_first_erase_seconds": _run(clone),
            "disk_mb_with_ui": _megabytes(clone / ".venv"),
            "disk_mb_core": _core(clone, Path(folder) / "core"),
        }
    write("install", figures)


def _run(clone: Path) -> float:
    port = free_port()
    environment = {**os.environ, "ERASER_SERVER__PORT": str(port), "ERASER_DATA_DIR": str(clone / "data")}
    environment.pop("VIRTUAL_ENV", None)
    photo = saved(Image.fromarray(data.coffee()), "JPEG", quality=92)
    mask = Image.new("L", (600, 400))
    mask.paste(255, (320, 235, 412, 335))
    start = time.monotonic()
    server = subprocess.Popen(["make", "run"], cwd=clone, env=environment, start_new_session=True)
    try:
        while True:
            try:
                answer = httpx2.post(
                    f"http://127.0.0.1:{port}/v1/erase",
                    files={"image": photo, "mask": saved(mask, "PNG")},
                    timeout=60,
                )
                answer.raise_for_status()
                return round(time.monotonic() - start, 1)
            except httpx2.ConnectError:
                if server.poll() is not None:
                    raise RuntimeError("make run ended") from None
                time.sleep(0.1)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _core(clone: Path, venv: Path) -> float:
    python = venv / "bin" / "python"
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", str(venv)], check=True)
    constraints = str(clone / "requirements" / "constraints.txt")
    subprocess.run([str(python), "-m", "pip", "install", "-q", "-c", constraints, str(clone)], check=True)
    return _megabytes(venv)


def _megabytes(folder: Path) -> float:
    """Disk blocks, as `du` counts them, in 10^6 bytes; hard links once."""
    done = subprocess.run(["du", "-s", "-B1", str(folder)], check=True, capture_output=True, text=True)
    return round(int(done.stdout.split()[0]) / 1e6, 1)


if __name__ == "__main__":
    main()
