"""The `sizes` set: a photograph enlarged to 12 and 50 MP, with wide holes and thin ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import cv2
import numpy as np
from skimage import data

import hole_shapes
from fill_cases import Case, Picture
from fill_metrics import Image, Mask

SIZES = {"12mp": (4000, 3000), "50mp": (8160, 6120)}
BLOBS = (
    ("12mp", 300, (0.85, 0.55)),
    ("12mp", 1000, (0.62, 0.68)),
    ("12mp", 2500, (0.5, 0.5)),
    ("50mp", 300, (0.85, 0.55)),
    ("50mp", 5000, (0.5, 0.5)),
)
"""Size, longer side of the hole in pixels, its middle as a share of width and height."""
THIN: dict[str, Callable[[tuple[int, ...]], Mask]] = {
    "specks": lambda shape: hole_shapes.specks(shape, np.random.default_rng(5)),
    "scratches": lambda shape: hole_shapes.scratch_groups(shape, np.random.default_rng(6)),
    "wires": hole_shapes.wires,
    "text": hole_shapes.text,
}


def large_cases(*, quick: bool = False) -> Iterator[Case]:
    for size, across, middle in BLOBS:
        if not quick or (size, across) in (("12mp", 300), ("12mp", 2500)):
            yield Case("sizes", f"{size}-{across}", partial(_blob, size, across, middle), truth=True)
    for name in ("specks", "wires") if quick else THIN:
        yield Case("sizes", f"12mp-{name}", partial(_thin, name), truth=True)


@lru_cache(maxsize=1)
def enlarged(size: str) -> Image:
    """The coffee cup enlarged, with grain so that it is not all smooth: uint8 (H, W, 3), read-only."""
    width, height = SIZES[size]
    picture = cv2.resize(data.coffee()[:, 33:566], (width, height), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(1)
    for first in range(0, height, 256):  # float copies of 50 MP take 0.6 GB
        band = picture[first : first + 256]
        grain = rng.standard_normal(band.shape[:2], np.float32)[..., None] * np.float32(4)
        band[...] = np.clip(np.rint(band + grain), 0, 255)
    picture.setflags(write=False)
    return np.asarray(picture, np.uint8)


def _blob(size: str, across: int, middle: tuple[float, float]) -> Picture:
    image = enlarged(size)
    place = (int(image.shape[1] * middle[0]), int(image.shape[0] * middle[1]))
    return Picture(image, hole_shapes.blob(image.shape[:2], place, across, np.random.default_rng(4)))


def _thin(name: str) -> Picture:
    image = enlarged("12mp")
    return Picture(image, THIN[name](image.shape[:2]))
