"""Grow a hole to the rim of what it covers: a stroke a few pixels too narrow leaves a halo or a shadow's edge.

The border of every hole is unrolled: one row of colours per border pixel, along its normal, from inside the hole to
well beyond the rim. A pixel just outside counts as the object's where its colour is common just inside the hole and
rare in the ring further out (kernel densities of both, of the same stretch of border), and the hole grows as far as
the sum of that evidence says. No learning, no random numbers.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.imaging.border import DEPTH, Bools, Border, Floats, Ints, unroll
from magic_eraser.imaging.photo import Box, Photo

WORKING_SIDE = 1024  # a picture is looked at, and the growth counted, at about this size
REACH = 8  # most growth in working pixels: 8 px of a small picture, 32 px of 12 MP
RING = 14  # pixels beyond the reach that show what is to stay
BLOCK = 8  # border pixels that are compared with the same two sets of colours
STRETCH = np.arange(-20, 21, 4)  # where along the border those colours are taken
SIDES = 16  # places all round the contour where what is to stay is looked at as well
ELSEWHERE = (
    0.5  # how much that counts: false growth of generous strokes 0.15 to 0.06 px, rims regained 89 to 88 %
)
CHUNK = 128  # blocks at a time: 8 MB
NARROW, WIDE = 3.0, 6.0  # kernel width in Lab steps, on smooth and on textured surroundings
FLOOR = 0.02  # a share of colours below this says nothing
BEFORE = 3  # pixels inside the border that must be the object's for any growth
BEYOND = 1  # evidence that has not ended so far beyond the reach is a neighbour or a part left on purpose

SHARES = (0.0, 0.25, 0.5)
COSTS = (1.2, 0.8, 0.3)
GATES = (1.5, 0.8, 0.2)
"""By the share of the border that asks for growth: the evidence a pixel must bring, and the evidence just inside.

