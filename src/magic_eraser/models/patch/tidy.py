"""Labels of a finished fill in larger pieces, where that changes nothing that can be seen.

Every border between pieces is a place where full-size copies must be feathered, and lose their grain.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.seams import Labels, turning
from magic_eraser.models.patch.windows import Bools
from magic_eraser.models.watch import Watch

ROUNDS = 4
GLUE = 24  # pixels of a piece that is none
ALIKE = 10  # levels in any channel by which the copy may change
AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def tidy(image: NDArray[np.uint8], hole: Bools, labels: Labels, laid: Bools, watch: Watch) -> Labels:
    """Give a pixel the label that most of its neighbours have, if the copy looks the same.

    Args:
        image: uint8 (H, W, 3). hole: bool (H, W). labels: see `Labels`.
        laid: as for `absorb`.

    Returns:
        New labels; every copied pixel is known.
    """
    height, width = hole.shape
    stride = width + 2
    known = np.pad(~hole, 1).ravel()
    colours = np.pad(image, ((1, 1), (1, 1), (0, 0))).reshape(-1, 3).astype(np.int16)
    # a label as one step through the padded picture; known pixels have none
    step = np.pad(labels[0].astype(np.int64) * stride + labels[1], 1).ravel()
    inside = np.zeros((height + 2, stride), np.bool_)
    inside[1:-1, 1:-1] = hole
    around = np.array([dy * stride + dx for dy, dx in AROUND])
    at = np.flatnonzero(inside)
    first = colours[at + step[at]]
    number = np.zeros(len(step), np.int64)
    number[at] = np.arange(len(at))
    usable = np.zeros(len(step), np.bool_)
    usable[at] = ~laid[hole]
    active = at[usable[at] & _beside_others(step.reshape(height + 2, stride)).ravel()[at]]
    for _ in range(ROUNDS):
        watch.check()
        near = active[:, None] + around
        theirs = np.where(usable[near], step[near], 0)
        mine = step[active]
        differ = (theirs != mine[:, None]) & (theirs != 0)
        some = np.flatnonzero(differ.any(1))
        active, theirs, mine = active[some], theirs[some], mine[some]
        if not active.size:
            break
        votes = (theirs[:, :, None] == theirs[:, None, :]).sum(2, dtype=np.int8)
        votes[theirs == 0] = 0
        best = votes.argmax(1)
        rows = np.arange(len(active))
        wanted = theirs[rows, best]
        enough = (votes[rows, best] > (theirs == mine[:, None]).sum(1)) & (wanted != mine)
        enough &= _reaches(active, wanted, stride, height)
        pick = np.flatnonzero(enough)
        source = active[pick] + wanted[pick]
        fits = known[source]
        fits &= (np.abs(colours[source] - first[number[active[pick]]]) <= ALIKE).all(1)
        step[active[pick[fits]]] = wanted[pick[fits]]
    out = np.zeros_like(labels)
    y, x = np.divmod(at, stride)
    v, u = np.divmod(at + step[at], stride)
    out[0][y - 1, x - 1], out[1][y - 1, x - 1] = v - y, u - x
    return out


def _beside_others(step: NDArray[np.int64]) -> Bools:
    """Where any of the eight neighbours differs."""
    differ = np.zeros(step.shape, np.bool_)
    down = step[1:] != step[:-1]
    differ[1:] |= down
    differ[:-1] |= down
    across = step[:, 1:] != step[:, :-1]
    differ[:, 1:] |= across
    differ[:, :-1] |= across
    # of a corner's neighbours one at least differs from it or from the corner beyond
    return np.asarray(cv2.dilate(differ.view(np.uint8), np.ones((3, 3), np.uint8))) > 0


def _reaches(at: NDArray[np.intp], step: NDArray[np.int64], stride: int, height: int) -> Bools:
    """Whether a step from a place in the padded picture ends in the picture."""
    found: Bools = (at + step >= 0) & (at + step < stride * (height + 2))
    return found


def absorb(hole: Bools, labels: Labels, laid: Bools) -> Labels:
    """Give the pixels of small pieces the label of the nearest larger one, if its copy is known.

    Small pieces are glue between others that do not fit; where those are moved until they fit, glue is in the way.

    Args:
        hole: bool (H, W). labels: see `Labels`.
        laid: bool (H, W), strips along continued contours: they stay as they are, and are nobody's neighbours.

    Returns:
        New labels; every copied pixel is known.
    """
    pieces = pieces_of(hole, labels, laid)
    small = hole & ~laid & (np.bincount(pieces.ravel())[pieces] < GLUE)
    large = hole & ~small & ~laid
    out = labels.copy()
    if not small.any() or not large.any():
        return out
    others = (~large).view(np.uint8)
    _, cells = cv2.distanceTransformWithLabels(others, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    at = np.flatnonzero(large)
    of_cell = np.zeros(int(cells.max()) + 1, np.intp)
    of_cell[cells.ravel()[at]] = at
    y, x = np.nonzero(small)
    step = labels.reshape(2, -1)[:, of_cell[cells[y, x]]]
    v, u = y + step[0], x + step[1]
    inside = (v >= 0) & (v < hole.shape[0]) & (u >= 0) & (u < hole.shape[1])
    fine = inside & ~hole[np.where(inside, v, 0), np.where(inside, u, 0)]
    out[:, y[fine], x[fine]] = step[:, fine]
    return out


def pieces_of(hole: Bools, labels: Labels, laid: Bools) -> NDArray[np.intp]:
    """Numbers (H, W) of connected pixels whose labels differ by one pixel at most from one to the next, or that are
    `laid` as a strip; 0 is known."""
    height, width = hole.shape
    grid = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
    grid[::2, ::2] = hole
    down = (np.abs(labels[:, 1:] - labels[:, :-1]) <= 1).all(0)
    every = slice(None)
    down |= turning(labels, laid, (slice(1, None), every), (slice(-1), every))
    grid[1::2, ::2] = down & hole[1:] & hole[:-1]
    across = (np.abs(labels[:, :, 1:] - labels[:, :, :-1]) <= 1).all(0)
    across |= turning(labels, laid, (every, slice(1, None)), (every, slice(-1)))
    grid[::2, 1::2] = across & hole[:, 1:] & hole[:, :-1]
    _, numbers = cv2.connectedComponents(grid, connectivity=4)
    return np.asarray(numbers[::2, ::2], np.intp)
