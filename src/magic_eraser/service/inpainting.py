"""From a plan of models to a filled picture: regions, crops, batches, and another model where one cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from magic_eraser.errors import ModelUnavailable, PlanForbidsModel, UnusableOutput
from magic_eraser.hosting.pool import ModelPool, ModelState
from magic_eraser.hosting.workers import Workers
from magic_eraser.imaging import compose
from magic_eraser.imaging.mask import Mask
from magic_eraser.imaging.photo import Fill, Notice, Photo
from magic_eraser.imaging.regions import Region, find_regions, shrink
from magic_eraser.models import routing
from magic_eraser.models.card import ModelCard
from magic_eraser.models.catalog import AUTO, find
from magic_eraser.models.detail import restore
from magic_eraser.models.framing import working_pixels
from magic_eraser.models.inpainter import Effort, Hole, InpaintOptions, Pixels
from magic_eraser.models.routing import Step
from magic_eraser.models.watch import Watch
from magic_eraser.service.batches import SIDES, group
from magic_eraser.service.cache.key import Where, fingerprint
from magic_eraser.service.fill import (
    alpha_fill,
    feathered,
    to_model_depth,
    to_picture_depth,
    with_opacity,
    without_opacity,
)
from magic_eraser.service.request import EraseOptions, fell_back
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)


MayUse = Callable[[ModelCard], bool]
"""Whether whoever asks may use a model."""


def anything(_card: ModelCard) -> bool:
    """Who has no plan may use every model."""
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One request on its way through the models."""

    photo: Photo
    mask: Mask
    options: EraseOptions
    watch: Watch
    may_use: MayUse = anything


@dataclass(frozen=True, slots=True)
class Plan:
    """Which models fill what.

    Attributes:
        steps: in order.
        limited: the time that is left kept a better model from being chosen.
    """

    steps: tuple[Step, ...]
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Filled:
    """What the models made of a picture.

    Attributes:
        photo: filled.
        model: the one that the answer names: the last that ran.
        notices: which models filled in for others.
    """

    photo: Photo
    model: str
    notices: tuple[Notice, ...]