A stroke is tight or generous as a whole: on eroded object masks 0.5-1 of the border asked, on generous ones 0-0.17.
This took the growth of generous strokes from 0.35 to 0.20 px and kept the rims regained at 91 %.
"""
FIRST_COST, FIRST_GATE = 0.6, 0.5
POOL = 40  # border pixels' worth of the whole mask's share in that of one piece: specks say little alone
GAP = 8  # stretches this short between growing ones grow too: rims regained 85 to 91 %
ALONE = 3  # half of the shortest stretch that may grow
EDGE_SHARE, EDGE_STEP = 0.15, 10.0  # soft edge: still 15 % of a step of 10 Lab steps


def grow_to_rim(photo: Photo, hole: Bools, *, most: int | None = None) -> Bools:
    """The hole, grown where what lies just outside still belongs to what it covers.

    Args:
        photo: the picture, any layout and depth; only the surroundings of the hole are read.
        hole: bool (H, W), the picture's size; not written to.
        most: upper bound of the growth in pixels along either axis, None for about 8 px per 1,024 px of the
            picture's longer side.

    Returns:
        A new bool (H, W) that contains `hole`: equal to it where the stroke covers its object, where nothing or
        everything is marked, or where the mask is too ragged to be a stroke. The same for 8 and 16 bit.

    Raises:
        ValueError: the hole does not fit the picture, or `most` is negative.
    """
    if hole.shape != (photo.height, photo.width) or hole.dtype != np.bool_:
        raise ValueError(
            f"a hole of {hole.dtype} {hole.shape} does not fit {photo.width} x {photo.height} pixels"
        )
    if most is not None and most < 0:
        raise ValueError(f"most is 0 or more px, not {most}")
    grown = hole.copy()
    scale = max(1, round(max(hole.shape) / WORKING_SIDE))
    reach = REACH if most is None else min(REACH, -(-most // scale))
    left, top, width, height = cv2.boundingRect(grown.view(np.uint8))
    if not width or not reach or hole.all():
        return grown
    margin = (reach + RING + 4) * scale
    box = Box(
        max(left - margin, 0) // scale * scale,
        max(top - margin, 0) // scale * scale,
        min(left + width + margin, photo.width),
        min(top + height + margin, photo.height),
    )
    part = grown[box.slices]
    small = _shrink(part.view(np.uint8) * np.uint8(255), scale) > 127
    growth = _growth(_working(photo, box, scale), small, reach)
    if growth is None:
        return grown
    if most is not None:
        side = 2 * most + 1
        near = cv2.dilate(part.view(np.uint8), cv2.getStructuringElement(cv2.MORPH_RECT, (side, side)))
        part |= _enlarge(growth, scale, part.shape) & (near > 0)
    else:
        part |= _enlarge(growth, scale, part.shape)
    return hole.copy() if grown.all() else grown


def _working(photo: Photo, box: Box, scale: int) -> NDArray[np.uint8]:
    """The box at working size in 8 bits, (h', w', 3), read in bands so that no copy of the whole is made."""
    step = max(1, 256 // scale) * scale
    bands = []
    for top in range(box.top, box.bottom, step):
        rgb = photo.rgb(Box(box.left, top, box.right, min(top + step, box.bottom)))
        if rgb.dtype == np.uint16:
            rgb = ((rgb.astype(np.uint32) + 128) // 257).astype(np.uint8)
        bands.append(_shrink(rgb, scale))
    return np.concatenate(bands)


def _shrink(pixels: NDArray[Any], scale: int) -> NDArray[Any]:
    """Means of scale x scale pixels; the last row and column are repeated to whole blocks."""
    if scale == 1:
        return pixels
    height, width = pixels.shape[:2]
    size = (-(-width // scale), -(-height // scale))
    missing = [(0, size[1] * scale - height), (0, size[0] * scale - width)] + [(0, 0)] * (pixels.ndim - 2)
    if any(after for _, after in missing):
        pixels = np.pad(pixels, missing, mode="edge")
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _enlarge(field: Floats, scale: int, shape: tuple[int, ...]) -> Bools:
    """Where a field, in working pixels, is above 0 at full size: the outline is interpolated between pixels."""
    level = np.clip(field * 16 + 128, 0, 255).astype(np.uint8)
    if scale > 1:
        level = np.asarray(cv2.resize(level, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR))
    return np.asarray(level[: shape[0], : shape[1]] > 128)


def _growth(image: NDArray[np.uint8], hole: Bools, reach: int) -> Floats | None:
    """(h, w), above 0 in the hole and where it grows; None where nothing grows.

    Args:
        image: (h, w, 3) at working size.
        hole: (h, w).
        reach: most pixels.
    """
    border = Border.of(hole)
    if border is None:
        return None
    bits = hole.view(np.uint8)
    inside = cv2.distanceTransform(bits, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside, nearest = cv2.distanceTransformWithLabels(
        1 - bits, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    depth = np.clip(outside, 0, 6) - np.clip(inside, 0, 6)
    colours, valid = unroll(image, hole, depth, border, reach + RING)
    evidence = border.over(_evidence(colours, valid, border, reach), 2, np.mean)
    best, gate = _choose(evidence, border, reach)
    # Not by more than the half-width of that piece of the mask: specks and scratches grow by a pixel.
    side = 2 * reach + 1
    thick = cv2.dilate(inside, cv2.getStructuringElement(cv2.MORPH_RECT, (side, side)))[border.y, border.x]
    widest = np.zeros(int(border.owner.max()) + 1, np.float32)
    np.maximum.at(widest, border.owner, thick)
    limit = np.maximum(1, widest[border.owner] - 0.5).astype(np.intp)
    best = np.minimum(best, limit)
    best = np.minimum(_settle(best, gate, border.over(colours, 2, np.mean)), np.minimum(limit, reach))
    best = border.over(best, 3, np.median)
    best = border.over(border.over(best, GAP, np.max), GAP, np.min)
    best = border.over(border.over(best, ALONE, np.min), ALONE, np.max)
    if not best.any():
        return None
    amount = np.zeros(hole.shape, np.float32)
    np.maximum.at(amount, (border.y, border.x), best.astype(np.float32))
    table = np.zeros(int(nearest.max()) + 1, np.float32)
    table[nearest[border.y, border.x]] = amount[border.y, border.x]
    grows = table[nearest]
    return np.where(hole, np.float32(1), np.where(grows > 0, grows + np.float32(0.5) - outside, -1))


def _evidence(colours: Floats, valid: Bools, border: Border, reach: int) -> Floats:
    """(n, BEFORE + 1 + reach + BEYOND): log ratio of the colour's density inside to that in the ring.

    Columns are BEFORE pixels inside the border, the border, and those outside; -1 where nothing can be said.
    """
    at = np.arange(len(border.x)) - border.first
    start = np.flatnonzero(at % BLOCK == 0)
    first, length = border.first[start], border.length[start]
    query = first[:, None] + (at[start][:, None] + np.arange(BLOCK)) % length[:, None]
    along = first[:, None] + (at[start][:, None] + BLOCK // 2 + STRETCH) % length[:, None]
    around = np.arange(1, SIDES, dtype=np.intp) * length[:, None] // SIDES
    round_about = np.asarray(first[:, None] + (at[start][:, None] + around) % length[:, None], np.intp)
    columns = slice(DEPTH - BEFORE, DEPTH + 1 + reach + BEYOND)
    found = np.full((len(border.x), BEFORE + 1 + reach + BEYOND), -1, np.float32)
    for k in range(0, len(start), CHUNK):
        q, near = query[k : k + CHUNK], along[k : k + CHUNK]
        asked = colours[q][:, :, columns].reshape(len(q), -1, 3)
        ring, in_ring = _flat(colours, valid, near, slice(DEPTH + reach + 1, None))
        body, in_body = _flat(colours, valid, near, slice(0, DEPTH))
        little = in_ring.sum(axis=1) < 8
        width = np.clip(0.8 * _spread(ring, in_ring), NARROW, WIDE)
        ratio = _density(asked, body, in_body, width) + FLOOR
        rare = _density(asked, ring, in_ring, width)
        # A strip of ground between a stroke and a neighbour is rare here, and common on the stroke's other sides.
        ring, in_ring = _flat(colours, valid, round_about[k : k + CHUNK], slice(DEPTH + reach + 1, None, 2))
        elsewhere = _density(asked, ring, in_ring, width)
        ratio /= np.maximum(rare, ELSEWHERE * elsewhere) + FLOOR
        ratio = np.log(ratio)
        ratio[little | (in_body.sum(axis=1) < 1)] = -1
        found[q.reshape(-1)] = ratio.reshape(-1, found.shape[1])
    return np.where(valid[:, columns], found, np.float32(-1))


def _flat(colours: Floats, valid: Bools, rows: Ints, columns: slice) -> tuple[Floats, Floats]:
    """The colours of some rows and columns for each block, (blocks, m, 3), and 1 or 0 for valid, (blocks, m)."""
    taken = colours[:, columns][rows]
    known = valid[:, columns][rows].astype(np.float32)
    return taken.reshape(len(rows), -1, 3), known.reshape(len(rows), -1)


def _spread(samples: Floats, known: Floats) -> Floats:
    """(blocks,): standard deviation of the known samples, over the three channels together."""
    count = np.maximum(known.sum(axis=1), 1)[:, None]
    middle = (samples * known[..., None]).sum(axis=1) / count
    away = ((samples - middle[:, None]) ** 2).sum(axis=2) * known
    return np.asarray(np.sqrt(away.sum(axis=1) / count[:, 0]), np.float32)


def _density(asked: Floats, samples: Floats, known: Floats, width: Floats) -> Floats:
    """(blocks, k), 0..1: how common each asked colour, (blocks, k, 3), is among the known samples."""
    away = (asked**2).sum(axis=2)[:, :, None] - 2 * asked @ samples.transpose(0, 2, 1)
    away += (samples**2).sum(axis=2)[:, None]
    kernel = np.exp(away / (-2 * width**2)[:, None, None])
    total = (kernel @ known[..., None])[..., 0]
    return np.asarray(total / np.maximum(known.sum(axis=1), 1)[:, None], np.float32)


def _choose(evidence: Floats, border: Border, reach: int) -> tuple[Ints, Bools]:
    """(n,) pixels to grow by, 0..reach, and (n,) whether the object reaches the border at all."""
    reaches = evidence[:, 1 : BEFORE + 1].mean(axis=1)
    sums = np.cumsum(evidence[:, BEFORE + 1 :], axis=1)
    steps = np.arange(1, sums.shape[1] + 1, dtype=np.float32)

    def chosen(cost: Any, gate: Any) -> Ints:
        gains = sums - np.asarray(cost, np.float32).reshape(-1, 1) * steps
        best = gains.argmax(axis=1) + 1
        return np.where((gains.max(axis=1) > 0) & (reaches > gate) & (best <= reach), best, 0)

    asks = chosen(FIRST_COST, FIRST_GATE) > 0
    share = np.bincount(border.owner, asks) + POOL * asks.mean()
    share = (share / (np.bincount(border.owner) + POOL))[border.owner]
    gate = np.interp(share, SHARES, GATES)
    return chosen(np.interp(share, SHARES, COSTS), gate), reaches > gate


def _settle(best: Ints, gate: Bools, colours: Floats) -> Ints:
    """Up to two pixels more while the colour has not settled: antialiasing, blur, the soft end of a shadow."""
    row, at = np.arange(len(best)), DEPTH + best
    near = (colours[row, at - 1] + colours[row, at - 2]) / 2
    far = (colours[row, at + 3] + colours[row, at + 4]) / 2
    axis = near - far
    size = (axis**2).sum(axis=1)
    soft = gate & (size > EDGE_STEP**2)
    more = np.zeros_like(best)
    for k in (1, 2):
        share = ((colours[row, at + k] - far) * axis).sum(axis=1) / np.maximum(size, 1e-3)
        more += soft & (share > EDGE_SHARE) & (more == k - 1)
    return best + more
