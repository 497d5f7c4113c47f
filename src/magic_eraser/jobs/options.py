"""The options of a job's items, as they lie in its row, and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from magic_eraser.service.request import EraseOptions, OutputOptions


def to_json(options: EraseOptions, output: OutputOptions) -> dict[str, Any]:
    """JSON values, by name."""
    return {"erase": asdict(options), "output": asdict(output)}


def from_json(kept: dict[str, Any]) -> tuple[EraseOptions, OutputOptions]:
    """As they were; a name that a later version wrote and this one does not know stops it with `TypeError`."""
    return EraseOptions(**kept["erase"]), OutputOptions(**kept["output"])
