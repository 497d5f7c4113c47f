"""Crops and holes to LaMa's network and back, at the size that the effort asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch

from magic_eraser.imaging.regions import shrink
from magic_eraser.models.card import ModelCard
from magic_eraser.models.framing import common_size, padded, to_pixels
from magic_eraser.models.inpainter import Effort, Hole, InpaintOptions, Pixels
from magic_eraser.models.lama.merge import merged
from magic_eraser.models.lama.network import CELL, Network, Window
from magic_eraser.models.watch import Watch

LEAST_SIDE = 16
"""Pixels: the blocks mirror a border of one element, so they need two."""
LEAST_SHRUNK = 256
"""Longest side, in pixels, that a crop is not shrunk below: what comes back from less is a blur."""
FAST_SCALE = 1.4
"""By which a crop is shrunk for half the time."""
BAND, LEAST_BAND = 2**17, 64
"""Pixels of a hole that a processor decodes at a time, in steps of about 0.03 s of one core; and rows at least."""
COARSE_SHARE = 0.2
"""Of the time of both fills, what the one at half the size takes."""


class LamaInpainter:
    """The network on a device; see `load`.

    Args:
        card: of the model.
        network: with its weights.
        low_memory: work at half the size, one crop at a time.
    """

    def __init__(self, card: ModelCard, network: Network, *, low_memory: bool = False) -> None:
        self.card = card
        self.network = network
        self._low_memory = low_memory

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        return self.inpaint_batch([image], [hole], options, watch)[0]

    def inpaint_batch(
        self, images: Sequence[Pixels], holes: Sequence[Hole], options: InpaintOptions, watch: Watch
    ) -> list[Pixels]:
        """See `BatchInpainter`. On a GPU one pass for all that are of one kind of work; on a processor, whose time is
        the same either way, one crop after the other, each at its own size."""
        watch.check()
        scale = 2.0 if self._low_memory else FAST_SCALE if options.effort is Effort.FAST else 1.0
        together = self.network.on_gpu and not self._low_memory
        size = len(images) if together else 1
        answers: list[Pixels] = []
        for first in range(0, len(images), size):
            part = watch.part(first / len(images), (first + size) / len(images))
            some, unknown = images[first : first + size], holes[first : first + size]
            if options.effort is Effort.BEST and not self._low_memory:
                answers += self._fill_twice(some, unknown, part)
            else:
                answers += self._fill_smaller(some, unknown, scale, part)
        return answers

    def close(self) -> None:
        del self.network

    def _fill_twice(self, images: Sequence[Pixels], holes: Sequence[Hole], watch: Watch) -> list[Pixels]:
        """At half the size for the structure of a large hole, at full size for detail; small crops once."""
        longest = max(max(hole.shape) for hole in holes)
        if self.card.working_size is None or longest <= self.card.working_size:
            return self._fill(images, holes, watch)
        coarse = self._fill_smaller(images, holes, 2.0, watch.part(0.0, COARSE_SHARE))
        fine = self._fill(images, holes, watch.part(COARSE_SHARE, 1.0))
        return [merged(*each) for each in zip(images, holes, coarse, fine, strict=True)]

    def _fill_smaller(
        self, images: Sequence[Pixels], holes: Sequence[Hole], scale: float, watch: Watch
    ) -> list[Pixels]:
        """As `_fill`, shrunk as far as sense allows and enlarged again."""
        scale = min(scale, max(max(hole.shape) for hole in holes) / LEAST_SHRUNK)
        if scale <= 1:
            return self._fill(images, holes, watch)
        small = [shrink(image, hole, scale) for image, hole in zip(images, holes, strict=True)]
        fills = self._fill([image for image, _ in small], [hole for _, hole in small], watch)
        return [_enlarged(*each) for each in zip(fills, small, images, strict=True)]

    @torch.inference_mode()
    def _fill(self, images: Sequence[Pixels], holes: Sequence[Hole], watch: Watch) -> list[Pixels]:
        """One pass of the network, for crops that are padded to one size."""
        height, width = size = common_size(holes, self.card.multiple_of, least=LEAST_SIDE)
        pictures = torch.from_numpy(np.stack([padded(image, size) for image in images])).float() / 255
        masks = torch.from_numpy(np.stack([padded(hole, size) for hole in holes])).float()[..., None]
        rows, columns = _extent(holes, 1), _extent(holes, 0)
        bands = [rows] if self.network.on_gpu else _bands(rows, columns)
        step = _steps(self.network.feature_steps + len(bands) * self.network.colour_steps, watch)
        features = self.network.features(pictures, masks, step)
        answers = np.zeros((len(holes), height, width, 3), np.float32)
        for top, bottom in bands:
            window = Window.around((top, bottom), columns, (height // CELL, width // CELL))
            part = self.network.colours(features, window, step).cpu().numpy()
            inner = part[:, top - CELL * window.top :, columns[0] - CELL * window.left :]
            place = answers[:, top:bottom, slice(*columns)]
            place[...] = inner[:, : place.shape[1], : place.shape[2]]
        watch.check()
        return [to_pixels(answer, like=image) for answer, image in zip(answers, images, strict=True)]


def _steps(count: int, watch: Watch) -> Callable[[bool], None]:
    """What the network calls: between the parts of a step to be stopped, behind each of `count` steps to be heard."""
    done = 0

    def step(whole: bool) -> None:
        nonlocal done
        if not whole:
            watch.check()
            return
        done += 1
        watch.progress(done / count)

    return step


def _extent(holes: Sequence[Hole], across: int) -> tuple[int, int]:
    """From the first line that any hole touches to behind the last."""
    lines = [np.flatnonzero(hole.any(axis=across)) for hole in holes]
    return min(int(line[0]) for line in lines), max(int(line[-1]) for line in lines) + 1


def _bands(rows: tuple[int, int], columns: tuple[int, int]) -> list[tuple[int, int]]:
    """Those rows in parts of about `BAND` pixels, so that the work between them can stop."""
    height = max(LEAST_BAND, BAND // (columns[1] - columns[0]))
    return [(top, min(rows[1], top + height)) for top in range(rows[0], rows[1], height)]


def _enlarged(fill: Pixels, small: tuple[Pixels, Hole], image: Pixels) -> Pixels:
    """A fill at the size of the crop that it was made for. Beside the hole the crop itself is enlarged with it."""
    seen, hole = small
    whole = np.where(hole[..., None], fill, seen)
    enlarged: Pixels = cv2.resize(whole, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_CUBIC)
    return enlarged
