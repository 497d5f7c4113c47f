"""A model that does nothing but take its time, so that tests can act in the middle of its work."""

from __future__ import annotations

import threading
import time

from magic_eraser.models.card import ModelCard, Quality, Speed
from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.entry import Entry
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.watch import Watch


class SlowInpainter:
    """Paints the hole grey after `seconds`, checking its watch every 10 ms; sooner where it may and must hurry."""

    card = ModelCard(
        id="slow",
        title="Takes its time",
        licence="Apache-2.0",
        source="tests",
        speed=Speed.SLOW,
        quality=Quality.BASIC,
    )

    def __init__(self, seconds: float = 0.5) -> None:
        self.seconds = seconds
        self.begun = threading.Semaphore(0)
        self.running = 0
        self.most_running = 0
        self.stopped_by: list[str] = []
        self.asked: list[InpaintOptions] = []
        self._lock = threading.Lock()

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        with self._lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            self.asked.append(options)
        self.begun.release()
        try:
            start = time.monotonic()
            while (passed := time.monotonic() - start) < self.seconds:
                watch.progress(passed / self.seconds)
                if options.rough_when_late and watch.hurry():
                    watch.mark_rough()
                    break
                time.sleep(0.01)
            filled = image.copy()
            filled[hole] = 128
            return filled
        except Exception as error:
            self.stopped_by.append(type(error).__name__)
            raise
        finally:
            with self._lock:
                self.running -= 1

    def close(self) -> None:
        return None


def catalog_with(model: SlowInpainter) -> dict[str, Entry]:
    return {**CATALOG, "slow": Entry(model.card, lambda _setup: model)}
