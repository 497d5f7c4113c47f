"""Pictures and holes to measure fills on, each built when it is asked for.

Five sets: `object` and `freeform` are photographs of the evaluation folder, `moved` are the masks of `object` at other
places of their photographs (so that the truth is known), `skimage` comes with scikit-image, `sizes` is `large_cases`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from fill_metrics import Image, Mask
from hole_shapes import blob, lines, polygon

DRAWS = 8  # moved masks for each photograph: 80 in all; under 75 a change of seed moves the distance by 0.5


@dataclass(frozen=True, slots=True)
class Picture:
    """What a fill is made from; `published` is another's fill of the same hole, where there is one."""

    image: Image
    hole: Mask
    published: Image | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A picture with a hole; `truth`: what the picture holds under the hole is what ought to come there."""

    set: str
    name: str
    build: Callable[[], Picture]
    truth: bool

    @property
    def key(self) -> str:
        return f"{self.set}/{self.name}"


def read(path: Path) -> Image:
    picture = cv2.imread(str(path))
    if picture is None:
        raise FileNotFoundError(path)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def object_cases(folder: Path) -> Iterator[Case]:
    """Real things to erase; no truth."""
    for name in _names(folder / "object"):
        yield Case(
            "object", name, partial(_evaluation, folder / "object", name, white_erases=True), truth=False
        )


def freeform_cases(folder: Path) -> Iterator[Case]:
    """Most of the picture missing."""
    for name in _names(folder / "freeform"):
        build = partial(_evaluation, folder / "freeform", name, white_erases=False)
        yield Case("freeform", name, build, truth=True)


def moved_cases(folder: Path, draws: int = DRAWS) -> Iterator[Case]:
    """The shapes of `object`, 0.6 to 1 times as large, where something is known."""
    for name in _names(folder / "object"):
        for draw in range(draws):
            yield Case("moved", f"{name}-{draw}", partial(_moved, folder, name, draw), truth=True)


def skimage_cases(*, made: bool = True) -> Iterator[Case]:
    """Things in four photographs free of rights and, where `made`, holes of made shapes with their truth."""
    for name, (photograph, hole) in THINGS.items():
        yield Case("skimage", name, partial(_thing, photograph, hole), truth=False)
    if made:
        for photograph in ("astronaut", "coffee", "chelsea", "rocket"):
            for draw in range(4):
                build = partial(_made, photograph, draw)
                yield Case("skimage", f"{photograph}-{draw}", build, truth=True)


def move(hole: Mask, rng: np.random.Generator) -> Mask | None:
    """The hole's shape at 0.6 to 1 times its size, at a place that shares less than 2 % of it with the hole.

    Every such place within the picture is equally likely. What is shared is left out. None where there is no place.
    """
    scale = rng.uniform(0.6, 1.0)
    left, top, width, height = cv2.boundingRect(hole.view(np.uint8))
    shape = hole[top : top + height, left : left + width].view(np.uint8)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    shape = cv2.resize(shape, size, interpolation=cv2.INTER_NEAREST)
    if size[0] >= hole.shape[1] or size[1] >= hole.shape[0]:
        return None
    shared = cv2.matchTemplate(hole.astype(np.float32), shape.astype(np.float32), cv2.TM_CCORR)
    rows, columns = np.nonzero(shared < 0.02 * np.count_nonzero(shape))
    if not len(rows):
        return None
    place = int(rng.integers(len(rows)))
    moved = np.zeros_like(hole)
    y, x = int(rows[place]), int(columns[place])
    moved[y : y + size[1], x : x + size[0]] = shape > 0
    return moved & ~hole


def _names(folder: Path) -> list[str]:
    names = [path.stem for path in (folder / "images").iterdir()]
    return sorted(names, key=lambda name: (len(name), name))


def _evaluation(folder: Path, name: str, *, white_erases: bool) -> Picture:
    (image,) = (folder / "images").glob(f"{name}.*")
    mask = read(folder / "masks" / f"{name}.png")[..., 0] > 127
    hole = mask if white_erases else ~mask
    return Picture(read(image), hole, read(folder / "migan" / f"{name}.png"))


def _moved(folder: Path, name: str, draw: int) -> Picture:
    picture = _evaluation(folder / "object", name, white_erases=True)
    for attempt in range(20):
        hole = move(picture.hole, np.random.default_rng((int.from_bytes(name.encode()), draw, attempt)))
        if hole is not None:
            return Picture(picture.image, hole)
    raise ValueError(f"object/{name}: no place for its mask")


SHUTTLE = [
    (372, 0), (452, 0), (464, 120), (470, 220), (476, 285), (366, 285), (348, 235), (352, 190), (372, 120),
]  # fmt: skip
SPOON = [
    (398, 66), (426, 66), (430, 84), (414, 134), (400, 195), (395, 236), (412, 284), (397, 318), (365, 332),
    (333, 318), (316, 284), (318, 262), (312, 246), (336, 230), (368, 234), (380, 206), (400, 160),
]  # fmt: skip
ROCKET = [(322, 108), (338, 128), (352, 440), (292, 440), (306, 128)]
TOWER = [(196, 120), (206, 120), (214, 260), (206, 380), (166, 380)]
THINGS = {
    "astronaut-shuttle": ("astronaut", partial(polygon, SHUTTLE)),
    "astronaut-patch": ("astronaut", partial(polygon, [(172, 385)], radius=43)),
    "coffee-spoon": ("coffee", partial(polygon, SPOON)),
    "chelsea-eye": ("chelsea", partial(polygon, [(322, 136)], radius=34)),
    "rocket-rocket": ("rocket", partial(polygon, ROCKET)),
    "rocket-tower": ("rocket", partial(polygon, TOWER)),
}


def _thing(photograph: str, hole: Callable[[tuple[int, ...]], Mask]) -> Picture:
    image = getattr(data, photograph)()
    return Picture(image, hole(image.shape[:2]))


def _made(photograph: str, draw: int) -> Picture:
    """Three blobs of a quarter to a sixth of the picture's side, then scratches."""
    image = getattr(data, photograph)()
    height, width = image.shape[:2]
    rng = np.random.default_rng((int.from_bytes(photograph.encode()), draw))
    if draw == 3:
        return Picture(image, lines(image.shape[:2], rng, count=6, thickness=3))
    across = int(rng.uniform(0.16, 0.25) * height)
    middle = (
        int(rng.integers(across, width - across)),
        int(rng.integers(across, height - across)),
    )
    return Picture(image, blob(image.shape[:2], middle, across, rng))
