"""Requests that become jobs: what they ask is judged first, then their pictures are kept, then they are accepted."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, cast

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.principal import Principal
from magic_eraser.api.body.spool import Upload
from magic_eraser.api.deps import unless_gone
from magic_eraser.api.erase_fields import EraseFields, options_of
from magic_eraser.api.forms import picture, validate
from magic_eraser.api.rooms import Rooms
from magic_eraser.api.views.jobs import JobView, path_of
from magic_eraser.errors import InvalidArchive, InvalidImage, StorageUnavailable, ValidationFailed
from magic_eraser.imaging.photo import Photo
from magic_eraser.jobs import options as job_options
from magic_eraser.jobs.intake import Given, IntakeLimits, forget, keep_archive, keep_pairs
from magic_eraser.jobs.job import Job, NewItem, NewJob
from magic_eraser.jobs.store import new_id
from magic_eraser.models.catalog import AUTO, find
from magic_eraser.service.request import EraseRequest, Keeping, Source

REPEATED = frozenset({"image", "mask"})


class JobFields(EraseFields):
    """The fields beside the pictures."""

    webhook_url: str | None = Field(default=None, max_length=2000, examples=["https://example.com/erased"])
    """Told when the job is over; see docs/jobs.md."""


class JobForm(JobFields):
    """A multipart form: pairs, or a ZIP."""

    image: list[Annotated[bytes, Field(json_schema_extra={"format": "binary"})]] = Field(default=[])
    """Pictures, each with a mask."""
    mask: list[Annotated[bytes, Field(json_schema_extra={"format": "binary"})]] = Field(default=[])
    """Masks, in the order of the pictures."""
    archive: Annotated[bytes | None, Field(json_schema_extra={"format": "binary"})] = None
    """A ZIP with `images/` and `masks/`, paired by name; instead of the two."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A new job, judged; its pictures not yet looked at."""

    options: dict[str, Any]
    webhook_url: str | None
    images: tuple[Given, ...] = ()
    masks: tuple[Given, ...] = ()
    archive: bytes | Upload | None = None


async def judge(
    rooms: Rooms, caller: Principal, fields: Mapping[str, Any], keeping: Keeping = Keeping.ALLOWED
) -> Asked:
    """The fields of `POST /v1/jobs`, judged.

    Raises:
        ValidationFailed: a field is not as expected, or pictures come both ways or not at all.
        UnknownModel, PlanForbidsModel: there is no such model, or not for this caller.
        InvalidImage, InvalidMask: base64 that is broken.
    """
    rest = dict(fields)
    images, masks = (_list(rest.pop(name, None)) for name in ("image", "mask"))
    archive = rest.pop("archive", None)
    asked = validate(JobFields, rest)
    wanted = _options(rooms, caller, asked, keeping)
    if asked.webhook_url is not None:
        await _check_webhook(rooms, asked.webhook_url)
    if archive is None:
        return Asked(wanted, asked.webhook_url, _given(images, "image"), _given(masks, "mask"))
    if images or masks:
        raise ValidationFailed(
            "Send pairs of image and mask or an archive, not both.", "image/mask 与 archive 只能提供一种。"
        )
    return Asked(wanted, asked.webhook_url, archive=_archive(archive))


async def accept(request: Request, rooms: Rooms, caller: Principal, asked: Asked) -> Response:
    """Keep the pictures and accept the job: 202. What a client that goes away had sent is let go.

    Raises:
        InvalidArchive, BatchTooLarge, ValidationFailed, StorageFull, StorageUnavailable: see `jobs.intake`; nothing
            is kept then.
        Cancelled: see `unless_gone`.
    """
    return await unless_gone(request, _accept(request, rooms, caller, asked))


async def as_job(
    request: Request, rooms: Rooms, caller: Principal, erase: EraseRequest, name: str = ""
) -> Response:
    """A request of `POST /v1/erase` as a job of one item: 202, `Preference-Applied: respond-async`.

    Args:
        erase: encoded picture and mask.
        name: of the picture; its own file name where it has one.

    Raises:
        UnknownModel: there is no such model.
        EraserError: as `accept`.
    """
    image, mask, output = erase.image, erase.mask, erase.output
    assert not isinstance(image, Photo)
    assert output is not None
    _check_model(rooms, caller, erase.options.model)
    asked = Asked(
        job_options.to_json(erase.options, output, erase.keeping),
        None,
        (Given(name or getattr(image, "filename", "") or "image", image),),
        (Given("mask", cast("bytes | Source", mask)),),
    )
    response = await accept(request, rooms, caller, asked)
    response.headers["Preference-Applied"] = "respond-async"
    return response


