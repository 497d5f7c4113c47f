"""What a model's loader is told: on what, how finely, and from which files it is to run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Precision(StrEnum):
    """Of a network's arithmetic. `auto`: bfloat16 where the processor or GPU has instructions for it."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True)
class Setup:
    """How a model is to run; can be pickled, so that a child process can be told.

    Attributes:
        threads: processor cores that one fill may use, >= 1.
        device: "auto" (a GPU where there is one that works), "cpu", "cuda" or "cuda:N".
        precision: see there.
        weights: the files of `ModelCard.weights`, in its order; none for a model without.
        low_memory: take less memory at the price of time.
        cpu_offload: on a GPU, keep weights in main memory and bring them over for each fill.
    """

    threads: int = 1
    device: str = "auto"
    precision: Precision = Precision.AUTO
    weights: tuple[Path, ...] = ()
    low_memory: bool = False
    cpu_offload: bool = False
