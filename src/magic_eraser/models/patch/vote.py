"""Colours of the hole from all patches that cover a pixel, and in the end one source pixel for each.

Wexler, Shechtman, Irani 2007, "Space-Time Completion of Video": every covering patch votes with the colour it
proposes, the better match and the patch nearer to the known the more.
"""

from __future__ import annotations

import cv2
import numpy as np

from magic_eraser.models.patch.match import Matcher
from magic_eraser.models.patch.parallel import Crew, pieces
from magic_eraser.models.patch.pyramid import Level
from magic_eraser.models.patch.windows import PAD, REACH, SIDE, Floats, Positions, patches_at, steps, windows

CONFIDENCE = float(np.log(1.7))  # a vote's weight falls by 1.7 for each pixel into the hole
DEEPEST = 100.0  # deeper than that all are alike (and 1.7^-195 is no float32)
SHARPNESS = 0.4  # weight exp(-(cost - least) / (0.4 * mean)); 0.3 makes noisier seams (1.24 against 1.20)
FINENESS, LARGEST = 32, 32767  # colours are kept in steps of 1/32, in half the memory
PIXELS = 1024  # at a time: what they fetch stays in the second-level cache
NO_TARGET = np.float32(-1e4)  # logarithm of no confidence


def _box_sum(plane: Floats) -> Floats:
    total = cv2.boxFilter(plane, -1, (SIDE, SIDE), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(total, np.float32)


class Ballot:
    """Votes on one level; the level's known colours and confidence are looked up once.

    Args:
        level: its hole's features are replaced by `count`.
    """

    def __init__(self, level: Level, crew: Crew) -> None:
        self._level = level
        self._crew = crew
        channels = level.features.shape[2]
        # Rows of 16 bytes are fetched fastest; the number beside the colours sums the weights.
        self._colours = np.zeros((level.features.shape[0] * level.stride, max(8, channels + 1)), np.int16)
        for channel in range(channels):
            plane = np.rint(level.features[..., channel].ravel() * FINENESS)
            self._colours[:, channel] = np.clip(plane, -LARGEST, LARGEST, out=plane)
        self._colours[:, channels] = FINENESS
        self._steps = steps(level.stride)
        deep = cv2.distanceTransform(level.hole.astype(np.uint8), cv2.DIST_L2, 5)
        depth = np.pad(np.minimum(deep, DEEPEST), PAD).ravel()
        self._confidence = -CONFIDENCE * depth[level.targets]  # its logarithm
        self._inside = _box_sum(np.ones(level.hole.shape, np.float32))

    def _least_and_mean(self, image: Floats) -> tuple[Floats, Floats]:
        inner = image[PAD:-PAD, PAD:-PAD]
        least = cv2.erode(inner, np.ones((SIDE, SIDE), np.uint8))
        mean = _box_sum(inner) / self._inside
        hole = self._level.hole
        return np.asarray(least[hole], np.float32), np.asarray(mean[hole], np.float32)

    def count(self, matcher: Matcher) -> float:
        """Repaint the hole; tell by how much a number of it changed on average."""
        level = self._level
        height, stride, channels = level.features.shape
        difference = matcher.difference()  # with the price of offsets votes are blunt: seam 1.28 against 1.24
        image = np.zeros(height * stride, np.float32)
        image[level.targets] = difference
        least, mean = self._least_and_mean(image.reshape(height, stride))
        scale = -1.0 / (SHARPNESS * mean + 1e-3)
        # What a vote needs in 16 bytes, so that all 49 of a pixel are fetched as seven rows: cost, confidence; source.
        top, bottom = int(level.targets[0]) // stride - REACH, int(level.targets[-1]) // stride + REACH + 1
        targets = level.targets - top * stride
        votes = np.zeros((bottom - top, stride, 2), np.int64)
        prices = votes.view(np.float32).reshape(-1, 4)
        prices[:, 1] = NO_TARGET
        prices[targets, 0], prices[targets, 1] = difference, self._confidence
        votes.reshape(-1, 2)[targets, 1] = matcher.nearest[:-1]
        view = windows(votes)
        flat = level.features.reshape(-1, channels)
        parts = pieces(len(level.hole_at), PIXELS)
        changes = np.zeros(len(parts))

        def repaint(numbered: tuple[int, slice]) -> None:
            index, part = numbered
            at = level.hole_at[part]
            found = patches_at(view, at - top * stride, stride)
            price = found.view(np.float32)
            weight = price[:, 0::4] - least[part, None]
            weight *= scale[part, None]
            weight += price[:, 1::4]
            cv2.exp(weight, weight)
            source = found[:, 1::2] - self._steps
            colours = self._colours.take(source.ravel(), axis=0, mode="clip").astype(np.float32)
            fresh = np.matmul(weight[:, None], colours.reshape(*source.shape, -1))[:, 0]
            fresh = fresh[:, :channels] / np.maximum(fresh[:, channels : channels + 1], 1e-30)
            changes[index] = np.abs(fresh - flat[at]).sum()
            flat[at] = fresh

        self._crew.each(repaint, enumerate(parts))
        level.extend_border()
        return float(changes.sum() / (len(level.hole_at) * channels))

    def elect(self, matcher: Matcher) -> Positions:
        """For every hole pixel (n,) the flat position it copies: from its cheapest, most confident patch."""
        level = self._level
        price = np.append(np.log(matcher.cost[:-1] + 1.0) - self._confidence, np.inf).astype(np.float32)
        chosen = np.empty(len(level.hole_at), np.intp)

        def choose(part: slice) -> None:
            ids = level.number.take(level.hole_at[part, None] + self._steps)
            best = price.take(ids).argmin(1)
            patch = ids[np.arange(len(ids)), best]
            chosen[part] = matcher.nearest.take(patch) - self._steps.take(best)

        self._crew.each(choose, pieces(len(level.hole_at), PIXELS))
        return chosen
