"""Content-aware fill without weights, as a model of the house."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from magic_eraser.errors import InvalidMask
from magic_eraser.models.card import ModelCard, Quality, Speed
from magic_eraser.models.inpainter import Effort, Hole, InpaintOptions, Pixels
from magic_eraser.models.patch.fill import Work, fill, finish
from magic_eraser.models.patch.seams import box_of, correct
from magic_eraser.models.patch.shrink import as_seen, shrink
from magic_eraser.models.patch.smooth import fill_smooth
from magic_eraser.models.patch.straighten import Strips, straighten
from magic_eraser.models.patch.thin import diffuse_whole, fill_thin
from magic_eraser.models.patch.tidy import absorb, tidy
from magic_eraser.models.patch.transfer import Plan, copy_direct, transfer
from magic_eraser.models.patch.windows import SIDE, Bools
from magic_eraser.models.thinness import thin_parts
from magic_eraser.models.watch import Watch


@dataclass(frozen=True, slots=True)
class _Size:
    """Working size: longer side of the crop in pixels, and hole pixels, for bounded time."""

    side: int
    most_hole: int


SIZES = {
    Effort.FAST: _Size(512, 100_000),
    Effort.BALANCED: _Size(768, 200_000),
    Effort.BEST: _Size(1152, 400_000),
}
WORK = {
    Effort.FAST: Work(rounds=(6, 4, 2, 1), finest=1, most=200_000),
    Effort.BALANCED: Work(),
    Effort.BEST: Work(rounds=(20, 12, 8, 5), finest=5, most=1_600_000),
}
WORTH_SHRINKING = 1.3  # shrinking by less gains nothing: the fill works at full size
SMALL = 16 * 2**20  # bytes of a picture that may as well be copied
OPACITY_RADIUS = 3  # pixels
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
    deep=True,
    alpha=True,
)


class PatchInpainter:
    """Fills a hole with patches of its surroundings; implements `Inpainter`.

    Thread-safe: a call keeps everything it makes to itself.

    Args:
        threads: cores that one fill may use, >= 1.
    """

    card: ModelCard = CARD

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        """Fill the hole.

        Args:
            image: uint8 or uint16, (H, W, 3) or with opacity as a fourth channel; not written to, and what it holds
                inside the hole is not looked at.
            hole: bool (H, W), True where unknown.
            options: `seed` chooses a variant; `effort` and `rough_when_late` are honoured;
                `radius` is that of the PDE where there is nothing to copy.
            watch: checked between rounds and chunks.

        Returns:
            A new array like `image`. Outside the hole it may hold zeros: a large picture is not copied.

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
        canvas = _Canvas(image, hole)
        rest, rng = hole, np.random.default_rng(options.seed)
        if rest.any():
            rest = _thin(canvas, rest, watch)
        if rest.any():
            rest = _smooth(canvas, rest, rng, watch)
        if rest.any():
            _patches(canvas, rest, options, rng, watch, self._threads)
        watch.progress(1.0)
        return canvas.out

    def close(self) -> None:
        """Nothing is held between calls."""


class _Canvas:
    """What is known of a picture, and what is to come out.

    Attributes:
        image: the caller's own array until something of a large picture is filled that others shall see.
        out: a new array like it. One that starts as zeros takes memory only where it is written to.
    """

    def __init__(self, image: Pixels, hole: Bools) -> None:
        self.image: Pixels = image
        self.out: Pixels = np.zeros(image.shape, image.dtype)
        if image.nbytes <= SMALL:
            self.merge()
            self.out[hole] = 0  # nobody shall see hidden pixels

    def merge(self, done: Bools | None = None) -> None:
        """What was written to `out`, where `done`, is known from now on."""
        if self.image is self.out:
            return
        known = np.array(self.image, order="C")
        if done is not None:
            known[done] = self.out[done]
        self.image = self.out = known


def _thin(canvas: _Canvas, hole: Bools, watch: Watch) -> Bools:
    """Fill the thin pieces; returns the rest."""
    part = _surroundings(hole)
    unknown = hole[part]
    thin = thin_parts(unknown, watch)
    if not thin.any():
        return hole
    canvas.merge()
    fill_thin(canvas.out[part][..., :3], unknown, thin, watch)
    _opacity(canvas.image[part], unknown, thin, canvas.out[part], watch)
    rest = hole.copy()
    rest[part] &= ~thin
    return rest


