"""One fill by a peer that is a Python library, for engine.py. Needs OpenCV and numpy; runs in any interpreter.

python fill_peer.py shiftmap|biharmonic image.npy hole.npy out.npy
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import cv2
import numpy as np

import process_memory


def shiftmap(image: Any, hole: Any) -> Any:
    """xphoto's SHIFTMAP (He and Sun 2012) of opencv-contrib: Lab in, and a mask that is 0 where to fill."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab)
    out = np.zeros_like(lab)
    known = np.where(hole, 0, 255).astype(np.uint8)
    cv2.xphoto.inpaint(lab, known, out, cv2.xphoto.INPAINT_SHIFTMAP)
    return cv2.cvtColor(out, cv2.COLOR_Lab2RGB)


def biharmonic(image: Any, hole: Any) -> Any:
    """scikit-image's biharmonic equation (Damelin and Hoang 2018)."""
    from skimage.restoration import inpaint_biharmonic

    filled = inpaint_biharmonic(image, hole, channel_axis=-1)
    return np.clip(np.rint(filled * 255), 0, 255).astype(np.uint8)


PEERS = {"shiftmap": shiftmap, "biharmonic": biharmonic}


def main() -> None:
    name, image_path, hole_path, out_path = sys.argv[1:]
    cv2.setNumThreads(1)
    image, hole = np.load(image_path), np.load(hole_path)
    if name == "biharmonic":
        PEERS[name](image[:32, :32], np.eye(32, dtype=bool))  # imports SciPy
    process_memory.forget_peak()
    before = process_memory.now()
    cpu, wall = time.process_time(), time.perf_counter()
    out = PEERS[name](image, hole)
    figures = {
        "cpu": round(time.process_time() - cpu, 4),
        "wall": round(time.perf_counter() - wall, 4),
        "peak_mib": round((process_memory.peak() - before) / process_memory.MIB, 1),
    }
    out[~hole] = image[~hole]
    np.save(out_path, out)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
