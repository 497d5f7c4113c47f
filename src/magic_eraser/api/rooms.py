"""What the routes work with: built once by `create_app`, reached through `deps`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from magic_eraser.accounts.plans import Plans
from magic_eraser.api.accounts import Accounts
from magic_eraser.api.streams import EventStreams
from magic_eraser.db.blobs import Blobs
from magic_eraser.db.database import Database
from magic_eraser.hosting.pool import ModelPool
from magic_eraser.hosting.workers import Workers
from magic_eraser.jobs.runner import JobRunner
from magic_eraser.jobs.store import JobStore
from magic_eraser.jobs.webhooks import WebhookSender
from magic_eraser.models.weights import WeightStore
from magic_eraser.service.activity import Activity
from magic_eraser.service.admission import SlotAdmission
from magic_eraser.service.cache import Cache
from magic_eraser.service.erase import EraseService
from magic_eraser.service.idempotency.keys import IdempotencyKeys
from magic_eraser.service.images import ImageStore
from magic_eraser.service.rates import Rates
from magic_eraser.service.redis_link import RedisLink
from magic_eraser.settings import Settings
from magic_eraser.telemetry.active import ActiveUsers
from magic_eraser.telemetry.metrics import Metrics
from magic_eraser.usage.log import BufferedUsage
from magic_eraser.usage.reports import Reports


@dataclass(slots=True)
class Rooms:
    """One of each, for the life of an app."""

    settings: Settings
    metrics: Metrics
    # what erases
    service: EraseService
    pool: ModelPool
    weights: WeightStore
    workers: Workers
    admission: SlotAdmission
    activity: Activity
    # what is kept
    database: Database
    blobs: Blobs
    images: ImageStore
    cache: Cache
    idempotency: IdempotencyKeys
    redis: RedisLink | None
    # who asks, and how often
    rates: Rates
    users: ActiveUsers
    plans: Plans
    accounts: Accounts | None
    """None where nobody is asked who they are."""
    # what was used
    usage: BufferedUsage
    usage_reports: Reports
    # batches
    jobs: JobStore
    runner: JobRunner
    webhooks: WebhookSender | None
    """None where no secret is set to sign them with."""
    streams: EventStreams = field(default_factory=EventStreams)
    started: bool = False
    leaving: bool = False
    since: float = field(default_factory=time.monotonic)

    @property
    def state(self) -> Literal["starting", "ready", "draining"]:
        """starting, ready or draining."""
        if self.leaving or self.admission.draining:
            return "draining"
        return "ready" if self.started else "starting"