def _smooth(canvas: _Canvas, hole: Bools, rng: np.random.Generator, watch: Watch) -> Bools:
    """Fill what lies in smooth surroundings; returns the rest."""
    part = _surroundings(hole)
    unknown = hole[part]
    done = fill_smooth(canvas.image[part][..., :3], unknown, canvas.out[part][..., :3], rng, watch)
    if not done.any():
        return hole
    _opacity(canvas.image[part], unknown, done, canvas.out[part], watch)
    rest = hole.copy()
    rest[part] &= ~done
    if rest.any():
        canvas.merge(hole & ~rest)
    return rest


def _opacity(image: Pixels, hole: Bools, wanted: Bools, out: Pixels, watch: Watch) -> None:
    """The fourth channel, where there is one, of what a smooth fill gave its colours: smoothly continued."""
    if image.shape[2] < 4:
        return
    box = box_of(wanted, CARD.min_context)
    watch.check()
    plane = diffuse_whole(image[box][..., 3:], hole[box], OPACITY_RADIUS, watch)
    out[box][..., 3][wanted[box]] = plane[..., 0][wanted[box]]


def _patches(
    canvas: _Canvas,
    hole: Bools,
    options: InpaintOptions,
    rng: np.random.Generator,
    watch: Watch,
    threads: int,
) -> None:
    """Fill the hole, by copies that are found at working size; by a differential equation where there are none."""
    part = _surroundings(hole)
    image, unknown, out = canvas.image[part], hole[part], canvas.out[part]
    size = SIZES[options.effort]
    work = replace(WORK[options.effort], rough=options.rough_when_late)
    scale = max(unknown.shape) / size.side
    if scale <= WORTH_SHRINKING:
        scale = 1.0
    scale = max(scale, float(np.sqrt(np.count_nonzero(unknown) / size.most_hole)))
    watch.check()
    if scale == 1.0:
        seen = as_seen(image, unknown)
        found = fill(seen, unknown, rng, watch, threads, work)
        if found is not None:
            correction = finish(seen, unknown, found.labels, found.open_edges, watch)
            copy_direct(image, unknown, found.labels, correction, out)
            return
    elif min(unknown.shape) >= SIDE * scale and _enlarged(
        image, unknown, scale, out, rng, watch, threads, work
    ):
        return
    filled = diffuse_whole(image, unknown, options.radius, watch)
    np.copyto(out, filled, where=unknown[..., None])


def _enlarged(
    image: Pixels,
    hole: Bools,
    scale: float,
    out: Pixels,
    rng: np.random.Generator,
    watch: Watch,
    threads: int,
    work: Work,
) -> bool:
    """Fill a large hole into `out`; not where there is nothing to copy from."""
    small = shrink(image, hole, scale, watch)
    watch.check()
    if small.hole.all():
        return False
    found = fill(small.image, small.hole, rng, watch, threads, work)
    if found is None:
        return False
    if watch.rough:  # no time for lines
        labels, factors = found.labels, np.array(small.scale, np.float32)[:, None, None]
        offsets = labels * factors
    else:
        labels = tidy(small.image, small.hole, found.labels, found.laid, watch)
        labels = absorb(small.hole, labels, found.laid)
        watch.check()
        labels, offsets = straighten(small, labels, Strips(found.laid, found.exact), image, hole, watch)
    # not `finish`: here strips are as smooth as they are exact, and softening at working size gave them halos
    correction = correct(small.image, small.hole, labels, watch, found.laid)
    watch.progress(0.9)
    transfer(image, hole, Plan(small.hole, offsets, small.scale, correction), out, watch)
    return True


def _surroundings(hole: Bools) -> tuple[slice, slice]:
    """The hole's box with a margin of its longer side: half of it is visibly worse, more costs time."""
    rows, columns = box_of(hole, 0)
    longer = max(rows.stop - rows.start, columns.stop - columns.start)
    return box_of(hole, max(CARD.min_context, round(CARD.context * longer)))


__all__ = ["CARD", "PatchInpainter"]