class UploadFile(io.RawIOBase):
    """An upload as a file that can be sought in; blocks as `Upload.read` does.

    Args:
        upload: what it reads.
    """

    def __init__(self, upload: Upload) -> None:
        super().__init__()
        self._upload = upload
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._upload.length}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))  # as a file: `zipfile` tries such places
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        with memoryview(buffer) as view:
            wanted = max(0, min(len(view), self._upload.length - self._at))
            data = self._upload.spool.read(self._upload.offset + self._at, wanted)
            view[: len(data)] = data
        self._at += len(data)
        return len(data)


# --- the fields ---------------------------------------------------------------------------------------


def _list(value: Any) -> list[Any]:
    """Of a form always a list; JSON may give one as itself."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _given(values: list[Any], name: str) -> tuple[Given, ...]:
    return tuple(Given(getattr(value, "filename", ""), picture(value, name)) for value in values)


def _archive(value: Any) -> bytes | Upload:
    try:
        return picture(value, "archive")
    except InvalidImage as error:
        raise InvalidArchive(error.detail, "archive 不是有效的 base64 文本。") from None


def _options(rooms: Rooms, caller: Principal, asked: EraseFields, keeping: Keeping) -> dict[str, Any]:
    options, output = options_of(asked, rooms.settings.models.default)
    _check_model(rooms, caller, options.model)
    return job_options.to_json(options, output, keeping)


def _check_model(rooms: Rooms, caller: Principal, model: str) -> None:
    if model != AUTO:
        caller.require_model(find(model, rooms.pool.cards()))  # a wrong name would be every item's


async def _check_webhook(rooms: Rooms, url: str) -> None:
    if rooms.webhooks is None:
        message = (
            "webhooks are not set up here: the server has no ERASER_JOBS__WEBHOOK_SECRET to sign them with"
        )
        raise ValidationFailed(
            f"The webhook_url is refused: {message}.",
            "webhook_url 被拒绝：服务器未设置 ERASER_JOBS__WEBHOOK_SECRET。",
            extra={"errors": [{"pointer": "/webhook_url", "message": message}]},
        )
    await rooms.webhooks.gate.destination(url)


# --- the job ------------------------------------------------------------------------------------------


async def _accept(request: Request, rooms: Rooms, caller: Principal, asked: Asked) -> Response:
    job_id = new_id()
    with rooms.activity.busy():
        items = await _keep(rooms, job_id, asked)
        job = await _create(rooms, caller, NewJob(job_id, items, asked.options, asked.webhook_url))
        rooms.runner.wake()
        view = JobView.of(request, job, await rooms.jobs.items(caller.tenant_id, job_id))
    headers = {"Location": path_of(request, job_id), "Cache-Control": "no-store"}
    return JSONResponse(view.as_json(), 202, headers)


async def _keep(rooms: Rooms, job_id: str, asked: Asked) -> tuple[NewItem, ...]:
    limits = IntakeLimits.of(rooms.settings)
    if asked.archive is None:
        return await keep_pairs(rooms.blobs, job_id, asked.images, asked.masks, limits)
    return await keep_archive(rooms.blobs, job_id, _file(asked.archive), limits)


def _file(archive: bytes | Upload) -> BinaryIO:
    if isinstance(archive, bytes):
        return io.BytesIO(archive)
    return io.BufferedReader(UploadFile(archive), 256 * 1024)


async def _create(rooms: Rooms, caller: Principal, new: NewJob) -> Job:
    creating = asyncio.ensure_future(rooms.jobs.create(caller, new))
    try:
        return await asyncio.shield(creating)
    except asyncio.CancelledError:
        await asyncio.wait({creating})  # accepted or not: pictures of no job are swept
        raise
    except StorageUnavailable:  # the answer may have been lost after the job was accepted
        raise
    except BaseException:
        await forget(rooms.blobs, new.id)
        raise
