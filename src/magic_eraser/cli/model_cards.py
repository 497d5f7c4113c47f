"""Model cards as `magic-eraser models list` and `show` print them."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from rich.console import Console

from magic_eraser.models.availability import WhyNot, why_not
from magic_eraser.models.card import ModelCard, Quality, Speed
from magic_eraser.models.download_faults import readable
from magic_eraser.models.weights import WeightStore

GROUPS = {
    "ready": "Ready to use",
    "weights": "Need a download",
    "package": "Need a package",
    "licence": "Need your consent to their licence",
}
DURATIONS = {
    Speed.INSTANT: "below 0.1 s",
    Speed.FAST: "below 1 s",
    Speed.MODERATE: "seconds",
    Speed.SLOW: "many seconds",
}
LABEL = 12
"""Width of the column of labels in `show`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Offer:
    """A model on this machine.

    Attributes:
        card: its facts.
        lacks: what it cannot be used without; None where it is ready.
        download_bytes: of its files that are not here; 0 also where the card does not know.
    """

    card: ModelCard
    lacks: WhyNot | None
    download_bytes: int

    @property
    def state(self) -> str:
        """A key of `GROUPS`."""
        return self.lacks.code if self.lacks else "ready"


def offers(cards: Sequence[ModelCard], store: WeightStore, accepted: Collection[str]) -> list[Offer]:
    """What can be used at once first, then by what is missing; in each, the best and the fastest first."""
    order = list(GROUPS)
    found = [
        Offer(card, why_not(card, store, accepted), sum(file.size for file in store.missing(card)))
        for card in cards
    ]

    def rank(offer: Offer) -> tuple[int, int, int]:
        quality, speed = list(Quality).index(offer.card.quality), list(Speed).index(offer.card.speed)
        return order.index(offer.state), -quality, speed

    return sorted(found, key=rank)


def facts(offer: Offer, store: WeightStore) -> dict[str, Any]:
    """Everything about a model, for programs: the card, where its files lie, what it lacks."""
    card = offer.card
    files = [
        dataclasses.asdict(file) | {"path": str(path) if path else None}
        for file, path in store.where(card).items()
    ]
    return dataclasses.asdict(card) | {
        "weights": files,
        "state": offer.state,
        "message": offer.lacks.message if offer.lacks else "",
        "download_bytes": offer.download_bytes,
    }


def print_list(console: Console, found: Sequence[Offer]) -> None:
    """The shop window: two or three lines a model, which fit 80 columns; unwrapped where nobody looks."""
    width = max((len(offer.card.id) for offer in found), default=0) + 4
    for state, heading in GROUPS.items():
        group = [offer for offer in found if offer.state == state]
        if not group:
            continue
        _say(console, f"{heading}\n", style="bold")
        for offer in group:
            first, *more = _lines(console, offer.card.title, width)
            _say(console, f"  {offer.card.id:{width - 2}}", style="bold cyan", end="")
            _say(console, first)
            for line in more:
                _say(console, " " * width + line)
            _say(console, " " * width + _summary(offer), style="dim")
            if offer.lacks:
                for line in _lines(console, _way_out(offer), width):
                    _say(console, " " * width + line)
        _say(console, "")
    _say(console, '"auto" picks the best of those that are ready, for each hole.', style="dim")
    _say(console, "All about one of them: magic-eraser models show ID", style="dim")


def print_one(console: Console, offer: Offer, store: WeightStore) -> None:
    """Everything that a person wants to know of one model."""
    card = offer.card
    _say(console, card.id, style="bold cyan")
    for line in _lines(console, card.title, 0):
        _say(console, line)
    _say(console, "")
    for label, value in _rows(offer):
        _say(console, f"  {label:{LABEL}}", style="dim", end="")
        first, *more = _lines(console, value, LABEL + 2)
        _say(console, first)
        for line in more:
            _say(console, " " * (LABEL + 2) + line)
    for file, path in store.where(card).items():
        _say(console, f"\n  {file.name}", style="bold", end="")
        _say(console, f"  {readable(file.size)}" if file.size else "")
        for label, value in (
            ("lies at", str(path) if path else f"not here; would be {store.folder / file.name}"),
            ("comes from", file.url),
            ("sha256", file.sha256),
            ("md5", file.md5),
        ):
            if value:
                _say(console, f"  {label:{LABEL}}", style="dim", end="")
                _say(console, value)


def _summary(offer: Offer) -> str:
    card = offer.card
    parts = [card.speed.value, f"{card.quality.value} quality", card.licence]
    if offer.download_bytes:
        parts.append(f"{readable(offer.download_bytes)} to download")
    if card.prompt:
        parts.append("heeds a prompt")
    if card.added:
        parts.append("yours")
    return " · ".join(part for part in parts if part)


def _way_out(offer: Offer) -> str:
    """A command to copy where one is enough; else a sentence."""
    if offer.state == "weights" and not offer.card.added:
        return f"magic-eraser models download {offer.card.id}"
    return offer.lacks.message if offer.lacks else ""


def _rows(offer: Offer) -> Iterator[tuple[str, str]]:
    card = offer.card
    yield "state", offer.lacks.message if offer.lacks else "ready to use"
    yield "speed", f"{card.speed.value}: {DURATIONS[card.speed]} for 512 x 512 on one core"
    yield "quality", card.quality.value
    yield "licence", f"{card.licence or 'not known'}{', which limits its use' if card.must_accept else ''}"
    if card.source:
        yield "source", card.source
    if card.needs:
        yield "packages", ", ".join(card.needs) + (f" (magic-eraser[{card.extra}])" if card.extra else "")
    if card.memory_mb:
        yield "memory", f"{card.memory_mb} MiB"
    if card.working_size:
        best = f"; {card.best_size} px where the effort is best" if card.best_size else ""
        yield "works at", f"up to {card.working_size} px a side{best}"
    if card.steps:
        yield "steps", str(card.steps)
    heeds = [
        word
        for word, true in (("a prompt", card.prompt), ("16 bits", card.deep), ("opacity", card.alpha))
        if true
    ]
    if heeds:
        yield "heeds", ", ".join(heeds)
    yield "runs in", "a process of its own" if card.isolated else "the server's process"
    if offer.download_bytes:
        yield "to download", readable(offer.download_bytes)


def _lines(console: Console, text: str, indent: int) -> list[str]:
    """Wrapped to a terminal; one line for a pipe, where `grep` looks at it."""
    if not console.is_terminal:
        return [text]
    wide = max(console.width - indent, 20)
    return textwrap.wrap(text, wide, break_long_words=False, break_on_hyphens=False) or [""]


def _say(console: Console, text: str, style: str = "", end: str = "\n") -> None:
    console.print(text, style=style, end=end, markup=False, highlight=False, soft_wrap=True)
