"""Everything behind the routes, joined. Reads the plans and the pepper; the lifespan opens and closes the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product

from magic_eraser.accounts.plan_files import plan_file
from magic_eraser.accounts.plans import Plans
from magic_eraser.api.accounts import build_accounts
from magic_eraser.api.rooms import Rooms
from magic_eraser.billing.quota import NullQuota, Quota
from magic_eraser.db.blobs import Blobs
from magic_eraser.db.database import Database
from magic_eraser.hosting import cores
from magic_eraser.hosting.options import HostingOptions
from magic_eraser.hosting.pool import LocalPool, ModelPool, ModelState
from magic_eraser.hosting.workers import Workers
from magic_eraser.jobs.allowance import Allowance
from magic_eraser.jobs.claims import Claims
from magic_eraser.jobs.endings import nobody_waits
from magic_eraser.jobs.runner import JobRunner, owner_name
from magic_eraser.jobs.store import JobStore
from magic_eraser.jobs.webhook_address import Gate
from magic_eraser.jobs.webhook_store import WebhookStore
from magic_eraser.jobs.webhooks import WebhookSender
from magic_eraser.models.availability import why_not
from magic_eraser.models.entry import Entry
from magic_eraser.models.weights import WeightStore
from magic_eraser.service.activity import Activity
from magic_eraser.service.admission import SlotAdmission
from magic_eraser.service.cache import Cache
from magic_eraser.service.cache.make import cache_of
from magic_eraser.service.erase import EraseService
from magic_eraser.service.idempotency.keys import IdempotencyKeys
from magic_eraser.service.images import ImageStore
from magic_eraser.service.metering import Metering
from magic_eraser.service.rates import NullRates, Rates
from magic_eraser.service.redis_link import RedisLink
from magic_eraser.service.safety import ContentFilter
from magic_eraser.service.storage import blobs_of, database_of
from magic_eraser.settings import ModelSettings, Settings
from magic_eraser.telemetry.active import ActiveUsers
from magic_eraser.telemetry.logging import get_logger
from magic_eraser.telemetry.metrics import Metrics
from magic_eraser.usage.log import BufferedUsage, DatabaseUsage, UsageLog
from magic_eraser.usage.reports import Reports

log = get_logger(__name__)

ANSWER_MARGIN = 15.0
"""Seconds beyond the longest deadline after which a request with an `Idempotency-Key` is taken for dead: its decoding
before and its storing after the work are not in the deadline."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a deployment may bring of its own; the null twins where None."""

    quota: Quota | None = None
    content_filter: ContentFilter | None = None
    cache: Cache | None = None


def build_rooms(
    settings: Settings, weights: WeightStore, catalog: Mapping[str, Entry], ports: Ports
) -> Rooms:
    """One of each."""
    metrics = Metrics()
    users = ActiveUsers()
    database = database_of(settings)
    plans = Plans(plan_file.read(settings.plans_file))
    accounts = None
    if settings.auth.mode != "off":
        accounts = build_accounts(settings, database, plans, metrics)
    quota = ports.quota or (accounts.quota if accounts is not None else NullQuota())
    usage = BufferedUsage(database, plans)
    told = DatabaseUsage(plans)
    metrics.active_users.set_function(users.count)
    workers = Workers(settings.queue.slots)
    pool = _pool(settings, weights, catalog, workers, metrics)
    admission = SlotAdmission(
        settings.queue.slots,
        settings.queue.depth,
        aging_seconds=settings.queue.aging_seconds,
        on_refusal=metrics.refused,
    )
    metrics.queue_depth.set_function(lambda: admission.waiting)
    redis = _redis(settings, metrics)
    cache = ports.cache or cache_of(settings, redis, metrics.cache_result)
    activity = Activity()
    service = EraseService(
        pool,
        workers,
        admission=admission,
        metering=Metering(quota, usage=usage, hits=usage)
        if accounts is None
        else Metering(quota, database=database, usage=told, hits=usage),
        weigh=plans.weight,
        content_filter=ports.content_filter,
        cache=cache,
        activity=activity,
        where=weights.where,
        variant=_variant(settings.models),
        max_pixels=settings.limits.max_pixels,
        deadline_seconds=settings.queue.deadline_seconds,
        observe=metrics.observe_stage,
    )
    blobs = blobs_of(settings, database)
    batches = _batches(settings, database, blobs, service, quota, told)
    return Rooms(
        settings=settings,
        metrics=metrics,
        service=service,
        pool=pool,
        weights=weights,
        workers=workers,
        admission=admission,
        activity=activity,
        database=database,
        blobs=blobs,
        images=_images(settings),
        cache=cache,
        idempotency=IdempotencyKeys(
            database,
            blobs,
            ttl_seconds=settings.idempotency.ttl_seconds,
            lease_seconds=settings.queue.deadline_seconds + ANSWER_MARGIN,
        ),
        redis=redis,
        rates=_rates(settings, redis),
        users=users,
        plans=plans,
        accounts=accounts,
        usage=usage,
        usage_reports=Reports(database, plans),
        jobs=batches.jobs,
        runner=batches.runner,
        webhooks=batches.webhooks,
    )


