"""What a model's declared inputs leave open, found out by a run on a picture whose answer is known.

What is known is to come back as it went in. So the first of the usual conventions under which it does is the model's.
Float models are tried with 0..1 and 1 in the hole, then with the mask the other way round, then both with -1..1;
byte models with 255 where known (the pipeline of MI-GAN's authors), then the other way round; those of one input
with MI-GAN's packing, then LaMa's. Where none comes back, as from a model that answers the hole alone, the first
holds. An answer of integers, or one above 2, is in 0..255; one below -0.1 in -1..1; any other in 0..1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.inpainter import Hole, Pixels
from magic_eraser.models.onnx.form import Convention, Form, Packing, Values, to_unit

SIDE = 128
"""Of the picture, for models of no fixed size."""
SAME = 0.06
"""Mean difference of the known part (of 1) up to which it came back. A network that paints the whole picture
differs by 0.01 to 0.04; a wrong convention by 0.2 and more."""


def find_convention(form: Form, run: Callable[[Pixels, Hole, Convention], NDArray[np.float32]]) -> Convention:
    """The model's convention.

    Args:
        form: of its inputs.
        run: gives the answer (height, width, 3) for a picture, its hole and a convention, in the model's values.
    """
    size = form.size or (SIDE, SIDE)
    image, hole = example(size)
    tried = []
    for convention in candidates(form):
        answer = run(np.where(hole[..., None], np.uint8(0), image), hole, convention)
        found = replace(convention, answer=values_of(answer))
        off = np.abs(to_unit(answer, found.answer) - image.astype(np.float32) / 255)[~hole].mean()
        if off <= SAME:
            return found
        tried.append(found)
    return tried[0]


def candidates(form: Form) -> list[Convention]:
    """Conventions to try, the usual first."""
    if form.mask is None:
        return [Convention(packing=packing) for packing in (Packing.MASK_FIRST, Packing.MASK_LAST)]
    if form.image.dtype == np.uint8:
        return [Convention(one_is_hole=one_is_hole) for one_is_hole in (False, True)]
    return [
        Convention(values, one_is_hole)
        for values in (Values.UNIT, Values.SIGNED)
        for one_is_hole in (True, False)
    ]


def values_of(answer: NDArray[np.float32]) -> Values:
    """What an answer to `example` is in, which has nearly black and nearly white parts."""
    if answer.max() > 2:
        return Values.BYTES
    return Values.SIGNED if answer.min() < -0.1 else Values.UNIT


def example(size: tuple[int, int]) -> tuple[Pixels, Hole]:
    """A smooth picture from nearly black to nearly white, uint8 (height, width, 3), and a hole in its middle."""
    height, width = size
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    down, across = down / max(1, height - 1), across / max(1, width - 1)
    planes = np.stack([down, across, (2 - down - across) / 2], axis=2)
    hole = np.zeros(size, bool)
    hole[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8] = True
    return np.rint(planes * 245 + 5).astype(np.uint8), hole
