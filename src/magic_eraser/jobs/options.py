"""What is asked of a job's items, as it lies in its row, and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from magic_eraser.service.request import EraseOptions, Keeping, OutputOptions


def to_json(
    options: EraseOptions, output: OutputOptions, keeping: Keeping = Keeping.ALLOWED
) -> dict[str, Any]:
    """JSON values, by name."""
    return {"erase": asdict(options), "output": asdict(output), "keeping": keeping}


def from_json(kept: dict[str, Any]) -> tuple[EraseOptions, OutputOptions, Keeping]:
    """As they were; a name that a later version wrote and this one does not know stops it with `TypeError`."""
    keeping = Keeping(kept.get("keeping", Keeping.ALLOWED))
    return EraseOptions(**kept["erase"]), OutputOptions(**kept["output"]), keeping