def _pool(
    settings: Settings,
    weights: WeightStore,
    catalog: Mapping[str, Entry],
    workers: Workers,
    metrics: Metrics,
) -> LocalPool:
    def loaded(model: str, seconds: float) -> None:
        metrics.model_load_seconds.labels(model).observe(seconds)
        log.info("model_ready", model=model, seconds=round(seconds, 3))

    threads = settings.models.threads or cores.share(cores.usable_cores(), settings.queue.slots)
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
    for model, state in product(pool.cards(), ModelState):
        metrics.model_state.labels(model, state).set_function(partial(_is_in, pool, model, state))
    return pool


def _is_in(pool: ModelPool, model: str, state: ModelState) -> float:
    return float(pool.state(model) is state)


def _variant(models: ModelSettings) -> str:
    """What of the settings shows in the pixels of networks."""
    return f"{models.device}/{models.precision}/{models.low_memory}"


def _redis(settings: Settings, metrics: Metrics) -> RedisLink | None:
    url = settings.redis.url.get_secret_value()
    if not url:
        return None
    return RedisLink(url, timeout_seconds=settings.redis.timeout_seconds, on_error=metrics.redis_errors.inc)


def _rates(settings: Settings, redis: RedisLink | None) -> Rates:
    allowed = settings.limits.requests_per_minute
    if not allowed:
        return NullRates()
    from magic_eraser.service.limited_rates import LimitedRates

    return LimitedRates(allowed, redis)


def _images(settings: Settings) -> ImageStore:
    return ImageStore(
        settings.data_dir / "images",
        ttl_seconds=settings.images.ttl_seconds,
        max_bytes=settings.images.max_bytes,
    )


@dataclass(frozen=True, slots=True)
class _Batches:
    jobs: JobStore
    runner: JobRunner
    webhooks: WebhookSender | None


def _batches(
    settings: Settings,
    database: Database,
    blobs: Blobs,
    service: EraseService,
    quota: Quota,
    usage: UsageLog,
) -> _Batches:
    wanted, owner = settings.jobs, owner_name()
    secret = wanted.webhook_secret.get_secret_value()
    webhooks = None
    if secret:
        gate = Gate(wanted.webhook_allow)
        webhooks = WebhookSender(WebhookStore(database), secret, gate, owner=owner)
    on_over = nobody_waits if webhooks is None else webhooks.on_over
    claims = Claims(
        database,
        quota=quota,
        units=service.units,
        weight=service.weight,
        usage=usage,
        lease_seconds=wanted.lease_seconds,
        attempts=wanted.attempts,
        ttl_seconds=wanted.ttl_seconds,
        on_over=on_over,
    )
    runner = JobRunner(
        claims,
        service,
        blobs,
        concurrency=wanted.concurrency or max(1, settings.queue.slots - 1),
        item_seconds=wanted.item_seconds,
        owner=owner,
    )
    return _Batches(
        JobStore(
            database,
            blobs,
            ttl_seconds=wanted.ttl_seconds,
            on_over=on_over,
            allowance=Allowance(wanted.max_open, wanted.max_kept_bytes),
        ),
        runner,
        webhooks,
    )
