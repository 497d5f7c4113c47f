"""The picture at halved sizes, down to where the hole is only a few patches wide."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from magic_eraser.models.patch.windows import PAD, REACH, SIDE, Bools, Floats, Positions

COARSEST_RADIUS = 10.0
"""Stop halving at an inscribed radius of 3 x 3.5 px. Papers stop at the patch's radius: greedy, and worse by eye."""
LEAST_KNOWN = 0.6  # of a coarse pixel; with "any hole" structure beside the hole is lost
LEAST_SOURCES = 40


@dataclass(slots=True)
class Level:
    """One size of the picture, padded by PAD pixels so that flat positions need no bounds tests.

    Attributes:
        features: float32 (H + 2 PAD, W + 2 PAD, 5); the hole's part changes with every vote.
        hole: bool (H, W).
        hole_at: flat positions (n,) of hole pixels in the padded picture.
        sources: bool (N,), where a patch is wholly known and wholly inside.
        targets: flat positions (T,) of patches, inside the picture, that touch the hole.
        number: (N,), a target's index by its position, T elsewhere.
    """

    features: Floats
    hole: Bools
    hole_at: Positions
    sources: Bools
    targets: Positions
    number: Positions

    @property
    def stride(self) -> int:
        return int(self.features.shape[1])

    @property
    def side(self) -> int:
        return int(max(self.hole.shape))

    def source_at(self) -> Positions:
        """Flat positions of all source patches."""
        return np.flatnonzero(self.sources)

    def extend_border(self) -> None:
        """Repeat the edge pixels outwards, after the hole's colours changed."""
        f = self.features
        f[:PAD], f[-PAD:] = f[PAD], f[-PAD - 1]
        f[:, :PAD], f[:, -PAD:] = f[:, PAD : PAD + 1], f[:, -PAD - 1 : -PAD]


def _padded(mask: Bools) -> Bools:
    return np.pad(mask, PAD)


def level_of(features: Floats, hole: Bools) -> Level:
    """Level of unpadded features (H, W, 5) and hole (H, W)."""
    patch = np.ones((SIDE, SIDE), np.uint8)
    touched = cv2.dilate(hole.astype(np.uint8), patch) > 0
    sources = ~touched
    sources[:REACH] = sources[-REACH:] = False
    sources[:, :REACH] = sources[:, -REACH:] = False
    targets = np.flatnonzero(_padded(touched))
    padded = cv2.copyMakeBorder(features, PAD, PAD, PAD, PAD, cv2.BORDER_REPLICATE)
    number = np.full(padded.shape[0] * padded.shape[1], len(targets), np.intp)
    number[targets] = np.arange(len(targets))
    return Level(
        features=np.asarray(padded, np.float32),
        hole=hole,
        hole_at=np.flatnonzero(_padded(hole)),
        sources=_padded(sources).ravel(),
        targets=targets,
        number=number,
    )


def _halve(features: Floats, hole: Bools) -> tuple[Floats, Bools]:
    height, width = hole.shape
    odd = (height % 2, width % 2)
    known = np.pad((~hole).astype(np.float32), ((0, odd[0]), (0, odd[1])))
    real = np.pad(np.ones(hole.shape, np.float32), ((0, odd[0]), (0, odd[1])))
    size = ((width + 1) // 2, (height + 1) // 2)
    share = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(real, size, interpolation=cv2.INTER_AREA)
    out = np.empty((size[1], size[0], features.shape[2]), np.float32)
    for channel in range(features.shape[2]):  # INTER_AREA takes four channels at most
        plane = np.pad(features[..., channel], ((0, odd[0]), (0, odd[1]))) * known
        out[..., channel] = cv2.resize(plane, size, interpolation=cv2.INTER_AREA) / np.maximum(share, 1e-6)
    return out, share < LEAST_KNOWN * inside


def radius_of(hole: Bools) -> float:
    """Radius in pixels of the largest disc inside the hole; beyond the picture's edge counts as hole."""
    if hole.all():
        return float(max(hole.shape))
    return float(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5).max())


def depth_of(hole: Bools) -> int:
    """How many levels `build` will want for this hole, at least 1."""
    return 1 + max(0, int(np.ceil(np.log2(max(radius_of(hole), 1.0) / COARSEST_RADIUS))))


def build(features: Floats, hole: Bools) -> list[Level]:
    """The pyramid, finest first; empty where not even the finest level has enough source patches.

    Args:
        features: float32 (H, W, 5). hole: bool (H, W).
    """
    levels: list[Level] = []
    while True:
        level = level_of(features, hole)
        if np.count_nonzero(level.sources) < LEAST_SOURCES:
            return levels
        levels.append(level)
        if radius_of(hole) <= COARSEST_RADIUS:
            return levels
        features, hole = _halve(features, hole)
        if not hole.any():
            return levels
