"""From one source pixel per hole pixel to a correction that hides where pieces meet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.solve import System, solve
from magic_eraser.models.patch.windows import Bools, Floats, Positions
from magic_eraser.models.watch import Watch

# Levels of mismatch at which an edge counts half. The fourth power lets soft steps be mended and hard ones stand:
# with the square, a white rim beside a thin hole shone 66 levels into the brown behind it.
TOLERANCE = 48.0
SCREENING = 2e-3
TURN = 3  # pixels from one label of a strip to the next one's at most
UNSEEN = 1e-3  # weight of an edge about which no source says anything

Labels = NDArray[np.int32]
"""(2, H, W): rows and columns from a pixel to the one it copies; zero where it is known."""


def box_of(hole: Bools, margin: int = 1) -> tuple[slice, slice]:
    """Bounding box of the hole, `margin` pixels wider on each side, inside the picture."""
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def turning(labels: Labels, laid: Bools, first: tuple[slice, slice], second: tuple[slice, slice]) -> Bools:
    """Where two neighbours belong to one strip whose labels change little by little, on purpose.

    Args:
        labels: see `Labels`. laid: bool (H, W), the strips along continued contours.
        first, second: the neighbours, as slices of the picture.
    """
    near: Bools = (np.abs(labels[(slice(None), *first)] - labels[(slice(None), *second)]) <= TURN).all(0)
    return near & laid[first] & laid[second]


class _Copies:
    """What a pixel's neighbour's label would copy."""

    def __init__(self, image: NDArray[np.uint8], hole: Bools, box: tuple[slice, slice]) -> None:
        self._size = hole.shape
        self._known = ~hole.ravel()
        self._flat = image.reshape(-1, 3)
        self._corner = (box[0].start, box[1].start)

    def take(self, y: Positions, x: Positions, label: Labels) -> tuple[Floats, Bools]:
        """Pixels (n,) of the box, moved by `label` (2, n): float32 (n, 3), and whether they are known at all."""
        y, x = y + label[0] + self._corner[0], x + label[1] + self._corner[1]
        inside = (y >= 0) & (y < self._size[0]) & (x >= 0) & (x < self._size[1])
        at = np.where(inside, y * self._size[1] + x, 0)
        return self._flat.take(at, axis=0).astype(np.float32), inside & self._known.take(at)


def _edges(copies: _Copies, labels: Labels, hole: Bools, laid: Bools, axis: int) -> tuple[Floats, Floats]:
    """Weight (h, w) and wanted step of the correction (h, w, 3) between each pixel p and the next one q.

    Within a piece both copies agree: the weight is 1 and no step wanted. Only where labels differ is there work.
    """
    every = slice(None)
    first = (slice(-1), every) if axis == 0 else (every, slice(-1))
    second = (slice(1, None), every) if axis == 0 else (every, slice(1, None))
    weight = (hole[first] | hole[second]).astype(np.float32)
    wanted = np.zeros((*weight.shape, 3), np.float32)
    differ = (labels[:, first[0], first[1]] != labels[:, second[0], second[1]]).any(0)
    differ &= ~turning(labels, laid, first, second)
    y, x = np.nonzero(differ & (weight > 0))
    v, u = (y + 1, x) if axis == 0 else (y, x + 1)
    at_p, at_q = labels[:, y, x], labels[:, v, u]
    p_own, p_own_ok = copies.take(y, x, at_p)
    p_other, p_other_ok = copies.take(y, x, at_q)
    q_other, q_other_ok = copies.take(v, u, at_p)
    q_own, q_own_ok = copies.take(v, u, at_q)
    ok_p = (p_own_ok & p_other_ok).astype(np.float32)
    ok_q = (q_own_ok & q_other_ok).astype(np.float32)
    step_p = (p_own - p_other) * ok_p[:, None]
    step_q = (q_other - q_own) * ok_q[:, None]
    count = np.maximum(ok_p + ok_q, 1.0)
    squares = np.einsum("nc,nc->n", step_p, step_p) + np.einsum("nc,nc->n", step_q, step_q)
    mismatch = squares / (3 * count)
    weight[y, x] = np.where(ok_p + ok_q > 0, 1.0 / (1.0 + (mismatch / TOLERANCE**2) ** 2), UNSEEN)
    wanted[y, x] = (step_p + step_q) / count[:, None]
    return weight, wanted


def correct(
    image: NDArray[np.uint8], hole: Bools, labels: Labels, watch: Watch, laid: Bools | None = None
) -> Floats:
    """What to add to the copied pixels so that pieces join without steps.

    Args:
        image: uint8 (H, W, 3). hole: bool (H, W).
        labels: see `Labels`; every copied pixel is known.
        laid: bool (H, W), strips that will be copied by unrounded labels: within them no step is looked for.

    Returns:
        float32 (H, W, 3), levels of 0..255; zero outside the hole.
    """
    box = box_of(hole)
    inside = hole[box]
    strips = np.zeros_like(inside) if laid is None else laid[box]
    copies = _Copies(image, hole, box)
    mine = labels[(slice(None), *box)]
    right = np.zeros((*inside.shape, 3), np.float32)
    mass = np.where(inside, np.float32(SCREENING), np.float32(0.0))
    weights = []
    for axis in (0, 1):
        watch.check()
        weight, step = _edges(copies, mine, inside, strips, axis)
        first = (slice(-1), slice(None)) if axis == 0 else (slice(None), slice(-1))
        second = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        step *= weight[..., None]
        right[first] -= step
        right[second] += step
        both = inside[first] & inside[second]
        mass[first] += weight * (inside[first] & ~both)
        mass[second] += weight * (inside[second] & ~both)
        weights.append(weight * both)
    right *= inside[..., None]
    out = np.zeros((*hole.shape, 3), np.float32)
    planes = np.ascontiguousarray(np.moveaxis(right, -1, 0))
    out[box] = np.moveaxis(solve(System(weights[0], weights[1], mass, planes), watch), 0, -1)
    return out
