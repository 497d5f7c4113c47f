"""The one path from a picture and a mask to the picture without the object. Every door takes it."""

from __future__ import annotations

from contextlib import AsyncExitStack
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
from magic_eraser.models.inpainter import InpaintOptions, Pixels
from magic_eraser.models.watch import Watch
from magic_eraser.service.admission import Admission, NullAdmission
from magic_eraser.service.cache import Cache, NullCache
from magic_eraser.service.fill import alpha_fill, to_model_depth, to_picture_depth
from magic_eraser.service.request import CacheResult, EraseOptions, EraseRequest, EraseResult
from magic_eraser.service.safety import ContentFilter, NullFilter
from magic_eraser.service.stages import Observe, Stages


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
        with stages.stage("filter"):
            await self._filter.check(photo, watch)
        card = self._choose(request.options, mask)
        stages.model = card.id
        kept = await self._cache.get(principal.tenant_id, request, card.id)
        if kept is not None:
            return kept
        with stages.stage("inpaint"):
            erased = await self._inpaint(photo, mask, card, request.options, watch)
        with stages.stage("encode"):
            encoded = await self._encode(erased, request, watch)
        cached: CacheResult = "bypass" if isinstance(self._cache, NullCache) else "miss"
        result = EraseResult(
            photo=erased if encoded is None else None,
            encoded=encoded,
            model=card.id,
            cache=cached,
            width=erased.width,
            height=erased.height,
            seconds=dict(stages.seconds),
            notices=erased.notices if encoded is None else encoded.notices,
        )
        await self._cache.put(principal.tenant_id, request, result)
        return result

    # --- the steps ------------------------------------------------------------------------------------

    def _decode(self, request: EraseRequest) -> tuple[Photo, Mask]:
        image, mask = request.image, request.mask
        photo = image if isinstance(image, Photo) else decode(image, max_pixels=self._max_pixels)
        hole = decode_mask(mask, max_pixels=self._max_pixels) if isinstance(mask, bytes) else mask
        options = request.options
        return photo, prepare_mask(
            hole,
            width=photo.width,
            height=photo.height,
            dilate=options.dilate,
            feather=options.feather,
        )

    def _choose(self, options: EraseOptions, mask: Mask) -> ModelCard:
        if options.model != AUTO:
            return self._card(options.model)
        return self._card(routing.choose(mask.hole, self.pool.cards().keys()))

    async def _inpaint(
        self, photo: Photo, mask: Mask, card: ModelCard, options: EraseOptions, watch: Watch
    ) -> Photo:
        regions = await self._workers.run(
            watch,
            find_regions,
            mask.hole,
            context=card.context,
            min_context=card.min_context,
            working_size=card.working_size,
            working_hole=card.working_hole,
        )
        how = InpaintOptions(seed=options.seed, radius=options.radius)
        fills = []
        for region in regions:
            image, unknown = await self._workers.run(watch, _cut, photo, region, card)
            filled = await self.pool.inpaint(card.id, image, unknown, how, watch)
            fills.append(await self._workers.run(watch, _paste, photo, mask, region, filled, how))
        return await self._workers.run(watch, photo.with_fills, fills)

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


def _cut(photo: Photo, region: Region, card: ModelCard) -> tuple[Pixels, Any]:
    """The crop as the model is to see it, and what is unknown in it."""
    image = to_model_depth(photo.rgb(region.box), card)
    if region.scale > 1:
        return shrink(image, region.unknown, region.scale)
    return image, region.unknown


def _paste(photo: Photo, mask: Mask, region: Region, filled: Pixels, options: InpaintOptions) -> Fill:
    """The model's answer at the picture's size, depth and softness."""
    box, hole = region.box, region.hole
    image = photo.rgb(box)
    filled = to_picture_depth(filled, image.dtype)
    if region.scale > 1:
        filled = compose.enlarge(filled, image, hole, region.unknown, options.seed)
    original = photo.alpha(box)
    alpha = None if original is None else alpha_fill(original, hole, region.unknown)
    if mask.weight is not None:
        weight = np.where(hole, mask.weight[box.slices], 0).astype(np.uint8)
        filled = compose.blend(image, filled, weight)
        if original is not None and alpha is not None:
            alpha = compose.blend(original, alpha, weight)
    return Fill(box=box, rgb=filled, alpha=alpha, hole=hole)
