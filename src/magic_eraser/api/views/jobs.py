"""Jobs as the wire shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from magic_eraser.api import language
from magic_eraser.errors import Cancelled, EraserError, InternalError, error_types
from magic_eraser.jobs.job import Item, Job
from magic_eraser.jobs.tables import ItemState, JobState

CANCELLED = Cancelled("The job was cancelled before this picture was done.", "任务已取消，这张图片未完成。")


class ItemView(BaseModel):
    """One pair of a job."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    index: int
    """From 0, in the order of the pairs."""
    name: str
    """Of the picture's file."""
    success: bool | None
    """null while it is open."""
    error: str | None
    """What went wrong and what to do, in the reader's language."""
    code: str | None
    """The same for programs; see docs/errors.md."""
    state: ItemState
    """queued, leased (being worked on), succeeded, failed, cancelled."""
    attempts: int
    """How often it was begun."""
    model: str | None
    """The model that ran."""
    format: str | None
    width: int | None
    height: int | None
    seconds: float | None
    """That it took, waiting included."""
    notices: list[str]
    """Codes of what the format could not carry, the time did not allow or a model could not do."""
    result: str | None
    """Where its picture is, once it is there."""

    @classmethod
    def of(cls, request: Request, job_id: str, item: Item) -> ItemView:
        zh = language.of(request) == "zh"
        error, code = item.error_zh if zh else item.error, item.error_code
        if item.state is ItemState.CANCELLED and code is None:
            error, code = (CANCELLED.detail_zh if zh else CANCELLED.detail), CANCELLED.code
        return cls(
            index=item.index,
            name=item.name,
            success=item.success,
            error=error,
            code=code,
            state=item.state,
            attempts=item.attempts,
            model=item.model,
            format=item.format,
            width=item.width,
            height=item.height,
            seconds=None if item.seconds is None else round(item.seconds, 3),
            notices=list(item.notices),
            result=f"{path_of(request, job_id)}/items/{item.index}" if item.success else None,
        )


class JobLinks(BaseModel):
    """Paths on this server."""

    self: str
    events: str
    archive: str


class JobView(BaseModel):
    """Where a job stands."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    """128 random bits."""
    state: JobState
    """queued, running, succeeded, failed (some item failed; the others have their results), cancelled."""
    total: int
    succeeded: int
    failed: int
    created_at: datetime
    finished_at: datetime | None
    """When it was over."""
    expires_at: datetime | None
    """When it goes, with its pictures; null while it is open."""
    links: JobLinks
    items: list[ItemView] | None = None
    """Left out in lists and events."""

    @classmethod
    def of(cls, request: Request, job: Job, items: Sequence[Item] | None = None) -> JobView:
        path = path_of(request, job.id)
        return cls(
            id=job.id,
            state=job.state,
            total=job.total,
            succeeded=job.succeeded,
            failed=job.failed,
            created_at=_moment(job.created_at),
            finished_at=None if job.finished_at is None else _moment(job.finished_at),
            expires_at=None if job.expires_at is None else _moment(job.expires_at),
            links=JobLinks(self=path, events=f"{path}/events", archive=f"{path}/archive"),
            items=None if items is None else [ItemView.of(request, job.id, item) for item in items],
        )

    def as_json(self) -> dict[str, object]:
        """JSON values; `items` only where they are told."""
        return self.model_dump(mode="json", exclude={"items"} if self.items is None else None)


class JobList(BaseModel):
    """Some of a caller's jobs, newest first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    jobs: list[JobView]
    next: str | None
    """The `after` of the next page; null on the last."""


def path_of(request: Request, job_id: str) -> str:
    """Where the job is, as the client has to ask for it."""
    return f"{request.scope.get('root_path', '')}/v1/jobs/{job_id}"


def error_of(item: Item) -> EraserError:
    """What an item failed by, to be raised again; asking for it again helps nobody, so it names no time."""
    kind = next((kind for kind in error_types() if kind.code == item.error_code), InternalError)
    detail = (item.error or kind.title).removesuffix(kind.hint).rstrip()
    error = kind(detail, (item.error_zh or kind.title_zh).removesuffix(kind.hint_zh))
    error.retry_after = None
    return error


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
