"""`create_app`: the only place that builds things. The lifespan closes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from importlib.util import find_spec
from itertools import product

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from magic_eraser import __version__
from magic_eraser.api import docs, health, language, openapi, problems
from magic_eraser.api.compat import iopaint, predict
from magic_eraser.api.middleware import BodyCap, RequestContext
from magic_eraser.api.rooms import Rooms
from magic_eraser.api.routes import erase, images, models
from magic_eraser.billing.quota import Quota
from magic_eraser.hosting import cores, memory
from magic_eraser.hosting.options import HostingOptions
from magic_eraser.hosting.pool import LocalPool, ModelPool, ModelState
from magic_eraser.hosting.workers import Workers
from magic_eraser.models.availability import why_not
from magic_eraser.models.catalog import AUTO, find, offered
from magic_eraser.models.entry import Entry
from magic_eraser.models.weights import WeightStore
from magic_eraser.service.admission import SlotAdmission
from magic_eraser.service.cache import Cache
from magic_eraser.service.erase import EraseService
from magic_eraser.service.images import ImageStore
from magic_eraser.service.safety import ContentFilter
from magic_eraser.settings import Settings
from magic_eraser.telemetry.logging import get_logger
from magic_eraser.telemetry.metrics import Metrics
from magic_eraser.ui import lazy, page

log = get_logger(__name__)

HOUSEKEEPING_SECONDS = 60.0
EXPOSED_HEADERS = [
    "X-Request-Id", "X-Eraser-Model", "X-Eraser-Cache", "X-Eraser-Image-Id", "X-Eraser-Notice", "X-Seed",
    "Server-Timing", "Retry-After",
]  # fmt: skip


def create_app(
    settings: Settings | None = None,
    *,
    catalog: Mapping[str, Entry] | None = None,
    quota: Quota | None = None,
    content_filter: ContentFilter | None = None,
    cache: Cache | None = None,
) -> FastAPI:
    """The whole server.

    Args:
        settings: read from the environment where None.
        catalog: the models on offer; the house's own and those added to the weights folder where None.
        quota, content_filter, cache: ports; their null twins where None.

    Raises:
        SettingsError: see `Settings.load`.
        UnknownModel: the default model, or one to be preloaded, is not in the catalogue.
    """
    settings = settings or Settings.load()
    weights = WeightStore.from_settings(settings.weights)
    if catalog is None:
        catalog = offered(weights)
    for named in {settings.models.default, *settings.models.preload} - {AUTO}:
        find(named, catalog)
    rooms = build_rooms(settings, weights, catalog, quota, content_filter, cache)
    app = FastAPI(
        title="Magic Eraser 魔术橡皮擦",
        summary="Give it a photograph and a mask, get the photograph back without the object.",
        version=__version__,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    # Set here and not by uvicorn, which would prepend it to every path: so a proxy may strip the prefix or not.
    app.root_path = settings.server.root_path
    app.state.rooms = rooms
    problems.install(app)
    for module in (erase, images, models, health, predict, iopaint):
        app.include_router(module.router)
    openapi.install(app)
    docs.install(app)
    page.install(app)
    if settings.server.simple_ui and find_spec("gradio") is not None:
        app.state.simple_mode = lazy.LazySimpleMode(
            rooms.service,
            language=language.preferred,
            temp_dir=settings.data_dir / "ui",
            max_body_bytes=settings.limits.max_body_bytes,
        )
        lazy.install(app, app.state.simple_mode)
    app.add_middleware(BodyCap, max_bytes=settings.limits.max_body_bytes)
    if settings.server.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.server.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )
    app.add_middleware(RequestContext, metrics=rooms.metrics)
    return app


def build_rooms(
    settings: Settings,
    weights: WeightStore,
    catalog: Mapping[str, Entry],
    quota: Quota | None,
    content_filter: ContentFilter | None,
    cache: Cache | None,
) -> Rooms:
    """Everything behind the routes, joined. Does no I/O."""
    metrics = Metrics()
    slots = settings.queue.slots
    workers = Workers(slots)

    def loaded(model: str, seconds: float) -> None:
        metrics.model_load_seconds.labels(model).observe(seconds)
        log.info("model_ready", model=model, seconds=round(seconds, 3))

    threads = settings.models.threads or cores.share(cores.usable_cores(), slots)
    cores.limit_opencv(threads)
    pool = LocalPool(
        workers,
        catalog,
        threads=threads,
        on_load=loaded,
        options=HostingOptions.of(settings.models),
        why_not=lambda card: why_not(card, weights, settings.models.accepted_licences),
        weights=weights.paths,
    )
    admission = SlotAdmission(slots, settings.queue.depth, on_refusal=metrics.refused)
    metrics.queue_depth.set_function(lambda: admission.waiting)
    for model, state in product(pool.cards(), ModelState):
        metrics.model_state.labels(model, state).set_function(partial(_is_in, pool, model, state))
    service = EraseService(
        pool,
        workers,
        admission=admission,
        quota=quota,
        content_filter=content_filter,
        cache=cache,
        max_pixels=settings.limits.max_pixels,
        deadline_seconds=settings.queue.deadline_seconds,
        observe=metrics.observe_stage,
    )
    images = ImageStore(
        settings.data_dir / "images",
        ttl_seconds=settings.images.ttl_seconds,
        max_bytes=settings.images.max_bytes,
    )
    return Rooms(settings, service, pool, weights, workers, admission, images, metrics)


def _is_in(pool: ModelPool, model: str, state: ModelState) -> float:
    return float(pool.state(model) is state)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    rooms: Rooms = app.state.rooms
    async with AsyncExitStack() as closing:
        closing.callback(rooms.workers.close)
        closing.push_async_callback(rooms.pool.close)
        if hasattr(app.state, "simple_mode"):
            closing.push_async_callback(app.state.simple_mode.close)
        keeper = asyncio.create_task(_keep_house(rooms))
        closing.push_async_callback(_stop, keeper)
        if rooms.settings.models.preload:
            preload = asyncio.create_task(rooms.pool.preload(rooms.settings.models.preload))
            closing.push_async_callback(_stop, preload)
        rooms.started = True
        log.info("ready", version=__version__)
        yield
        rooms.admission.drain()
    log.info("stopped")


async def _keep_house(rooms: Rooms) -> None:
    """Once a minute: files whose time is over go, and so does the memory of requests that are done."""
    while True:
        try:
            await asyncio.to_thread(rooms.images.sweep)
        except OSError:
            log.exception("sweep_failed")
        if rooms.admission.running == 0:
            await asyncio.to_thread(memory.give_back)
        await asyncio.sleep(HOUSEKEEPING_SECONDS)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