class Inpainting:
    """Fills pictures with the models of a pool.

    Args:
        pool: the models.
        workers: threads for cutting and pasting.
        where: the weights of a card on this machine; what its card says of them where None.
        variant: how the models compute, as far as it shows: device, precision.
    """

    def __init__(
        self, pool: ModelPool, workers: Workers, where: Where | None = None, variant: str = ""
    ) -> None:
        self._pool = pool
        self._workers = workers
        self._where = where
        self._variant = variant

    def plan(self, options: EraseOptions, mask: Mask, watch: Watch, may_use: MayUse = anything) -> Plan:
        """Which models fill what: the one asked for, or as `routing.plan` says with what is expected to take so long as
        `watch` allows.

        Raises:
            PlanForbidsModel: there is none here that may be used.
        """
        if options.model != AUTO:
            return Plan((Step(self._card(options.model).id, mask.hole),))
        usable = self._usable(may_use)
        if may_use is not anything and not set(usable) & set(routing.PREFERENCE):
            raise PlanForbidsModel(
                "The plan includes none of the models that this server has for auto.",
                "当前套餐不包含此服务器可自动选用的任何模型。",
            )
        limited = False

        def seconds(model: str, hole: Hole) -> float:
            nonlocal limited
            expected = self._seconds(options.effort, model, hole)
            limited = limited or not routing.affordable(expected, watch)
            return expected

        return Plan(routing.plan(mask.hole, usable, watch, seconds), limited)

    def fingerprint(self, options: EraseOptions, may_use: MayUse = anything) -> str:
        """Of the model asked for, or of all that "auto" may choose from now; looks at the disk then."""
        names = self._usable(may_use) if options.model == AUTO else [options.model]
        found = fingerprint((self._card(name) for name in names), self._where)
        return f"{self._variant}:{found}"

    async def run(self, job: Job, steps: Sequence[Step]) -> Filled:
        """The picture, filled step by step: what one has filled is known to the next."""
        fills: list[Fill] = []
        ran: list[str] = []
        seen, unknown = job.photo, job.mask.hole
        for step, share in zip(steps, _shares([step.hole for step in steps], job.watch), strict=True):
            model, more = await self._fill(replace(job, photo=seen, watch=share), unknown, step)
            ran.append(model)
            fills += more
            seen, unknown = await self._workers.run(job.watch, _further, job.photo, fills, unknown, step)
        pairs = zip(steps, ran, strict=True)
        notices = tuple(fell_back(step.model, model) for step, model in pairs if model != step.model)
        return Filled(seen, ran[-1], notices)

    async def _fill(self, job: Job, unknown: Hole, step: Step) -> tuple[str, list[Fill]]:
        """One model's share, or another's where it cannot: by any name where its answer is no picture; where it
        cannot be had, only for `auto`. Which one it was, and its fills."""
        try:
            return step.model, await self._fill_by(job, unknown, step)
        except ModelUnavailable as error:
            if job.options.model != AUTO and not isinstance(error, UnusableOutput):
                raise
            failure = error
        usable = await self._workers.run(job.watch, self._usable, job.may_use)
        for other in routing.instead_of(step.model, usable):
            log.warning("fell_back", model=step.model, instead=other, reason=failure.detail)
            try:
                return other, await self._fill_by(job, unknown, replace(step, model=other))
            except ModelUnavailable as error:
                failure = error
        raise failure

    async def _fill_by(self, job: Job, unknown: Hole, step: Step) -> list[Fill]:
        """One model's share, as few calls as its crops allow; what is `unknown` beside it must not be looked at."""
        card = self._card(step.model)
        found = await self._workers.run(job.watch, _regions, step, card, job.options.effort)
        regions = [replace(region, unknown=unknown[region.box.slices]) for region in found]
        shapes = [region.working_shape for region in regions]
        calls = (
            group(shapes, card.batch, card.multiple_of)
            if card.batch > 1
            else [[k] for k in range(len(regions))]
        )
        order = [regions[k] for call in calls for k in call]
        shares = _shares([region.hole for region in order], job.watch)
        fills = []
        for call in calls:
            parts = [(regions[k], next(shares)) for k in call]
            fills += await self._fill_call(job, parts, card, _options(job.options, step))
        return fills

    async def _fill_call(
        self, job: Job, parts: Sequence[tuple[Region, Watch]], card: ModelCard, options: InpaintOptions
    ) -> list[Fill]:
        """Regions that a model fills together. Each has its watch; what they share of the progress is that of all."""
        cuts = [await self._workers.run(share, _cut, job.photo, region, card) for region, share in parts]
        together = parts[0][1].until(parts[-1][1])
        filled = await self._pool.inpaint(
            card.id, [image for image, _ in cuts], [hole for _, hole in cuts], options, together
        )
        pastes = [
            self._workers.run(share, _paste, job.photo, job.mask, region, answer, options, card, share)
            for (region, share), answer in zip(parts, filled, strict=True)
        ]
        # At once: 500 specks at 12 MP by LaMa took 0.7 of the time on two cores. All have left when an error is told.
        pasted = await asyncio.gather(*pastes, return_exceptions=True)
        return [_raised(each) for each in pasted]

    def _card(self, model_id: str) -> ModelCard:
        return find(model_id, self._pool.cards())

    def _usable(self, may_use: MayUse) -> list[str]:
        """Ids of the models that have what they need here and may be used. One whose load failed is left out until it
        may be tried again, so that `auto` does not say anew with every answer that it fell back; without anything else,
        it is not."""
        cards = self._pool.cards().items()
        here = [name for name, card in cards if self._pool.why_not(name) is None and may_use(card)]
        return [name for name in here if not self._pool.retry_after(name)] or here

    def _seconds(self, effort: Effort, model: str, hole: Hole) -> float:
        """That a model is expected to take for a hole, as measured or else by its class."""
        card = self._card(model)
        regions = _regions(Step(model, hole), card, effort)
        pixels = working_pixels([region.working_shape for region in regions], card.multiple_of)
        expected = self._pool.expected_seconds(model, pixels)
        if expected is not None:
            return expected
        in_memory = self._pool.state(model) is ModelState.READY
        return routing.assumed_seconds(card.speed, pixels, in_memory=in_memory)


