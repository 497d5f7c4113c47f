"""Which crops go into one call of a model that takes several."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

SIDES = (128, 192, 256, 384, 512, 768, 1024)
"""Sides that crops are brought to, as a model sees them, so that few sizes are left (`find_regions(sides=...)`)."""
WASTE = 1.3
"""Pixels that a model may be given over those of the crops: each crop is padded to the largest of its call."""
Plan = tuple[float, list[int]]
"""Pixels, and where each call begins."""


def group(shapes: Sequence[tuple[int, int]], most: int, multiple_of: int = 1) -> list[list[int]]:
    """Crops in as few calls as their sizes allow.

    Args:
        shapes: (h, w) of each crop as the model sees it, pixels.
        most: crops in one call, >= 1.
        multiple_of: the model pads both sides to it.

    Returns:
        Indices into `shapes`, each once, call by call, the largest crops first. All calls together, each crop padded to
        the common size of its call, hold at most `WASTE` times the pixels that the crops have when padded alone.
    """
    padded = [(_up(height, multiple_of), _up(width, multiple_of)) for height, width in shapes]
    order = sorted(range(len(shapes)), key=lambda k: (-max(padded[k]), -min(padded[k]), padded[k], k))
    sizes = [padded[k] for k in order]
    limit = WASTE * sum(height * width for height, width in sizes)
    # the plan of least pixels for the first n crops, n = 0.., in ever more calls
    least: list[Plan] = [(0.0, []), *[(float("inf"), [])] * len(sizes)]
    while least[-1][0] > limit:
        least = [(0.0, [])] + [_best_end(least, sizes, n, most) for n in range(1, len(sizes) + 1)]
    starts = least[-1][1]
    return [order[start:end] for start, end in pairwise([*starts, len(order)])]


def _up(side: int, multiple_of: int) -> int:
    return -(-side // multiple_of) * multiple_of


def _best_end(before: Sequence[Plan], sizes: Sequence[tuple[int, int]], count: int, most: int) -> Plan:
    """The cheapest way to the first `count` crops with one call more than `before` has, or as many."""
    best = before[count]
    height = width = 0
    for start in range(count - 1, max(-1, count - most - 1), -1):
        height, width = max(height, sizes[start][0]), max(width, sizes[start][1])
        pixels = before[start][0] + height * width * (count - start)
        if pixels < best[0]:
            best = (pixels, [*before[start][1], start])
    return best
