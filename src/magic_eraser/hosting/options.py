"""How models are held: what the operator decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from magic_eraser.hosting import memory
from magic_eraser.models.setup import Precision
from magic_eraser.settings import ModelSettings

SHARE = 0.6
"""Of the machine's memory that models may take where nobody says: the rest is for pictures and everybody else."""


@dataclass(frozen=True, slots=True)
class HostingOptions:
    """See `settings.ModelSettings`, whose words these are.

    Attributes:
        isolation: where networks run: each in a process of its own, or in this one.
        network_threads: cores that a network uses; all that there are where 0, as one runs at a time.
        device, precision, cpu_offload, low_memory: see `models.setup.Setup`.
        budget_mb: MiB that models may take together; `SHARE` of the memory where 0.
        idle_seconds: after its last use that a model goes; 0 for never.
        idle_seconds_of: the same for single models, by id.
    """

    isolation: Literal["process", "thread"] = "thread"
    network_threads: int = 0
    device: str = "auto"
    precision: Precision = Precision.AUTO
    cpu_offload: bool = False
    low_memory: bool = False
    budget_mb: int = 0
    idle_seconds: float = 0.0
    idle_seconds_of: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: ModelSettings) -> HostingOptions:
        pairs = (part.split("=") for part in settings.idle_unload_of)
        return cls(
            isolation=settings.isolation,
            network_threads=settings.threads,
            device=settings.device,
            precision=Precision(settings.precision),
            cpu_offload=settings.cpu_offload,
            low_memory=settings.low_memory,
            budget_mb=settings.memory_budget_mb,
            idle_seconds=settings.idle_unload_seconds,
            idle_seconds_of={model: float(seconds) for model, seconds in pairs},
        )

    def budget(self) -> int:
        """MiB, > 0."""
        return self.budget_mb or int(memory.total_mb() * SHARE)
