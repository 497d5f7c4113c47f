"""What the routes work with: built once by `create_app`, reached through `deps`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from magic_eraser.hosting.pool import ModelPool
from magic_eraser.hosting.workers import Workers
from magic_eraser.models.weights import WeightStore
from magic_eraser.service.admission import SlotAdmission
from magic_eraser.service.erase import EraseService
from magic_eraser.service.images import ImageStore
from magic_eraser.settings import Settings
from magic_eraser.telemetry.metrics import Metrics


@dataclass(slots=True)
class Rooms:
    """One of each, for the life of an app."""

    settings: Settings
    service: EraseService
    pool: ModelPool
    weights: WeightStore
    workers: Workers
    admission: SlotAdmission
    images: ImageStore
    metrics: Metrics
    started: bool = False
    since: float = field(default_factory=time.monotonic)

    @property
    def state(self) -> Literal["starting", "ready", "draining"]:
        """starting, ready or draining."""
        if self.admission.draining:
            return "draining"
        return "ready" if self.started else "starting"
