"""The one path from a picture and a mask to the picture without the object. Every door takes it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import numpy as np

from magic_eraser.accounts.principal import LOCAL_OWNER, Principal
from magic_eraser.billing.quota import Reservation
from magic_eraser.errors import ImageTooLarge, PlanForbidsFeature
from magic_eraser.hosting.pool import ModelPool
from magic_eraser.hosting.workers import Workers
from magic_eraser.imaging.codec import Encoded, Probe, decode, encode, probe
from magic_eraser.imaging.mask import Mask, decode_mask, prepare_mask
from magic_eraser.imaging.photo import Photo
from magic_eraser.models import routing
from magic_eraser.models.card import ModelCard
from magic_eraser.models.catalog import AUTO, find
from magic_eraser.models.watch import Watch
from magic_eraser.service import preview
from magic_eraser.service.activity import Activity
from magic_eraser.service.admission import Admission, NullAdmission
from magic_eraser.service.cache import Cache, Kept, NullCache
from magic_eraser.service.cache.key import Where, key_of
from magic_eraser.service.flights import Flights
from magic_eraser.service.inpainting import Inpainting, Job, MayUse, Plan, anything
from magic_eraser.service.kept import from_kept, to_kept
from magic_eraser.service.metering import Metering
from magic_eraser.service.request import (
    ROUGH,
    EraseOptions,
    EraseRequest,
    EraseResult,
    Held,
    Keeping,
    Source,
)
from magic_eraser.service.safety import ContentFilter, NullFilter
from magic_eraser.service.stages import Observe, Stages

DECODED, FILLED = 0.1, 0.9
"""How much of the whole is done, as progress tells it, before and after the fill."""


def cost_of(card: ModelCard) -> int:
    """A model's weight as its card has it."""
    return card.cost


