"""Models that do as `InpaintOptions.prompt` says; importable by name, so that a child process can have them."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from magic_eraser.errors import ModelUnavailable
from magic_eraser.models.card import ModelCard, Quality, Speed
from magic_eraser.models.entry import Entry
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch

CARD = ModelCard(
    id="puppet",
    title="Does as it is told",
    licence="Apache-2.0",
    source="tests",
    speed=Speed.FAST,
    quality=Quality.BASIC,
    deep=True,
    batch=4,
    memory_mb=100,
    isolated=True,
)


class Puppet:
    """Answers the negative of every crop, after what the prompt says: a word and, where it wants one, a path."""

    def __init__(self, card: ModelCard, threads: int, megabytes: int) -> None:
        self.card = card
        self._threads = threads
        self._ballast = np.ones(megabytes << 20, np.uint8)

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        return self.inpaint_batch([image], [hole], options, watch)[0]

    def inpaint_batch(
        self, images: list[Pixels], holes: list[Hole], options: InpaintOptions, watch: Watch
    ) -> list[Pixels]:
        word, _, argument = options.prompt.partition(" ")
        if word:
            getattr(self, "do_" + word)(watch, argument)
        answers = [np.iinfo(image.dtype).max - image for image in images]
        for answer, hole in zip(answers, holes, strict=True):
            answer[hole] = self._threads
        return answers

    def do_sleep(self, watch: Watch, path: str) -> None:
        if path:
            Path(path).touch()
        time.sleep(60)

    def do_sleep_once(self, watch: Watch, path: str) -> None:
        """The first time only."""
        if not Path(path).exists():
            self.do_sleep(watch, path)

    def do_exhaust(self, watch: Watch, _: str) -> None:
        raise MemoryError

    def do_work(self, watch: Watch, _: str) -> None:
        for k in range(6000):
            watch.progress(k / 6000)
            time.sleep(0.01)

    def do_hurry(self, watch: Watch, _: str) -> None:
        while not watch.hurry():
            watch.check()
            time.sleep(0.01)
        watch.mark_rough()

    def do_die(self, watch: Watch, path: str) -> None:
        """At once; with a path, only the first time."""
        if not path or not Path(path).exists():
            if path:
                Path(path).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def do_print(self, watch: Watch, _: str) -> None:
        os.write(1, b"native noise\n")
        os.write(2, b"more of it\n")

    def do_refuse(self, watch: Watch, _: str) -> None:
        raise ModelUnavailable("Not today.", "今天不行。", retry_after=7)

    def do_break(self, watch: Watch, _: str) -> None:
        raise ValueError("a secret of ours")

    def do_litter(self, watch: Watch, _: str) -> None:
        blocks = [bytearray(100_000) for _ in range(1000)]  # 100 MB, each too small for pages of its own
        self.end = bytearray(100_000)  # keeps the heap from shrinking by itself
        del blocks

    def do_environment(self, watch: Watch, _: str) -> None:
        assert os.environ["OMP_NUM_THREADS"] == str(self._threads)
        assert not [name for name in os.environ if name.startswith("ERASER_")]

    def close(self) -> None:
        return None


def load(card: ModelCard, megabytes: int, setup: Setup) -> Puppet:
    return Puppet(card, setup.threads, megabytes)


def load_slowly(card: ModelCard, path: str, setup: Setup) -> Puppet:
    Path(path).touch()
    time.sleep(60)
    return Puppet(card, setup.threads, 0)


def load_what_is_not_installed(_: Setup) -> Puppet:
    import no_such_package  # noqa: F401 (it is not there: that is the point)

    raise AssertionError


def load_and_refuse(_: Setup) -> Puppet:
    raise ModelUnavailable("The file lama.pt has no key w.", "文件 lama.pt 缺少键 w。")


def load_and_die(_: Setup) -> Puppet:
    sys.stderr.write("a last word\n")
    sys.stderr.flush()
    os._exit(3)


def puppet(name: str = "puppet", megabytes: int = 0, **facts: object) -> Entry:
    card = replace(CARD, id=name, **facts)
    return Entry(card, partial(load, card, megabytes))
