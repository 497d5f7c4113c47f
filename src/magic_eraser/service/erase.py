"""The one path from a picture and a mask to the picture without the object. Every door takes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from magic_eraser.accounts.principal import Principal
from magic_eraser.billing.quota import NullQuota, Quota
from magic_eraser.hosting.pool import ModelPool
from magic_eraser.hosting.workers import Workers
from magic_eraser.imaging import compose
from magic_eraser.imaging.codec import Encoded, decode, encode
from magic_eraser.imaging.mask import Mask, decode_mask, prepare_mask
from magic_eraser.imaging.photo import Fill, Photo
from magic_eraser.imaging.regions import Region, find_regions, shrink
from magic_eraser.models import routing
from magic_eraser.models.card import ModelCard
from magic_eraser.models.catalog import AUTO, find
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.routing import Step
from magic_eraser.models.watch import Watch
from magic_eraser.service.admission import Admission, NullAdmission
from magic_eraser.service.cache import Cache, NullCache
from magic_eraser.service.fill import (
    alpha_fill,
    feathered,
    to_model_depth,
    to_picture_depth,
    with_opacity,
    without_opacity,
)
from magic_eraser.service.request import ROUGH, CacheResult, EraseOptions, EraseRequest, EraseResult
from magic_eraser.service.safety import ContentFilter, NullFilter
from magic_eraser.service.stages import Observe, Stages

DECODED, FILLED = 0.1, 0.9
"""How much of the whole is done, as progress tells it, before and after the fill."""


class EraseService:
    """Joins the rooms behind the doors.

    Args:
        pool: the models.
        workers: threads for decoding, composing and encoding.
        admission, quota, content_filter, cache: ports; each has a null twin, which is the default.
        max_pixels: largest picture accepted.
        deadline_seconds: for requests that bring no watch of their own; None for no limit.
        observe: told the seconds of every stage.
    """

    def __init__(
        self,
        pool: ModelPool,
        workers: Workers,
        *,
        admission: Admission | None = None,
        quota: Quota | None = None,
        content_filter: ContentFilter | None = None,
        cache: Cache | None = None,
        max_pixels: int = 50_000_000,
        deadline_seconds: float | None = None,
        observe: Observe | None = None,
    ) -> None:
        self.pool = pool
        self._workers = workers
        self._admission = admission or NullAdmission()
        self._quota = quota or NullQuota()
        self._filter = content_filter or NullFilter()
        self._cache = cache or NullCache()
        self._max_pixels = max_pixels
        self._deadline_seconds = deadline_seconds
        self._observe = observe

    async def erase(
        self, principal: Principal, request: EraseRequest, watch: Watch | None = None
    ) -> EraseResult:
        """Erase.

        Args:
            principal: who pays and whose cache it is.
            request: what to erase.
            watch: deadline, cancel and progress; the service's own deadline where None.

        Raises:
            EraserError: whatever went wrong; nothing is charged then.
        """
        watch = watch or Watch(self._deadline_seconds)
        stages = Stages()
        if request.options.model != AUTO:
            self._card(request.options.model)  # a wrong name need not wait in the queue
        try:
            return await self._admitted(principal, request, watch, stages)
        finally:
            stages.report(self._observe)

    async def _admitted(
        self, principal: Principal, request: EraseRequest, watch: Watch, stages: Stages
    ) -> EraseResult:
        async with AsyncExitStack() as inside:
            with stages.stage("queue"):
                await inside.enter_async_context(self._admission.enter(principal, watch))
            units = self._units(request.options)
            reservation = await self._quota.reserve(principal, units)
            try:
                result = await self._work(principal, request, watch, stages)
            except BaseException:
                await self._quota.release(reservation)
                raise
            await self._quota.settle(reservation, 0 if result.cache == "hit" else units)
            return result

    async def _work(
        self, principal: Principal, request: EraseRequest, watch: Watch, stages: Stages
    ) -> EraseResult:
        with stages.stage("decode"):
            photo, mask = await self._workers.run(watch, self._decode, request)
        watch.progress(DECODED)
        with stages.stage("filter"):
            await self._filter.check(photo, watch)
        steps = await self._workers.run(watch, self._plan, request.options, mask, watch)
        model = stages.model = steps[-1].model
        kept = await self._cache.get(principal.tenant_id, request, model)
        if kept is not None:
            return kept
        with stages.stage("inpaint"):
            fill = watch.part(DECODED, FILLED)
            erased = await self._inpaint(photo, mask, steps, request.options, fill)
        with stages.stage("encode"):
            encoded = await self._encode(erased, request, watch)
        cached: CacheResult = "bypass" if isinstance(self._cache, NullCache) else "miss"
        notices = erased.notices if encoded is None else encoded.notices
        result = EraseResult(
            photo=erased if encoded is None else None,
            encoded=encoded,
            model=model,
            cache=cached,
            width=erased.width,
            height=erased.height,
            seconds=dict(stages.seconds),
            notices=(*notices, ROUGH) if watch.rough else notices,
        )
        if not watch.rough:  # the next caller may have more time
            await self._cache.put(principal.tenant_id, request, result)
        return result

    # --- the steps ------------------------------------------------------------------------------------

    def _decode(self, request: EraseRequest) -> tuple[Photo, Mask]:
        image, mask = request.image, request.mask
        photo = image if isinstance(image, Photo) else decode(image, max_pixels=self._max_pixels)
        hole = decode_mask(mask, max_pixels=self._max_pixels) if isinstance(mask, bytes) else mask
        options = request.options
        return photo, prepare_mask(hole, photo, dilate=options.dilate, feather=options.feather)

    def _plan(self, options: EraseOptions, mask: Mask, watch: Watch) -> tuple[Step, ...]:
        if options.model != AUTO:
            return (Step(self._card(options.model).id, mask.hole),)
        return routing.plan(mask.hole, self.pool.cards().keys(), watch)

    async def _inpaint(
        self, photo: Photo, mask: Mask, steps: Sequence[Step], options: EraseOptions, watch: Watch
    ) -> Photo:
        fills: list[Fill] = []
        seen, unknown = photo, mask.hole
        for step, share in zip(steps, _shares([step.hole for step in steps], watch), strict=True):
            fills += await self._fill(seen, mask, unknown, step, options, share)
            seen = await self._workers.run(watch, photo.with_fills, fills)
            unknown = unknown & ~step.hole
        return seen

    async def _fill(
        self, photo: Photo, mask: Mask, unknown: Hole, step: Step, options: EraseOptions, watch: Watch
    ) -> list[Fill]:
        """One model's share, crop by crop; what is `unknown` beside it must not be looked at."""
        card = self._card(step.model)
        regions = await self._workers.run(
            watch,
            find_regions,
            step.hole,
            context=card.context,
            min_context=card.min_context,
            working_size=None if step.thin else card.working_size,
            working_hole=None if step.thin else card.working_hole,
        )
        how = InpaintOptions(
            seed=options.seed,
            radius=options.radius,
            effort=options.effort,
            rough_when_late=options.rough_when_late,
            thin=step.thin,
        )
        fills = []
        for region, share in zip(regions, _shares([each.hole for each in regions], watch), strict=True):
            here = replace(region, unknown=unknown[region.box.slices])
            image, hole = await self._workers.run(watch, _cut, photo, here, card)
            (filled,) = await self.pool.inpaint(card.id, [image], [hole], how, share)
            fills.append(await self._workers.run(watch, _paste, photo, mask, here, filled, how))
        return fills

    async def _encode(self, photo: Photo, request: EraseRequest, watch: Watch) -> Encoded | None:
        output = request.output
        if output is None:
            return None
        return await self._workers.run(watch, encode, photo, format=output.format, quality=output.quality)

    # --- facts ----------------------------------------------------------------------------------------

    def _card(self, model_id: str) -> ModelCard:
        return find(model_id, self.pool.cards())

    def _units(self, options: EraseOptions) -> int:
        """What a call costs, by the model asked for; "auto" by the dearest that it may turn into."""
        cards = self.pool.cards()
        if options.model == AUTO:
            return max(cards[name].cost for name in routing.PREFERENCE if name in cards)
        return cards[options.model].cost


