"""`/v1/images`: upload once, erase many times."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from magic_eraser.accounts.principal import Scope
from magic_eraser.api.accept import prefers_image
from magic_eraser.api.deps import Caller, Needs, Seconds, TheRooms, WhileOpen, unless_gone
from magic_eraser.api.forms import picture, read_fields
from magic_eraser.api.metered import Metered
from magic_eraser.api.problems import responses
from magic_eraser.imaging.codec import FORMATS
from magic_eraser.models.watch import Watch
from magic_eraser.service.images import StoredImage

router = APIRouter(prefix="/v1/images", tags=["images"])

_UPLOAD_SCHEMA = {
    "type": "object",
    "required": ["image"],
    "properties": {"image": {"type": "string", "format": "binary"}},
}
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _UPLOAD_SCHEMA},
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "description": "base64 or data URL"}},
                }
            },
        },
    }
}
_BYTES: dict[int | str, dict[str, Any]] = {200: {"description": "The picture", "content": {"image/*": {}}}}

_PREVIEW: dict[int | str, dict[str, Any]] = {
    200: {"description": "At most 4096 px a side", "content": {"image/jpeg": {}}}
}


class Image(BaseModel):
    """A picture kept for a while; only its owner can see it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    """128 random bits."""
    width: int
    """Pixels, EXIF orientation applied: the size that a mask must have."""
    height: int
    format: str
    """png, jpeg, webp, avif, bmp, tiff, gif or heif."""
    bytes: int
    """Size of the file."""
    expires_at: datetime
    """When it goes."""

    @classmethod
    def of(cls, stored: StoredImage) -> Image:
        return cls(
            id=stored.id,
            width=stored.width,
            height=stored.height,
            format=stored.format,
            bytes=stored.size,
            expires_at=stored.expires_at,
        )


@router.post(
    "",
    status_code=201,
    dependencies=[WhileOpen, Needs(Scope.ERASE), Metered],
    summary="Upload a picture",
    response_model=Image,
    responses=responses(400, 401, 403, 408, 413, 415, 422, 429, 503, 504, 507),
    openapi_extra=_UPLOAD,
)
async def upload(request: Request, rooms: TheRooms, caller: Caller, seconds: Seconds) -> Image:
    """The picture is read whole, so that a broken file is refused here and not at the first erase."""
    fields = await read_fields(request)
    data = picture(fields.get("image"), "image")
    facts = await unless_gone(request, rooms.service.inspect(caller, data, Watch(seconds)))

    def keep() -> StoredImage:
        content = data if isinstance(data, bytes) else data.read()
        size = {"width": facts.width, "height": facts.height}
        return rooms.images.put(caller.tenant_id, content, **size, format=facts.format)

    return Image.of(await asyncio.to_thread(keep))


@router.get(
    "/{image_id}",
    dependencies=[Needs(Scope.ERASE)],
    summary="Its facts, or its bytes",
    response_model=Image,
    responses={200: {"content": {"image/*": {}}}, **responses(401, 403, 404)},
)
async def show(image_id: str, request: Request, rooms: TheRooms, caller: Caller) -> Image | Response:
    """JSON; the picture itself where `Accept` asks for an image, as an `<img>` does."""
    if prefers_image(request):
        return await content(image_id, rooms, caller)
    return Image.of(await asyncio.to_thread(rooms.images.get, caller.tenant_id, image_id))


@router.get(
    "/{image_id}/content",
    dependencies=[Needs(Scope.ERASE)],
    summary="Its bytes, as they were sent",
    response_class=Response,
    responses={**_BYTES, **responses(401, 403, 404)},
)
async def content(image_id: str, rooms: TheRooms, caller: Caller) -> Response:
    stored = await asyncio.to_thread(rooms.images.get, caller.tenant_id, image_id)
    data = await asyncio.to_thread(stored.read)
    return Response(
        data, media_type=FORMATS[stored.format].media_type, headers={"Cache-Control": "private, no-store"}
    )


@router.get(
    "/{image_id}/preview",
    dependencies=[Needs(Scope.ERASE)],
    summary="As a JPEG that every browser shows",
    response_class=Response,
    responses={**_PREVIEW, **responses(401, 403, 404, 503, 504)},
)
async def show_preview(
    image_id: str, request: Request, rooms: TheRooms, caller: Caller, seconds: Seconds
) -> Response:
    """For what browsers cannot show themselves: TIFF, HEIC, 16 bit, CMYK."""
    stored = await asyncio.to_thread(rooms.images.get, caller.tenant_id, image_id)
    jpeg = await unless_gone(request, rooms.service.preview(caller, stored, Watch(seconds)))
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


@router.delete(
    "/{image_id}",
    status_code=204,
    dependencies=[Needs(Scope.ERASE)],
    summary="Let it go now",
    responses=responses(401, 403, 404),
)
async def delete(image_id: str, rooms: TheRooms, caller: Caller) -> None:
    await asyncio.to_thread(rooms.images.delete, caller.tenant_id, image_id)