class EraseService:
    """Joins the rooms behind the doors.

    Args:
        pool: the models.
        workers: threads for decoding, composing and encoding.
        admission, content_filter, cache: ports; each has a null twin, which is the default.
        metering: counts the calls, and tells what was done for whom.
        weigh: how many calls' price a call of a model has.
        activity: told of all work.
        where, variant: see `Inpainting`.
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
        metering: Metering | None = None,
        weigh: Callable[[ModelCard], int] = cost_of,
        content_filter: ContentFilter | None = None,
        cache: Cache | None = None,
        activity: Activity | None = None,
        where: Where | None = None,
        variant: str = "",
        max_pixels: int = 50_000_000,
        deadline_seconds: float | None = None,
        observe: Observe | None = None,
    ) -> None:
        self.pool = pool
        self._workers = workers
        self._inpainting = Inpainting(pool, workers, where, variant)
        self._admission = admission or NullAdmission()
        self._metering = metering or Metering()
        self._weigh = weigh
        self._filter = content_filter or NullFilter()
        self._cache = cache or NullCache()
        self._flights: Flights[EraseResult] = Flights()
        self._activity = activity or Activity()
        self._max_pixels = max_pixels
        self._deadline_seconds = deadline_seconds
        self._observe = observe

    async def erase(
        self,
        principal: Principal,
        request: EraseRequest,
        watch: Watch | None = None,
        *,
        prepaid: Reservation | None = None,
    ) -> EraseResult:
        """Erase.

        Args:
            principal: who pays and whose cache it is.
            request: what to erase.
            watch: deadline, cancel and progress; the service's own deadline where None.
            prepaid: a hold that the caller settles or releases itself; one is taken here where None. A result from
                the cache costs nothing, in either case.

        Raises:
            EraserError: whatever went wrong; nothing is charged then.
        """
        watch = watch or Watch(self._deadline_seconds)
        stages = Stages()
        if request.options.model != AUTO:  # a wrong name need not wait in the queue
            principal.require_model(find(request.options.model, self.pool.cards()))
        with self._activity.busy() as slept:
            try:
                result = await self._kept_or_made(principal, request, watch, stages, prepaid)
                return result if slept is None else replace(result, slept=slept)
            finally:
                stages.report(self._observe)

    async def inspect(self, principal: Principal, image: bytes | Source, watch: Watch) -> Probe:
        """Format and size of an encoded picture, which is read whole.

        Raises:
            InvalidImage, UnsupportedFormat, ImageTooLarge: see `imaging.codec.decode`.
            QueueFull, Draining, DeadlineExceeded: see `Admission.enter`.
        """
        with self._activity.busy():
            async with self._admission.enter(principal, watch):
                return await self._workers.run(
                    watch, lambda: preview.inspect(_read(image), max_pixels=self._max_pixels)
                )

    async def preview(self, principal: Principal, image: bytes | Source, watch: Watch) -> bytes:
        """A JPEG that every browser shows; raises as `inspect` does."""
        with self._activity.busy():
            async with self._admission.enter(principal, watch):
                return await self._workers.run(
                    watch, lambda: preview.render(_read(image), max_pixels=self._max_pixels)
                )

    # --- the cache ------------------------------------------------------------------------------------

    async def _kept_or_made(
        self,
        principal: Principal,
        request: EraseRequest,
        watch: Watch,
        stages: Stages,
        prepaid: Reservation | None,
    ) -> EraseResult:
        """A kept result, without a slot; or one that is being made already; or a new one."""
        with stages.stage("cache"):
            key = await self._key(principal, request)
            if key is not None and request.keeping is Keeping.ALLOWED:
                kept = await self._cache.get(key)
                if kept is not None:
                    result = from_kept(kept, stages.seconds)
                    return await self._metering.hit(principal, result) if prepaid is None else result
        if key is None:
            return await self._admitted(principal, request, watch, stages, prepaid, None)
        result, shared = await self._flights.run(
            f"{principal.priority:d}:{key}",  # or somebody would wait in the place of an equal item of a job
            lambda: self._admitted(principal, request, watch, stages, prepaid, key),
            watch.remaining(),
        )
        if not shared:
            return result
        result = replace(result, cache="hit", reservation=None, units=0)
        return await self._metering.hit(principal, result) if prepaid is None else result

    async def _key(self, principal: Principal, request: EraseRequest) -> str | None:
        """By what the result would be found; None for one that is not to be kept."""
        image, mask = request.image, request.mask
        if (
            self._cache.backend == NullCache.backend
            or request.keeping is Keeping.FORBIDDEN
            or request.output is None
            or isinstance(image, Photo)
            or isinstance(mask, np.ndarray)
        ):
            return None

        def find_key() -> str:
            return key_of(
                principal.tenant_id,
                request,
                image=_digest(image),
                mask=_digest(mask),
                models=self._inpainting.fingerprint(request.options, principal.may_use),
                filter_id=self._filter.id,
            )

        return await asyncio.to_thread(find_key)

    # --- the work -------------------------------------------------------------------------------------

    async def _admitted(
        self,
        principal: Principal,
        request: EraseRequest,
        watch: Watch,
        stages: Stages,
        prepaid: Reservation | None,
        key: str | None,
    ) -> EraseResult:
        async with AsyncExitStack() as inside:
            for source in (request.image, request.mask):
                if isinstance(source, Held):
                    inside.enter_context(source.held())
            with stages.stage("queue"):
                stages.ahead = await inside.enter_async_context(self._admission.enter(principal, watch))
            if prepaid is not None:
                result, kept = await self._work(principal, request, watch, stages, key)
                await self._keep(key, kept)
                return result
            reservation = await self._metering.reserve(principal, self.units(request.options, principal))
            try:
                now = replace(principal, plan=reservation.plan)
                result, kept = await self._work(now, request, watch, stages, key)
            except BaseException:
                await self._metering.release(reservation)
                raise
            result = await self._metering.settle(principal, reservation, self.weight(result.model), result)
            await self._keep(
                key, kept
            )  # only now: what was not charged must not be had from the cache for nothing
            return result

    async def _keep(self, key: str | None, kept: Kept | None) -> None:
        if key is not None and kept is not None:
            await self._cache.put(key, kept)

    async def _work(
        self, principal: Principal, request: EraseRequest, watch: Watch, stages: Stages, key: str | None
    ) -> tuple[EraseResult, Kept | None]:
        """The result, and what of it is to be kept under `key`."""
        with stages.stage("decode"):
            photo, mask, plan = await self._workers.run(watch, self._open, principal, request, watch)
        watch.progress(DECODED)
        with stages.stage("filter"):
            await self._filter.check(photo, watch)
        stages.model = plan.steps[-1].model
        with stages.stage("inpaint"):
            may_use = _what_may_be_used(principal)
            job = Job(photo, mask, request.options, watch.part(DECODED, FILLED), may_use)
            filled = await self._inpainting.run(job, plan.steps)
            erased, stages.model = filled.photo, filled.model
        with stages.stage("encode"):
            encoded = await self._encode(erased, request, watch)
        notices = (*(erased.notices if encoded is None else encoded.notices), *filled.notices)
        result = EraseResult(
            photo=erased if encoded is None else None,
            encoded=encoded,
            model=filled.model,
            cache="bypass" if key is None else "miss",
            width=erased.width,
            height=erased.height,
            seconds=dict(stages.seconds),
            notices=(*notices, ROUGH) if watch.rough else notices,
            ahead=stages.ahead,
        )
        # not of one made in haste or by a stand-in: the next caller may have more time, or a model that works
        passing = watch.rough or filled.notices or plan.limited
        return result, None if key is None or passing else to_kept(result)

    # --- the steps ------------------------------------------------------------------------------------

    def _open(self, principal: Principal, request: EraseRequest, watch: Watch) -> tuple[Photo, Mask, Plan]:
        """Picture and mask decoded, and which models they are for: in one thread, as every change of threads costs."""
        image, mask = request.image, request.mask
        photo = image if isinstance(image, Photo) else self._decode(principal, image)
        hole = mask if isinstance(mask, np.ndarray) else decode_mask(_read(mask), max_pixels=self._max_pixels)
        options = request.options
        prepared = prepare_mask(hole, photo, dilate=options.dilate, feather=options.feather)
        return photo, prepared, self._inpainting.plan(options, prepared, watch, _what_may_be_used(principal))

    def _decode(self, principal: Principal, image: bytes | Source) -> Photo:
        """A picture that is too large for the plan is refused by its header, like one that is for the server."""
        most = principal.plan.max_pixels if principal.plan is not None else None
        if most is None or most >= self._max_pixels:
            return decode(_read(image), max_pixels=self._max_pixels)
        data = _read(image)
        try:
            return decode(data, max_pixels=most)
        except ImageTooLarge:
            found = probe(data, max_pixels=self._max_pixels)
        assert principal.plan is not None
        raise PlanForbidsFeature(
            f'The plan "{principal.plan.id}" takes pictures of at most {most:,} pixels; '
            f"this one has {found.width * found.height:,}.",
            f"套餐“{principal.plan.title_zh}”支持的图片最大为 {most:,} 像素，"
            f"此图片有 {found.width * found.height:,} 像素。",
            extra={"feature": "hd_processing", "plan": principal.plan.id, "max_pixels": most},
        )

    async def _encode(self, photo: Photo, request: EraseRequest, watch: Watch) -> Encoded | None:
        output = request.output
        if output is None:
            return None
        return await self._workers.run(watch, encode, photo, format=output.format, quality=output.quality)

    # --- facts ----------------------------------------------------------------------------------------

    def units(self, options: EraseOptions, principal: Principal = LOCAL_OWNER) -> int:
        """The weight of a call on its price, by the model asked for; "auto" by the heaviest that it may turn into."""
        cards = self.pool.cards()
        if options.model != AUTO:
            return self._weigh(find(options.model, cards))
        here = (cards[name] for name in routing.PREFERENCE if name in cards)
        return max((self._weigh(card) for card in here if principal.may_use(card)), default=1)

    def weight(self, model: str) -> int:
        """Of a model of this server."""
        return self._weigh(find(model, self.pool.cards()))


def _what_may_be_used(principal: Principal) -> MayUse:
    return anything if principal.plan is None else principal.plan.allows


def _read(given: bytes | Source) -> bytes:
    return given if isinstance(given, bytes) else given.read()


def _digest(given: bytes | Source) -> bytes:
    return hashlib.sha256(given).digest() if isinstance(given, bytes) else given.sha256()
