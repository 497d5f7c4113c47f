"""`create_app`: the only place that builds things. The lifespan closes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from importlib.util import find_spec

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from magic_eraser import __version__
from magic_eraser.api import docs, health, language, openapi, plan_reload, problems
from magic_eraser.api.building import Ports, build_rooms
from magic_eraser.api.compat import cleanup, iopaint, predict
from magic_eraser.api.housekeeping import keep_house
from magic_eraser.api.metered import admit, arrive
from magic_eraser.api.middleware import BodyCap, RequestContext
from magic_eraser.api.rooms import Rooms
from magic_eraser.api.routes import (
    account,
    billing,
    erase,
    images,
    jobs,
    keys,
    models,
    plans,
    subscription,
)
from magic_eraser.api.routes.admin import audit, money, usage, users
from magic_eraser.api.routes.admin import models as admin_models
from magic_eraser.billing.quota import Quota
from magic_eraser.db.upgrade import prepare
from magic_eraser.models.catalog import AUTO, find, offered
from magic_eraser.models.entry import Entry
from magic_eraser.models.weights import WeightStore
from magic_eraser.service.cache import Cache
from magic_eraser.service.safety import ContentFilter
from magic_eraser.settings import Settings
from magic_eraser.telemetry.logging import get_logger
from magic_eraser.ui import lazy, page

log = get_logger(__name__)

ROUTES = (
    erase, images, jobs, models, plans, account, keys, subscription, billing,
    users, money, usage, audit, admin_models, health, predict, iopaint, cleanup,
)  # fmt: skip
EXPOSED_HEADERS = [
    "X-Request-Id", "X-Eraser-Model", "X-Eraser-Cache", "X-Eraser-Image-Id", "X-Eraser-Notice", "X-Seed",
    "Server-Timing", "Retry-After", "RateLimit", "RateLimit-Policy", "Location", "Preference-Applied",
    "Idempotency-Replayed", "WWW-Authenticate", "X-Remaining-Credits", "X-Credits-Consumed",
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
    rooms = build_rooms(settings, weights, catalog, Ports(quota, content_filter, cache))
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
    for module in ROUTES:
        app.include_router(module.router)
    openapi.install(app)
    docs.install(app)
    page.install(app, framed=settings.auth.mode == "off")
    if settings.server.simple_ui and find_spec("gradio") is not None:
        _install_simple_mode(app, rooms)
    _install_middleware(app, rooms)
    return app


def _install_simple_mode(app: FastAPI, rooms: Rooms) -> None:
    app.state.simple_mode = lazy.LazySimpleMode(
        rooms.service,
        language=language.preferred,
        temp_dir=rooms.settings.data_dir / "ui",
        max_body_bytes=rooms.settings.limits.max_body_bytes,
        admit=partial(admit, rooms),
        arrive=partial(arrive, rooms),
    )
    lazy.install(app, app.state.simple_mode)


def _install_middleware(app: FastAPI, rooms: Rooms) -> None:
    """The last one is the outermost."""
    settings = rooms.settings
    app.add_middleware(
        BodyCap,
        max_bytes=settings.limits.max_body_bytes,
        caps={"/v1/jobs": settings.jobs.max_body_bytes},
        idle_seconds=settings.limits.body_idle_seconds,
        min_bytes_per_second=settings.limits.min_body_bytes_per_second,
    )
    if settings.server.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.server.cors_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )
    app.add_middleware(RequestContext, metrics=rooms.metrics)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    rooms: Rooms = app.state.rooms
    rooms.settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with AsyncExitStack() as closing:
        closing.push_async_callback(rooms.database.close)
        await prepare(rooms.database, upgrade_on_start=rooms.settings.database.upgrade_on_start)
        await plan_reload.check(rooms.plans.book, rooms.database, rooms.settings.plans_file)
        closing.push_async_callback(rooms.usage.stop)
        if rooms.accounts is not None:
            closing.push_async_callback(rooms.accounts.close)
            await rooms.accounts.open()
        for outside in (rooms.cache, rooms.rates, rooms.redis):
            if outside is not None:
                closing.push_async_callback(outside.close)
        closing.callback(rooms.workers.close)
        closing.push_async_callback(rooms.pool.close)
        if hasattr(app.state, "simple_mode"):
            closing.push_async_callback(app.state.simple_mode.close)
        _begin(rooms, closing)
        rooms.started = True
        log.info("ready", version=__version__)
        yield
        rooms.leaving = True
        rooms.admission.drain()
    log.info("stopped")


def _begin(rooms: Rooms, closing: AsyncExitStack) -> None:
    """What runs beside the requests."""
    rooms.runner.start()
    closing.push_async_callback(rooms.runner.stop)
    if rooms.webhooks is not None:
        rooms.webhooks.start()
        closing.push_async_callback(rooms.webhooks.stop)
    tasks = [asyncio.create_task(keep_house(rooms))]
    if rooms.settings.models.preload:
        tasks.append(asyncio.create_task(rooms.pool.preload(rooms.settings.models.preload)))
    for task in tasks:
        closing.push_async_callback(_stop, task)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
