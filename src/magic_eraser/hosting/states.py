"""The states of a model between the catalogue and memory."""

from __future__ import annotations

from enum import StrEnum


class ModelState(StrEnum):
    """Where a model is between the catalogue and memory."""

    ABSENT = "absent"
    LOADING = "loading"
    READY = "ready"
    UNLOADING = "unloading"
    FAILED = "failed"
