"""Prometheus metrics of one server; a registry of its own, so that several apps may live in one process."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

STAGE_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Every metric by name. No user, key or free text in a label."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every one, which nobody reads
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "iopaint_requests",
            "HTTP requests answered.",
            ("method", "endpoint", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "iopaint_request_duration_seconds",
            "Seconds from the first byte of a request to the last byte of its answer.",
            ("method", "endpoint"),
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "eraser_stage_seconds",
            "Seconds that an erase request spends in each stage.",
            ("stage", "model"),
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "eraser_queue_depth", "Erase requests waiting for a slot.", registry=self.registry
        )
        self.rejected = Counter(
            "eraser_admission_rejected",
            "Erase requests refused at the door.",
            ("reason",),
            registry=self.registry,
        )
        self.model_state = Gauge(
            "eraser_model_state",
            "1 for the state that a model is in, 0 for the others.",
            ("model", "state"),
            registry=self.registry,
        )
        self.model_load_seconds = Histogram(
            "eraser_model_load_seconds",
            "Seconds to make a model ready.",
            ("model",),
            registry=self.registry,
        )

        self.active_users = Gauge(
            "iopaint_active_users",
            "Callers (tenants, or addresses of those unknown) that asked for something in the last five minutes.",
            registry=self.registry,
        )
        self.cache_requests = Counter(
            "eraser_cache_requests",
            "What the result cache was asked, and what came of it.",
            ("backend", "result"),
            registry=self.registry,
        )
        self.redis_errors = Counter(
            "eraser_redis_errors",
            "Calls to Redis that failed; the work went on without.",
            registry=self.registry,
        )
        self.jobs = Gauge(
            "eraser_jobs",
            "Batch jobs in each state, as the database had them at the last look.",
            ("state",),
            registry=self.registry,
        )

        self.quota = Counter(
            "eraser_quota",
            "Calls reserved, settled, released, refunded, expired, refused, or done too late to be charged, by plan.",
            ("plan", "event"),
            registry=self.registry,
        )

    def quota_event(self, plan: str, event: str) -> None:
        """Something happened to a call of somebody on this plan."""
        self.quota.labels(plan, event).inc()

    def observe_stage(self, stage: str, model: str, seconds: float) -> None:
        """One stage of one erase request is over."""
        self.stage_seconds.labels(stage, model).observe(seconds)

    def refused(self, reason: str) -> None:
        """Somebody was turned away at the door; `reason` is the error's code."""
        self.rejected.labels(reason).inc()

    def cache_result(self, backend: str, result: str) -> None:
        """The cache was asked for something."""
        self.cache_requests.labels(backend, result).inc()

    def render(self) -> bytes:
        """The text exposition format, version 0.0.4."""
        return generate_latest(self.registry)
