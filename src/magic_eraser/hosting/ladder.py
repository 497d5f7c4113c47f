"""What to do when memory runs out: a smaller crop, then coarser arithmetic, then the processor."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from magic_eraser.errors import OutOfMemory
from magic_eraser.hosting import memory
from magic_eraser.imaging.compose import enlarge
from magic_eraser.imaging.regions import shrink
from magic_eraser.models.inpainter import Hole, Inpainter, InpaintOptions, Pixels, inpaint_all
from magic_eraser.models.out_of_memory import is_out_of_memory
from magic_eraser.models.setup import Precision, Setup
from magic_eraser.models.watch import Watch
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

LEAST_SIDE = 256
"""Longest side, in pixels, below which a crop is not halved any more: what comes back from less is a blur."""


def rungs(setup: Setup) -> Iterator[Setup]:
    """Ways to run, each with less memory than the one before."""
    yield setup
    if setup.precision is not Precision.BFLOAT16:
        setup = replace(setup, precision=Precision.BFLOAT16)
        yield setup
    if _on_gpu(setup.device):
        yield replace(setup, device="cpu")


def _on_gpu(device: str) -> bool:
    if device != "auto":
        return device != "cpu"
    torch = sys.modules.get("torch")  # whoever runs on a GPU by it has imported it
    return torch is not None and bool(torch.cuda.is_available())


class Ladder:
    """A model that steps down when memory runs out, and stays where it found a footing.

    A batch is split first; a single crop is worked on at half its side, down to `LEAST_SIDE`; then the model is
    loaded anew with bfloat16, then on the processor. One call at a time.

    Args:
        load, setup: of the model.

    Raises:
        OutOfMemory: it cannot be loaded in any way; from the fills, too.
    """

    def __init__(self, load: Callable[[Setup], Inpainter], setup: Setup) -> None:
        self._load = load
        self._rungs = rungs(setup)
        self._setup = next(self._rungs)
        self._model: Inpainter | None = None
        self._too_many: int | None = None  # fewest pixels at once for which memory ran out
        self.card = self._ready().card

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        return self.inpaint_batch([image], [hole], options, watch)[0]

    def inpaint_batch(
        self, images: Sequence[Pixels], holes: Sequence[Hole], options: InpaintOptions, watch: Watch
    ) -> list[Pixels]:
        while True:
            filled = self._fill(images, holes, options, watch)
            if filled is not None:
                return filled
            self._step_down()

    def close(self) -> None:
        if self._model is not None:
            self._model.close()
            self._model = None

    def _fill(
        self, images: Sequence[Pixels], holes: Sequence[Hole], options: InpaintOptions, watch: Watch
    ) -> list[Pixels] | None:
        """As many at once, and as large, as there is memory for; None where there is too little for the least."""
        pixels = sum(hole.size for hole in holes)
        if self._too_many is None or pixels < self._too_many:
            filled = self._try(images, holes, options, watch)
            if filled is not None:
                return filled
            self._too_many = pixels
        if len(images) > 1:
            return self._fill_halves(images, holes, options, watch)
        (image,), (hole,) = images, holes
        if max(hole.shape) // 2 < LEAST_SIDE:
            return None
        small, unknown = shrink(image, hole, 2.0)
        filled = self._fill([small], [unknown], options, watch)
        return None if filled is None else [enlarge(filled[0], image, hole, hole, options.seed)]

    def _fill_halves(
        self, images: Sequence[Pixels], holes: Sequence[Hole], options: InpaintOptions, watch: Watch
    ) -> list[Pixels] | None:
        middle = len(images) // 2
        filled: list[Pixels] = []
        for part, start, end in ((slice(middle), 0.0, 0.5), (slice(middle, None), 0.5, 1.0)):
            some = self._fill(images[part], holes[part], options, watch.part(start, end))
            if some is None:
                return None
            filled += some
        return filled

    def _try(
        self, images: Sequence[Pixels], holes: Sequence[Hole], options: InpaintOptions, watch: Watch
    ) -> list[Pixels] | None:
        watch.check()
        model = self._ready()
        try:
            return inpaint_all(model, images, holes, options, watch)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            log.warning(
                "out_of_memory", model=self.card.id, crops=len(images), height=holes[0].shape[0],
                width=holes[0].shape[1], precision=str(self._setup.precision), device=self._setup.device,
            )  # fmt: skip
        _let_go()  # outside of `except`: the error's traceback holds what filled the memory
        return None

    def _ready(self) -> Inpainter:
        while self._model is None:
            try:
                self._model = self._load(self._setup)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                log.warning("out_of_memory_while_loading", device=self._setup.device)
            if self._model is None:
                self._step_down()
        return self._model

    def _step_down(self) -> None:
        lower = next(self._rungs, None)
        if lower is None:
            raise OutOfMemory
        self.close()
        _let_go()
        self._setup = lower
        self._too_many = None


def _let_go() -> None:
    """What nobody refers to any more, back to the system and the GPU."""
    gc.collect()
    memory.give_back()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
