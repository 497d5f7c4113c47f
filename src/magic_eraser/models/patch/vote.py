"""Colours of the hole from all patches that cover a pixel, and in the end one source pixel for each.

Wexler, Shechtman, Irani 2007, "Space-Time Completion of Video": every covering patch votes with the colour it
proposes, the better match and the patch nearer to the known the more.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from magic_eraser.models.patch.match import Matcher
from magic_eraser.models.patch.pyramid import Level
from magic_eraser.models.patch.windows import AREA, PAD, SIDE, Floats, Positions, steps
from magic_eraser.models.watch import Watch

CONFIDENCE = float(np.log(1.7))  # a vote's weight falls by 1.7 for each pixel into the hole
DEEPEST = 100.0  # deeper than that all are alike (and 1.7^-195 is no float32)
SHARPNESS = 0.5  # weight exp(-(cost - least) / (0.5 * mean)); sharper votes make noisier seams
TABLE = 160_000  # entries (pixels x 49) at a time: stays in the second-level cache
NO_TARGET = np.float32(3e4)


def _box_sum(plane: Floats) -> Floats:
    total = cv2.boxFilter(plane, -1, (SIDE, SIDE), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(total, np.float32)


class Ballot:
    """Votes on one level; the level's known colours and confidence are looked up once.

    Args:
        level: its hole's features are replaced by `count`.
    """

    def __init__(self, level: Level, watch: Watch) -> None:
        self._level = level
        self._watch = watch
        self._planes = [plane.ravel() for plane in np.moveaxis(level.features, -1, 0).copy()]
        self._steps = steps(level.stride)
        deep = cv2.distanceTransform(level.hole.astype(np.uint8), cv2.DIST_L2, 5)
        depth = np.pad(np.minimum(deep, DEEPEST), PAD).ravel()
        self._confidence = np.append(np.exp(-CONFIDENCE * depth[level.targets]), 0.0).astype(np.float32)

    def _tables(self) -> Iterator[tuple[slice, Positions]]:
        at = self._level.hole_at
        rows = TABLE // AREA
        for start in range(0, len(at), rows):
            self._watch.check()
            part = slice(start, min(start + rows, len(at)))
            yield part, self._level.number.take(at[part, None] + self._steps)

    def _least_and_mean(self, cost: Floats) -> tuple[Floats, Floats]:
        level = self._level
        image = np.zeros(level.features.shape[0] * level.stride, np.float32)
        image[level.targets] = cost[:-1]
        inner = image.reshape(-1, level.stride)[PAD:-PAD, PAD:-PAD]
        least = cv2.erode(inner, np.ones((SIDE, SIDE), np.uint8))
        mean = _box_sum(inner) / _box_sum(np.ones_like(inner))
        return np.asarray(least[level.hole], np.float32), np.asarray(mean[level.hole], np.float32)

    def count(self, matcher: Matcher) -> float:
        """Repaint the hole; tell by how much a number of it changed on average."""
        level, nearest = self._level, matcher.nearest
        matcher.compare()  # with the price of offsets votes are blunt: seam 1.28 against 1.24, stains in photo 6
        least, mean = self._least_and_mean(matcher.difference)
        scale = -1.0 / (SHARPNESS * mean + 1e-3)
        cost = matcher.difference.copy()
        cost[-1] = NO_TARGET
        flat = level.features.reshape(-1, len(self._planes))
        change = 0.0
        for part, ids in self._tables():
            weight = cost.take(ids)
            weight -= least[part, None]
            weight *= scale[part, None]
            np.exp(weight, out=weight)
            weight *= self._confidence.take(ids)
            weight /= np.maximum(weight.sum(1, keepdims=True), 1e-30)
            source = nearest.take(ids)
            source -= self._steps
            fresh = np.stack([np.einsum("nk,nk->n", weight, p.take(source)) for p in self._planes], 1)
            at = level.hole_at[part]
            change += float(np.abs(fresh - flat[at]).sum())
            flat[at] = fresh
        level.extend_border()
        return change / (len(level.hole_at) * len(self._planes))

    def elect(self, matcher: Matcher) -> Positions:
        """For every hole pixel (n,) the flat position it copies: from its cheapest, most confident patch."""
        price = matcher.cost + 1.0
        price[:-1] /= np.maximum(self._confidence[:-1], 1e-30)
        price[-1] = np.inf
        chosen = np.empty(len(self._level.hole_at), np.intp)
        for part, ids in self._tables():
            best = price.take(ids).argmin(1)
            patch = ids[np.arange(len(ids)), best]
            chosen[part] = matcher.nearest.take(patch) - self._steps.take(best)
        return chosen