def _shares(holes: Sequence[Hole], watch: Watch) -> Iterator[Watch]:
    """The watch for each of them: of the whole progress as much as it has of the pixels."""
    sizes = [np.count_nonzero(hole) for hole in holes]
    ends = [float(end) for end in np.cumsum(sizes) / max(1, sum(sizes))]
    for start, end in pairwise([0.0, *ends]):
        yield watch.part(start, end)


def _cut(photo: Photo, region: Region, card: ModelCard) -> tuple[Pixels, Any]:
    """The crop as the model is to see it, and what is unknown in it."""
    colours, alpha = photo.rgb(region.box), photo.alpha(region.box)
    image = to_model_depth(with_opacity(colours, alpha, region.unknown, card), card)
    if region.scale > 1:
        return shrink(image, region.unknown, region.scale)
    return image, region.unknown


def _paste(photo: Photo, mask: Mask, region: Region, filled: Pixels, options: InpaintOptions) -> Fill:
    """The model's answer at the picture's size, depth and softness."""
    box, hole = region.box, region.hole
    image = photo.rgb(box)
    filled, alpha = without_opacity(to_picture_depth(filled, image.dtype))
    if region.scale > 1:
        filled = compose.enlarge(filled, image, hole, region.unknown, options.seed)
    original = photo.alpha(box)
    if original is not None and alpha is None:
        alpha = alpha_fill(original, hole, region.unknown)
    if mask.weight is not None:
        weight = mask.weight[box.slices]
        filled = feathered(image, filled, hole, weight)
        if original is not None and alpha is not None:
            alpha = feathered(original, alpha, hole, weight)
    return Fill(box=box, rgb=filled, alpha=alpha, hole=hole)
