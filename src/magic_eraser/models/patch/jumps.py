"""Where two pieces of a fill meet: by how much the lines that cross from one into the other miss each other."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.inpainter import Pixels
from magic_eraser.models.patch.seams import Labels, turning
from magic_eraser.models.patch.windows import Bools, Floats, Positions

STEEP = 8.0  # levels a pixel of working size, from which on an edge is followed
BESIDE = 2  # pixels from the unknown at which a slope is not one of the picture
MOST_POINTS = 4000  # the steepest
ACROSS, ALONG = 5, 2  # samples of a strip across a line and along it, either way
THIN_OUT = 2  # steps from one sample to the next along a line
CEILING = 40.0  # levels at which a sample misses altogether
LEAST_KNOWN = 0.4  # of the samples
PLAIN = 10.0  # levels, deviation of a strip in which there is no line
ALIKE = 0.33  # of the variance may be left where the line has been found again
NEARER = 0.5  # of the misfit as it is
REST = 4.0  # squared levels that a sample of jump costs, squared
BATCH = 16_384  # strips at once: `cv2.remap` takes no more rows
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601

Pair = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Seams:
    """Neighbouring pixels p and q, n of them, whose labels differ; one of them at least is in the hole.

    Attributes:
        axis: 0 where q is below p, 1 where it is on its right.
        y, x: (n,), of p.
    """

    axis: int
    y: Positions
    x: Positions

    def ends(self) -> tuple[tuple[Positions, Positions], tuple[Positions, Positions]]:
        """Rows and columns of p, and of q."""
        return (self.y, self.x), (self.y + (self.axis == 0), self.x + (self.axis == 1))

    def some(self, at: Positions) -> Seams:
        return Seams(self.axis, self.y[at], self.x[at])


def pairs(axis: int) -> tuple[Pair, Pair]:
    """All p and all q of an axis, as slices of (h, w)."""
    every = slice(None)
    return (
        ((slice(-1), every), (slice(1, None), every))
        if axis == 0
        else ((every, slice(-1)), (every, slice(1, None)))
    )


def seams_along(axis: int, hole: Bools, labels: Labels, laid: Bools) -> Seams:
    """All along one axis, but those within `laid`, bool (h, w): strips whose labels turn on purpose."""
    first, second = pairs(axis)
    differ = (labels[(slice(None), *first)] != labels[(slice(None), *second)]).any(0)
    y, x = np.nonzero(differ & (hole[first] | hole[second]) & ~turning(labels, laid, first, second))
    return Seams(axis, y, x)


def slopes(image: NDArray[np.uint8], hole: Bools) -> Floats:
    """Levels a pixel, downwards and to the right, (2, h, w); zero beside the hole. `image`: uint8 (h, w, 3)."""
    light = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.0)
    found = np.stack([cv2.Sobel(light, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (0, 1)])
    side = 2 * BESIDE + 1
    found[:, cv2.dilate(hole.astype(np.uint8), np.ones((side, side), np.uint8)) > 0] = 0.0
    return np.asarray(found, np.float32)


def slopes_of(seams: Seams, labels: Labels, slope: Floats) -> tuple[Floats, Floats]:
    """Of what p and q copy, (2, n) each."""
    of_p, of_q = (slope[:, y + labels[0][y, x], x + labels[1][y, x]] for y, x in seams.ends())
    return of_p, of_q


@dataclass(frozen=True, slots=True)
class Probe:
    """How jumps are measured.

    Attributes:
        image: uint8 or uint16 (H, W, C). unknown: bool (H, W).
        scale: its pixels per pixel of working size, rows and columns.
        step: its pixels from one sample to the next.
        reach: samples by which a line may jump at most.
    """

    image: Pixels
    unknown: Bools
    scale: tuple[float, float]
    step: float
    reach: int

    def jumps(self, seams: Seams, slope: tuple[Floats, Floats], offsets: Floats) -> tuple[Floats, Bools]:
        """How much further q is to be shifted than p so that a line goes on.

        The line is looked for in the other copy along its normal, round where the steeper of the two has it.

        Args:
            seams: n of them.
            slope: of `slopes_of`.
            offsets: float32 (2, h, w), pixels of `image` from each pixel to what it copies.

        Returns:
            (2, n) in pixels of `image`, and where a line was found, bool (n,).
        """
        count = 2 * self.reach + 1
        if not seams.y.size:
            return np.zeros((2, 0), np.float32), np.zeros(0, np.bool_)
        p, q = seams.ends()
        of_p = np.hypot(*slope[0]) >= np.hypot(*slope[1])
        normal = np.where(of_p, *slope)
        normal /= np.maximum(np.hypot(*normal), 1e-6)
        place = np.stack(
            [(np.where(of_p, a, b) + 0.5) * s - 0.5 for a, b, s in zip(p, q, self.scale, strict=True)]
        ).astype(np.float32)
        by_p, by_q = (offsets[:, y, x] for y, x in (p, q))
        target, seen = self._strips(place + np.where(of_p, by_p, by_q), normal, ACROSS)
        source, known = self._strips(place + np.where(of_p, by_q, by_p), normal, ACROSS + self.reach)
        cost = np.empty((len(of_p), count), np.float32)
        for index in range(count):
            window = slice(index, index + target.shape[1])
            both = seen & known[:, window]
            miss = np.minimum(np.abs(source[:, window] - target), CEILING)
            number = np.count_nonzero(both, axis=(1, 2))
            mean = np.einsum("nij,nij->n", miss * both, miss) / np.maximum(number, 1)
            cost[:, index] = np.where(number >= LEAST_KNOWN * target[0].size, mean, np.inf)
        moves = (np.arange(count) - self.reach).astype(np.float32)
        best = (cost + REST * moves**2).argmin(1)
        least = cost[np.arange(len(best)), best]
        variance = _variance(target, seen)
        found = (variance >= PLAIN**2) & (least <= ALIKE * variance)
        found &= (best == self.reach) | (least <= NEARER * cost[:, self.reach])
        jump = moves[best] * self.step * normal
        return np.where(of_p, jump, -jump).astype(np.float32), found

    def _strips(self, place: Floats, normal: Floats, reach: int) -> tuple[Floats, Bools]:
        """Luminance 0..255 of samples laid across lines, (n, 2 reach + 1, 2 ALONG + 1), and which are known."""
        across = (np.arange(-reach, reach + 1) * self.step)[:, None]
        along = (np.arange(-ALONG, ALONG + 1) * THIN_OUT * self.step)[None, :]
        v, u = normal[:, :, None, None]
        y = (place[0][:, None, None] + across * v - along * u).astype(np.float32)
        x = (place[1][:, None, None] + across * u + along * v).astype(np.float32)
        shape, unit = y.shape, np.float32(255 / np.iinfo(self.image.dtype).max)
        y, x = y.reshape(len(y), -1), x.reshape(len(x), -1)
        light, known = np.empty(y.shape, np.float32), np.empty(y.shape, np.bool_)
        for first in range(0, len(y), BATCH):
            some = slice(first, first + BATCH)
            read = cv2.remap(self.image, x[some], y[some], cv2.INTER_LINEAR)
            light[some] = np.asarray(read)[..., :3].astype(np.float32) @ (LUMINANCE * unit)
            known[some] = self._known(x[some], y[some])
        return light.reshape(shape), known.reshape(shape)

    def _known(self, x: Floats, y: Floats) -> Bools:
        """Whether all four pixels that a sample is read from are known."""
        marked = self.unknown.view(np.uint8)
        hidden = np.zeros(x.shape, np.bool_)
        left, top = np.floor(x), np.floor(y)
        for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
            found = cv2.remap(
                marked,
                left + np.float32(dx),
                top + np.float32(dy),
                cv2.INTER_NEAREST,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=1,
            )
            hidden |= np.asarray(found) > 0
        return ~hidden


def _variance(strips: Floats, known: Bools) -> Floats:
    """(n,), of the known samples of each."""
    number = np.maximum(np.count_nonzero(known, axis=(1, 2)), 1)
    mean = np.einsum("nij,nij->n", strips, known) / number
    away = (strips - mean[:, None, None]) * known
    return np.asarray(np.einsum("nij,nij->n", away, away) / number, np.float32)