def _shares(holes: Sequence[Hole], watch: Watch) -> Iterator[Watch]:
    """The watch for each of them: of the whole progress as much as it has of the pixels."""
    if len(holes) == 1:  # the usual case need not count them, in the event loop
        yield watch.part(0, 1)
        return
    sizes = [np.count_nonzero(hole) for hole in holes]
    ends = [float(end) for end in np.cumsum(sizes) / max(1, sum(sizes))]
    for start, end in pairwise([0.0, *ends]):
        yield watch.part(start, end)


def _further(photo: Photo, fills: Sequence[Fill], unknown: Hole, step: Step) -> tuple[Photo, Hole]:
    """The picture with what has been filled so far, and what is unknown after this step."""
    return photo.with_fills(fills), unknown & ~step.hole


def _raised(result: Fill | BaseException) -> Fill:
    if isinstance(result, BaseException):
        raise result
    return result


def _regions(step: Step, card: ModelCard, effort: Effort) -> list[Region]:
    """The crops that a model fills for a step, at full size where all is thin."""
    best = effort is Effort.BEST and card.best_size is not None
    return find_regions(
        step.hole,
        context=card.context,
        min_context=card.min_context,
        working_size=None if step.thin else card.best_size if best else card.working_size,
        working_hole=None if step.thin else card.working_hole,
        sides=SIDES if card.batch > 1 else (),
    )


def _options(options: EraseOptions, step: Step) -> InpaintOptions:
    return InpaintOptions(
        seed=options.seed,
        radius=options.radius,
        effort=options.effort,
        rough_when_late=options.rough_when_late,
        thin=step.thin,
        steps=options.steps,
        sampler=options.sampler,
        prompt=options.prompt,
        negative_prompt=options.negative_prompt,
    )


def _cut(photo: Photo, region: Region, card: ModelCard) -> tuple[Pixels, Any]:
    """The crop as the model is to see it, and what is unknown in it."""
    colours, alpha = photo.rgb(region.box), photo.alpha(region.box)
    image = to_model_depth(with_opacity(colours, alpha, region.unknown, card), card)
    if region.scale > 1:
        return shrink(image, region.unknown, region.scale)
    return image, region.unknown


def _paste(
    photo: Photo,
    mask: Mask,
    region: Region,
    filled: Pixels,
    options: InpaintOptions,
    card: ModelCard,
    watch: Watch,
) -> Fill:
    """The model's answer at the picture's size, depth and softness."""
    box, hole = region.box, region.hole
    image = photo.rgb(box)
    filled, alpha = without_opacity(to_picture_depth(filled, image.dtype))
    if region.scale > 1:
        filled = _at_full_size(filled, image, region, options, card, watch)
    original = photo.alpha(box)
    if original is not None and alpha is None:
        alpha = alpha_fill(original, hole, region.unknown)
    if mask.weight is not None:
        weight = mask.weight[box.slices]
        filled = feathered(image, filled, hole, weight)
        if original is not None and alpha is not None:
            alpha = feathered(original, alpha, hole, weight)
    return Fill(box=box, rgb=filled, alpha=alpha, hole=hole)


def _at_full_size(
    filled: Pixels, image: Pixels, region: Region, options: InpaintOptions, card: ModelCard, watch: Watch
) -> Pixels:
    """With the picture's own detail for a network's fill, where there is time for it."""
    late = options.rough_when_late and watch.hurry()
    if card.detail and not late:
        return restore(filled, image, region.hole, region.unknown, options.seed, watch)
    if card.detail:
        watch.mark_rough()
    return compose.enlarge(filled, image, region.hole, region.unknown, options.seed)
