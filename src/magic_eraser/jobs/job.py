"""A job as the rooms above see it: what goes in, what can be asked about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from magic_eraser.jobs.tables import ItemState, JobState


@dataclass(frozen=True, slots=True)
class NewItem:
    """A pair, its bytes kept already in the folder of the job's id (`db.blobs`); `size` is how many they are."""

    name: str
    image_blob: str
    mask_blob: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is asked for.

    Attributes:
        id: by `new_id`; also the folder of its blobs.
        items: in order, at least one.
        options: of every item, as `options.to_json` makes them.
        webhook_url: told when the job is over; None for nobody.
    """

    id: str
    items: tuple[NewItem, ...]
    options: dict[str, Any]
    webhook_url: str | None = None

    @property
    def size(self) -> int:
        """Bytes of all its pictures and masks."""
        return sum(item.size for item in self.items)


@dataclass(frozen=True, slots=True)
class Job:
    """Where a job stands. Moments are seconds since 1970, UTC."""

    id: str
    tenant_id: str
    state: JobState
    total: int
    succeeded: int
    failed: int
    sequence: int
    created_at: float
    finished_at: float | None
    expires_at: float | None

    @property
    def over(self) -> bool:
        return self.state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Item:
    """Where one of its pairs stands; `error*` where it failed or was cancelled, the rest where it succeeded."""

    index: int
    name: str
    state: ItemState
    attempts: int
    sequence: int | None
    error_code: str | None
    error: str | None
    error_zh: str | None
    result_blob: str | None
    format: str | None
    width: int | None
    height: int | None
    model: str | None
    seconds: float | None
    notices: tuple[str, ...]

    @property
    def success(self) -> bool | None:
        """None while open; False for one that failed or was cancelled."""
        if self.state in (ItemState.QUEUED, ItemState.LEASED):
            return None
        return self.state is ItemState.SUCCEEDED
