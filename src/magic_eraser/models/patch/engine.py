"""Content-aware fill without weights, as a model of the house."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from magic_eraser.errors import InvalidMask
from magic_eraser.models.card import ModelCard, Quality, Speed
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.patch.features import shrink
from magic_eraser.models.patch.fill import fill
from magic_eraser.models.patch.seams import box_of
from magic_eraser.models.patch.smooth import fill_smooth
from magic_eraser.models.patch.thin import diffuse_whole, fill_thin
from magic_eraser.models.patch.transfer import enlarge
from magic_eraser.models.patch.windows import Bools
from magic_eraser.models.watch import Watch

WORKING_SIDE = 768
MOST_HOLE = 200_000  # hole pixels at working size, for bounded time: 768 px with 90 % missing took 6 s
WORTH_SHRINKING = 1.3  # shrinking by less gains nothing: the fill works at full size
CARD = ModelCard(
    id="patch",
    title="Content-aware fill: copies fitting patches of the picture itself; needs no weights",
    licence="Apache-2.0",
    source=(
        "Own code after Barnes et al. 2009 (PatchMatch), Wexler et al. 2007 (space-time completion), He & Sun 2012 "
        "(patch offsets), Newson et al. 2014 (texture features, onion-peel start), Criminisi et al. 2004 "
        "(exemplar-based fill), Perez et al. 2003 (Poisson editing), Bertalmio et al. 2001 (Navier-Stokes)"
    ),
    speed=Speed.FAST,
    quality=Quality.GOOD,
    context=1.0,
    min_context=64,
    working_size=None,
    deep=False,
)


class PatchInpainter:
    """Fills a hole with patches of its surroundings; implements `Inpainter`.

    Thread-safe: a call keeps everything it makes to itself.
    """

    card: ModelCard = CARD

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        """Fill the hole.

        Args:
            image: uint8 (H, W, 3); not written to, and what it holds inside the hole is not looked at.
            hole: bool (H, W), True where unknown.
            options: `seed` chooses a variant; `radius` is that of thin parts (Navier-Stokes).
            watch: checked between rounds and chunks.

        Returns:
            A new uint8 (H, W, 3), equal to `image` outside the hole.

        Raises:
            InvalidMask: no pixel is known.
            Cancelled, DeadlineExceeded: as `watch` says.
        """
        watch.progress(0.0)
        if hole.all():
            raise InvalidMask(
                "The mask covers the whole picture, so nothing is left to fill it from.",
                "蒙版覆盖了整张图片，没有可用于填充的内容。",
            )
        out: NDArray[np.uint8] = np.array(image, np.uint8, order="C")
        if not hole.any():
            return out
        out[hole] = 0  # hidden pixels must not be seen, and no NaN of theirs either
        rest = hole.copy()
        rng = np.random.default_rng(options.seed)
        part = _surroundings(rest)
        scale = max(rest[part].shape) / WORKING_SIDE
        watch.check()
        rest[part] &= ~fill_thin(out[part], rest[part], scale, options.radius, watch)
        watch.check()
        if rest.any():
            part = _surroundings(rest)
            rest[part] &= ~fill_smooth(out[part], rest[part], rng, watch)
        if rest.any():
            part = _surroundings(rest)
            picture = np.ascontiguousarray(out[part])
            np.copyto(out[part], _by_patches(picture, rest[part], options, rng, watch))
        watch.progress(1.0)
        return out

    def close(self) -> None:
        """Nothing is held between calls."""


def _by_patches(
    image: NDArray[np.uint8], hole: Bools, options: InpaintOptions, rng: np.random.Generator, watch: Watch
) -> NDArray[np.uint8]:
    """Filled copy of uint8 (H, W, 3), found at working size; by a differential equation where there are no patches."""
    height, width = hole.shape
    scale = WORKING_SIDE / max(height, width)
    if scale * WORTH_SHRINKING >= 1.0:
        scale = 1.0
    scale = min(scale, float(np.sqrt(MOST_HOLE / np.count_nonzero(hole))))
    if scale == 1.0:
        direct = fill(image, hole, rng, watch)
        return diffuse_whole(image, hole, options.radius, watch) if direct is None else direct.image
    small, small_hole = shrink(image, hole, (max(1, round(width * scale)), max(1, round(height * scale))))
    watch.check()
    found = None if small_hole.all() else fill(small, small_hole, rng, watch)
    if found is None:
        return diffuse_whole(image, hole, options.radius, watch)
    return enlarge(image, hole, found.labels, small_hole, found.image, found.correction, watch)


def _surroundings(hole: Bools) -> tuple[slice, slice]:
    """The hole's box with a margin of its longer side: half of it is visibly worse, more costs time."""
    rows, columns = box_of(hole, 0)
    longer = max(rows.stop - rows.start, columns.stop - columns.start)
    return box_of(hole, max(CARD.min_context, round(CARD.context * longer)))


__all__ = ["CARD", "PatchInpainter"]
