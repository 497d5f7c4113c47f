"""Fills by others, kept on disk: SHIFTMAP takes 7 s a photograph and never changes.

`shiftmap` needs an interpreter with opencv-contrib-python, which cannot live beside the package's own OpenCV;
`gmic` the command of that name; `biharmonic` scikit-image, which the tests need anyway.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fill_cases import Picture, read
from fill_metrics import Image

PEERS = ("shiftmap", "biharmonic", "gmic")
SLOW_SETS = ("object", "skimage")
"""Where peers are run: the rest would take them hours."""
GMIC = ("inpaint_matchpatch[0]", "[1],0,9,10,5,1", "round[0]")
"""All scales, 9 px patches, 10 rounds, blended over 5 px; rounded, or writing takes 1 off every value."""
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Peers:
    """Which peers there are, and where their fills are kept.

    Attributes:
        cache: folder of earlier fills.
        shiftmap_python: an interpreter with opencv-contrib-python and numpy.
    """

    cache: Path
    shiftmap_python: str | None

    def missing(self, name: str) -> str | None:
        """Why a peer cannot run, or None."""
        if name == "gmic":
            return None if shutil.which("gmic") else "the command gmic is not installed"
        if name == "biharmonic":
            return None if find_spec("skimage") else "scikit-image is not installed"
        if self.shiftmap_python is None:
            return "no --shiftmap-python, an interpreter with opencv-contrib-python-headless"
        probe = [self.shiftmap_python, "-c", "import cv2; cv2.xphoto.inpaint"]
        done = subprocess.run(probe, capture_output=True, check=False)
        return f"no cv2.xphoto in {self.shiftmap_python}" if done.returncode else None

    def fill(self, name: str, key: str, picture: Picture) -> tuple[Image, dict[str, Any]]:
        """A fill and its figures, from the cache where it holds one of this very picture and hole."""
        stem = self.cache / name / key
        digest = hashlib.sha256(picture.image.tobytes() + picture.hole.tobytes()).hexdigest()[:16]
        image, facts = stem.with_suffix(".png"), stem.with_suffix(".json")
        if image.is_file() and facts.is_file():
            kept = json.loads(facts.read_text(encoding="utf-8"))
            if kept.pop("picture") == digest:
                return read(image), kept
        with tempfile.TemporaryDirectory() as folder:
            filled, figures = self._run(name, picture, Path(folder))
        stem.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(image), cv2.cvtColor(filled, cv2.COLOR_RGB2BGR))
        facts.write_text(json.dumps({"picture": digest, **figures}), encoding="utf-8")
        return filled, figures

    def _run(self, name: str, picture: Picture, folder: Path) -> tuple[Image, dict[str, Any]]:
        if name == "gmic":
            return _gmic(picture, folder)
        paths = [folder / f"{part}.npy" for part in ("image", "hole", "out")]
        np.save(paths[0], picture.image)
        np.save(paths[1], picture.hole)
        python = sys.executable if name == "biharmonic" else str(self.shiftmap_python)
        script = str(Path(__file__).with_name("fill_peer.py"))
        command = [python, script, name, *map(str, paths)]
        environment = {**os.environ, **ONE_THREAD}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return np.load(paths[2]), json.loads(done.stdout)


def _gmic(picture: Picture, folder: Path) -> tuple[Image, dict[str, Any]]:
    """G'MIC by its command line; what starting it, reading and writing take is measured apart and taken off."""
    image, mask, out = (str(folder / f"{name}.png") for name in ("image", "mask", "out"))
    cv2.imwrite(image, cv2.cvtColor(picture.image, cv2.COLOR_RGB2BGR))
    cv2.imwrite(mask, picture.hole.view(np.uint8) * 255)
    around = ["gmic", "v", "-99", image, mask]
    rest = _costs([*around, "keep[0]", "output", out])
    whole = _costs([*around, *GMIC, "keep[0]", "output", out])
    filled = read(Path(out))
    filled[~picture.hole] = picture.image[~picture.hole]
    cpu, wall, peak = (max(0.0, a - b) for a, b in zip(whole, rest, strict=True))
    return filled, {"cpu": round(cpu, 4), "wall": round(wall, 4), "peak_mib": round(peak / 1024, 1)}


def _costs(command: list[str]) -> tuple[float, float, float]:
    """Processor and wall seconds and the peak in KiB of one run of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **ONE_THREAD})
    peak = 0.0
    while True:
        # ru_maxrss would count the memory of this process, whose child it is until it becomes another program
        peak = max(peak, _peak_of(process.pid))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(0.002)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start, peak


def _peak_of(pid: int) -> float:
    """KiB, by proc(5); 0 before it is another program and after its end."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    fields = dict(line.split(":", 1) for line in text.splitlines())
    if fields["Name"].strip() != "gmic" or "VmHWM" not in fields:
        return 0.0
    return float(fields["VmHWM"].split()[0])
