"""Pictures of a new job into its folder of blobs, checked on the way; all of them or none."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO

from magic_eraser.db.blobs import Blobs
from magic_eraser.errors import BatchTooLarge, EraserError, InvalidArchive, ValidationFailed
from magic_eraser.jobs.job import NewItem
from magic_eraser.jobs.zip_intake import Archive, Member, ZipLimits
from magic_eraser.service.request import Source
from magic_eraser.settings import Settings
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

LONGEST_NAME = 200
"""Characters; see `jobs.tables`."""
_NOT_A_NAME = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """How much one job may hold.

    Attributes:
        items: pairs of picture and mask.
        bytes: of all pictures and masks together, unpacked.
        each_bytes: of one picture or mask, unpacked.
    """

    items: int
    bytes: int
    each_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> IntakeLimits:
        each = min(settings.limits.max_body_bytes, settings.jobs.max_body_bytes)
        return cls(settings.jobs.max_items, settings.jobs.max_body_bytes, each)


@dataclass(frozen=True, slots=True)
class Given:
    """A picture or a mask as it came.

    Attributes:
        name: as the client calls it; may be empty.
    """

    name: str
    content: bytes | Source


async def keep_pairs(
    blobs: Blobs, job_id: str, images: Sequence[Given], masks: Sequence[Given], limits: IntakeLimits
) -> tuple[NewItem, ...]:
    """Keep the first picture with the first mask, and so on; nothing is decoded. One picture is in memory at a time.

    Args:
        job_id: the folder of the blobs.

    Raises:
        ValidationFailed: none, or not as many masks as pictures.
        BatchTooLarge: more, or larger, than `limits` allow.
        StorageFull, StorageUnavailable: see `Blobs.put`. Nothing is left in the folder, whatever is raised.
    """
    if not images or len(images) != len(masks):
        raise ValidationFailed(
            f"There are {len(images)} images and {len(masks)} masks; each image needs one mask, in the same order.",
            f"共有 {len(images)} 张图片和 {len(masks)} 张蒙版；每张图片需按相同顺序对应一张蒙版。",
            extra={"errors": [{"pointer": "/mask", "message": "one for each image is required"}]},
        )
    _check_count(len(images), limits)
    items = []
    left = limits.bytes
    async with _all_or_none(blobs, job_id):
        for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
            name = tidy_name(image.name) or f"image-{number + 1}"
            ids, before = [], left
            for given in (image, mask):
                data = await asyncio.to_thread(_read, given.content)
                left -= len(data)
                _check_size(name, len(data), left, limits)
                ids.append(await blobs.put(job_id, data))
            items.append(NewItem(name, ids[0], ids[1], before - left))
    return tuple(items)


async def keep_archive(
    blobs: Blobs, job_id: str, file: BinaryIO, limits: IntakeLimits
) -> tuple[NewItem, ...]:
    """Keep the pairs of a ZIP with the folders `images/` and `masks/`, in the order of their names; see `zip_intake`.
    One picture is in memory at a time.

    Args:
        file: can be sought in; read by worker threads, never by two at once.

    Raises:
        InvalidArchive: not such a ZIP, one that is made to do harm, or one with a picture that has no mask.
        BatchTooLarge: more, or larger, than `limits` allow.
        StorageFull, StorageUnavailable: see `Blobs.put`. Nothing is left in the folder, whatever is raised.
    """
    zip_limits = ZipLimits(pairs=limits.items, total_bytes=limits.bytes, member_bytes=limits.each_bytes)
    archive = await asyncio.to_thread(Archive, file, zip_limits)
    try:
        pairs = await asyncio.to_thread(archive.pairs)
        if not pairs:
            raise InvalidArchive(
                "The archive holds no pictures in images/.", "压缩包的 images/ 文件夹中没有图片。"
            )
        _check_count(len(pairs), limits)
        items: list[NewItem] = []
        async with _all_or_none(blobs, job_id):
            for image, mask in pairs:
                kept = [await _put(blobs, job_id, archive, member) for member in (image, mask)]
                name = tidy_name(image.name) or f"image-{len(items) + 1}"
                (image_blob, image_size), (mask_blob, mask_size) = kept
                items.append(NewItem(name, image_blob, mask_blob, image_size + mask_size))
        return tuple(items)
    finally:
        archive.close()


def tidy_name(name: str) -> str:
    """A file's name as it is shown again: without folders and control characters, at most 200 characters, the end of
    a longer one kept for its extension."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    clean = unicodedata.normalize("NFC", _NOT_A_NAME.sub("", last)).strip()
    if clean in (".", ".."):
        return ""
    if len(clean) <= LONGEST_NAME:
        return clean
    stem, dot, extension = clean.rpartition(".")
    if not dot or len(extension) > 10:
        return clean[:LONGEST_NAME]
    return f"{stem[: LONGEST_NAME - len(extension) - 1]}.{extension}"


async def _put(blobs: Blobs, job_id: str, archive: Archive, member: Member) -> tuple[str, int]:
    """The id, and how many bytes it has."""
    data = await asyncio.to_thread(archive.read, member)
    return await blobs.put(job_id, data), len(data)


@asynccontextmanager
async def _all_or_none(blobs: Blobs, folder: str) -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        await asyncio.shield(forget(blobs, folder))
        raise


async def forget(blobs: Blobs, folder: str) -> None:
    """Let the pictures of a job go that does not come about."""
    try:
        await blobs.delete_folder(folder)
    except EraserError as error:  # what stays is swept as a folder of no job
        log.warning("intake_left_behind", job=folder, reason=error.code)


def _read(content: bytes | Source) -> bytes:
    return content if isinstance(content, bytes) else content.read()


def _check_count(count: int, limits: IntakeLimits) -> None:
    if count > limits.items:
        raise BatchTooLarge(
            f"The job has {count} pictures; at most {limits.items} are taken.",
            f"任务包含 {count} 张图片，最多 {limits.items} 张。",
            extra={"max_items": limits.items},
        )


def _check_size(name: str, size: int, left: int, limits: IntakeLimits) -> None:
    if size > limits.each_bytes:
        raise BatchTooLarge(
            f'"{name}" or its mask has {size} bytes; at most {limits.each_bytes} are taken.',
            f"“{name}”或其蒙版为 {size} 字节，上限为 {limits.each_bytes} 字节。",
            extra={"max_bytes": limits.each_bytes},
        )
    if left < 0:
        raise BatchTooLarge(
            f'The pictures are larger than {limits.bytes} bytes together, from "{name}" on.',
            f"图片总大小超过 {limits.bytes} 字节（自“{name}”起）。",
            extra={"max_bytes": limits.bytes},
        )
