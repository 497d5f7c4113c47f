"""A catalogue in which every model has another fate, so that doors can be seen to show it. Nothing is computed."""

from __future__ import annotations

import time
from functools import partial

from magic_eraser.errors import UnusableOutput
from magic_eraser.models.card import ModelCard, Quality, Speed, WeightFile
from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.entry import Entry
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch

LOADING_SECONDS = 4.0


class GreyInpainter:
    """Paints the hole grey, and remembers how it was asked."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.asked: list[InpaintOptions] = []

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        watch.check()
        self.asked.append(options)
        filled = image.copy()
        filled[hole] = 128
        return filled

    def close(self) -> None:
        return None


class BrokenInpainter(GreyInpainter):
    """Answers nonsense."""

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        raise UnusableOutput("Not a number.", "输出不是数字。")


def _card(name: str, title: str, speed: Speed, quality: Quality, licence: str, **facts: object) -> ModelCard:
    return ModelCard(
        id=name,
        title=title,
        licence=licence,
        source="tests",
        speed=speed,
        quality=quality,
        memory_mb=300,
        **facts,  # type: ignore[arg-type]  # the rest of the card's fields, by name
    )


def _load(inpainter: GreyInpainter, _setup: Setup) -> GreyInpainter:
    if inpainter.card is WAKING:
        time.sleep(LOADING_SECONDS)
    return inpainter


def _missing(name: str, megabytes: int) -> tuple[WeightFile, ...]:
    return (WeightFile(f"{name}.pt", f"https://weights.example/{name}.pt", megabytes * 1_000_000),)


WAKING = _card("waking", "Waking: takes seconds to load", Speed.FAST, Quality.HIGH, "Apache-2.0")
STEPPED = _card("stepped", "Stepped: by a sampler", Speed.SLOW, Quality.HIGH, "MIT", steps=50)
PROMPTED = _card(
    "prompted", "Prompted: heeds a prompt", Speed.SLOW, Quality.HIGH, "CreativeML-OpenRAIL-M",
    steps=30, prompt=True, added=True,
)  # fmt: skip
BROKEN = _card("broken", "Broken: answers nonsense", Speed.MODERATE, Quality.GOOD, "MIT")
WEIGHTLESS = _card(
    "weightless", "Weightless: has no weights here", Speed.MODERATE, Quality.HIGH, "Apache-2.0",
    weights=_missing("weightless", 205),
)  # fmt: skip
LIMITED = _card(
    "limited", "Limited: not for every use", Speed.SLOW, Quality.HIGH, "CC-BY-NC-4.0",
    weights=_missing("limited", 4300), must_accept=True,
)  # fmt: skip
UNPACKED = _card(
    "unpacked", "Unpacked: needs a package", Speed.FAST, Quality.GOOD, "Apache-2.0",
    needs=("no_such_package",), extra="torch",
)  # fmt: skip
USABLE = (WAKING, STEPPED, PROMPTED, BROKEN)
LACKING = (WEIGHTLESS, LIMITED, UNPACKED)


def inpainters() -> dict[str, GreyInpainter]:
    """One for each model of this file, by its id."""
    return {
        card.id: (BrokenInpainter if card is BROKEN else GreyInpainter)(card) for card in (*USABLE, *LACKING)
    }


def catalog(of: dict[str, GreyInpainter]) -> dict[str, Entry]:
    """The three models that need nothing, and `inpainters()`."""
    plain = {name: CATALOG[name] for name in ("patch", "telea", "ns")}
    return {**plain, **{name: Entry(each.card, partial(_load, each)) for name, each in of.items()}}


if __name__ == "__main__":
    from magic_eraser.api.app import create_app
    from magic_eraser.api.server import run
    from magic_eraser.settings import Settings

    settings = Settings.load()
    run(settings, create_app(settings, catalog=catalog(inpainters())))
