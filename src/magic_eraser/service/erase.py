"""The one path from a picture and a mask to the picture without the object. Every door takes it."""

from __future__ import annotations

from contextlib import AsyncExitStack

import numpy as np

from magic_eraser.accounts.principal import Principal
from magic_eraser.billing.quota import NullQuota, Quota
from magic_eraser.hosting.pool import ModelPool
from magic_eraser.hosting.workers import Workers
from magic_eraser.imaging.codec import Encoded, decode, encode
from magic_eraser.imaging.mask import Mask, decode_mask, prepare_mask
from magic_eraser.imaging.photo import Photo
from magic_eraser.models import routing
from magic_eraser.models.catalog import AUTO, find
from magic_eraser.models.watch import Watch
from magic_eraser.service.admission import Admission, NullAdmission
from magic_eraser.service.cache import Cache, NullCache
from magic_eraser.service.inpainting import Inpainting, Job
from magic_eraser.service.request import ROUGH, CacheResult, EraseOptions, EraseRequest, EraseResult, Source
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
        self._inpainting = Inpainting(pool, workers)
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
            find(request.options.model, self.pool.cards())  # a wrong name need not wait in the queue
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
        steps = await self._workers.run(watch, self._inpainting.plan, request.options, mask, watch)
        stages.model = steps[-1].model
        kept = await self._cache.get(principal.tenant_id, request, stages.model)
        if kept is not None:
            return kept
        with stages.stage("inpaint"):
            job = Job(photo, mask, request.options, watch.part(DECODED, FILLED))
            filled = await self._inpainting.run(job, steps)
            erased, stages.model = filled.photo, filled.model
        with stages.stage("encode"):
            encoded = await self._encode(erased, request, watch)
        cached: CacheResult = "bypass" if isinstance(self._cache, NullCache) else "miss"
        notices = (*(erased.notices if encoded is None else encoded.notices), *filled.notices)
        result = EraseResult(
            photo=erased if encoded is None else None,
            encoded=encoded,
            model=filled.model,
            cache=cached,
            width=erased.width,
            height=erased.height,
            seconds=dict(stages.seconds),
            notices=(*notices, ROUGH) if watch.rough else notices,
        )
        if not (watch.rough or filled.notices):  # the next caller may have more time, or a model that works
            await self._cache.put(principal.tenant_id, request, result)
        return result

    # --- the steps ------------------------------------------------------------------------------------

    def _decode(self, request: EraseRequest) -> tuple[Photo, Mask]:
        image, mask = request.image, request.mask
        photo = image if isinstance(image, Photo) else decode(_read(image), max_pixels=self._max_pixels)
        known = isinstance(mask, np.ndarray)
        hole = mask if known else decode_mask(_read(mask), max_pixels=self._max_pixels)
        options = request.options
        return photo, prepare_mask(hole, photo, dilate=options.dilate, feather=options.feather)

    async def _encode(self, photo: Photo, request: EraseRequest, watch: Watch) -> Encoded | None:
        output = request.output
        if output is None:
            return None
        return await self._workers.run(watch, encode, photo, format=output.format, quality=output.quality)

    # --- facts ----------------------------------------------------------------------------------------

    def _units(self, options: EraseOptions) -> int:
        """What a call costs, by the model asked for; "auto" by the dearest that it may turn into."""
        cards = self.pool.cards()
        if options.model == AUTO:
            return max(cards[name].cost for name in routing.PREFERENCE if name in cards)
        return cards[options.model].cost


def _read(given: bytes | Source) -> bytes:
    return given if isinstance(given, bytes) else given.read()
