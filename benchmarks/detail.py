"""What `models.detail.restore` makes of a fill, against `compose.enlarge`: figures of texture, seconds and memory.

The fill is the truth shrunk, which is what a perfect network would answer. Photographs are those of scikit-image and,
where they are present, those of `../shared/eval`. Usage: python benchmarks/detail.py
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import numpy as np
from skimage import data

import common
import hole_shapes
from fill_metrics import Image, Mask, measure
from large_cases import enlarged
from magic_eraser.imaging.compose import enlarge
from magic_eraser.models.detail import restore
from magic_eraser.models.watch import Watch

PHOTOGRAPHS = Path(__file__).parents[2] / "shared" / "eval"
SCALES = (1.6, 2, 3, 5, 8)
ACROSS = 0.45  # of the shorter side, that the hole is wide
LARGE = (("2500 px", 2500, 7.8), ("1000 px", 1000, 3.9), ("600 px", 600, 1.75))
"""Name, width of the hole in 4000 x 3000, full-size pixels per pixel of the fill."""
SEED = 1
WAYS: dict[str, Callable[..., Any]] = {
    "enlarge": enlarge,
    "restore": lambda *given: restore(*given, Watch()),
}


def main() -> None:
    cv2.setNumThreads(1)
    photographs = dict(_photographs())
    quality = {str(scale): _quality(photographs, scale) for scale in SCALES}
    large = {name: _large(across, scale) for name, across, scale in LARGE}
    common.write("detail", {"photographs": len(photographs), "by_scale": quality, "12mp": large})


def _photographs() -> Iterator[tuple[str, Image]]:
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        yield name, np.ascontiguousarray(getattr(data, name)()[..., :3])
    for name in ("brick", "grass", "gravel"):
        yield name, np.repeat(getattr(data, name)()[..., None], 3, axis=2)
    for path in sorted([*PHOTOGRAPHS.glob("freeform/images/*"), *PHOTOGRAPHS.glob("object/images/*")]):
        read = cv2.imread(str(path))
        if read is not None:
            yield path.stem, np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), np.uint8)


def _quality(photographs: dict[str, Image], scale: float) -> dict[str, Any]:
    """Means over all photographs; sharpness and seam are 1 for the truth, distance is 0."""
    figures: dict[str, list[Any]] = {way: [] for way in WAYS}
    for truth in photographs.values():
        hole = _hole((truth.shape[0], truth.shape[1]))
        image = truth.copy()
        image[hole] = 0
        for way, work in WAYS.items():
            found = work(_small(truth, scale), image, hole, hole, SEED)
            figures[way].append(measure(np.where(hole[..., None], found, truth), hole, truth))
    return {way: _means(found) for way, found in figures.items()}


def _means(found: list[Any]) -> dict[str, float]:
    names = ("sharpness", "seam", "swd", "psnr")
    means = {name: round(mean(getattr(each, name) for each in found), 3) for name in names}
    return {**means, "sharpness_off_by": round(mean(abs(each.sharpness - 1) for each in found), 3)}


def _hole(shape: tuple[int, int]) -> Mask:
    mask = np.zeros(shape, np.uint8)
    radius = min(shape) * ACROSS / 2
    axes = (round(1.1 * radius), round(radius))
    cv2.ellipse(mask, (shape[1] // 2, shape[0] // 2), axes, 20, 0, 360, 1, -1)
    return mask > 0


def _small(image: Image, scale: float) -> Image:
    size = (round(image.shape[1] / scale), round(image.shape[0] / scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _large(across: int, scale: float) -> dict[str, Any]:
    """CPU seconds, and most memory in MiB beside the answer, of a hole in 12 megapixels with its surroundings."""
    image = enlarged("12mp").copy()
    place = (image.shape[1] // 2, image.shape[0] // 2)
    hole = hole_shapes.blob(image.shape[:2], place, across, np.random.default_rng(4))
    reach = round(256 * scale)
    box = tuple(slice(max(0, at - reach), at + reach) for at in place[::-1])
    image, hole = np.ascontiguousarray(image[box]), np.ascontiguousarray(hole[box])
    fill = _small(image, scale)
    image[hole] = 0
    seconds = {
        way: common.cpu_seconds(partial(work, fill, image, hole, hole, SEED), 3) for way, work in WAYS.items()
    }
    tracemalloc.start()
    WAYS["restore"](fill, image, hole, hole, SEED)
    most = tracemalloc.get_traced_memory()[1] - image.nbytes
    tracemalloc.stop()
    return {
        "crop": hole.shape,
        "hole_pixels": int(np.count_nonzero(hole)),
        "cpu_seconds": seconds,
        "mib": most >> 20,
    }


if __name__ == "__main__":
    main()
