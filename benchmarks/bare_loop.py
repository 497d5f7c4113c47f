"""The limit: as many processes as cores that only decode, fill the crop and encode, by the house's own functions."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import cv2

from magic_eraser.hosting.cores import usable_cores
from magic_eraser.imaging.codec import decode, encode
from magic_eraser.imaging.mask import decode_mask, prepare_mask
from magic_eraser.imaging.photo import Fill
from magic_eraser.imaging.regions import find_regions
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.opencv import TeleaInpainter
from magic_eraser.models.watch import Watch


class BareLoop:
    """Processes that wait for rounds.

    Args:
        image: encoded.
        masks: encoded; taken in turn.
    """

    def __init__(self, image: bytes, masks: Sequence[bytes]) -> None:
        self.processes = usable_cores()
        self._pool = ProcessPoolExecutor(self.processes, multiprocessing.get_context("spawn"))
        self._image, self._masks = image, list(masks)
        self.run(0.5)  # what the first fill of a process brings along is not the fill's

    def run(self, seconds: float) -> tuple[float, float]:
        """Fills a second of all processes, and CPU seconds of one."""
        rounds = [self._pool.submit(_loop, self._image, self._masks, seconds) for _ in range(self.processes)]
        done = [each.result() for each in rounds]
        rate = sum(count / wall for count, wall, _ in done)
        return rate, sum(cpu for _, _, cpu in done) / sum(count for count, _, _ in done)

    def close(self) -> None:
        self._pool.shutdown()


def erase(image: bytes, mask: bytes, model: TeleaInpainter) -> bytes:
    """One picture, without a queue, threads or HTTP."""
    photo = decode(image)
    prepared = prepare_mask(decode_mask(mask), photo)
    fills = []
    for region in find_regions(
        prepared.hole,
        context=model.card.context,
        min_context=model.card.min_context,
        working_hole=model.card.working_hole,
    ):
        filled = model.inpaint(photo.rgb(region.box), region.unknown, InpaintOptions(), Watch())
        fills.append(Fill(box=region.box, rgb=filled, alpha=None, hole=region.hole))
    return encode(photo.with_fills(fills)).data


def _loop(image: bytes, masks: Sequence[bytes], seconds: float) -> tuple[int, float, float]:
    cv2.setNumThreads(1)  # a process for each core, and so does the server with its share for a fill
    model = TeleaInpainter()
    count, start, spent = 0, time.monotonic(), time.process_time()
    while time.monotonic() - start < seconds:
        erase(image, masks[count % len(masks)], model)
        count += 1
    return count, time.monotonic() - start, time.process_time() - spent
