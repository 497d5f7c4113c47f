"""What happens when a button of the simple mode is pressed. Imports Gradio: see `lazy`."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import gradio as gr
import numpy as np
from PIL import Image

from magic_eraser.accounts.principal import LOCAL_OWNER, Principal
from magic_eraser.errors import (
    EmptyMask,
    EraserError,
    InternalError,
    InvalidMask,
    MaskSizeMismatch,
    StorageFull,
)
from magic_eraser.imaging.codec import extension_of, probe
from magic_eraser.imaging.photo import Hole
from magic_eraser.models.catalog import AUTO
from magic_eraser.models.inpainter import Effort
from magic_eraser.service.erase import EraseService
from magic_eraser.service.files import is_full
from magic_eraser.service.request import EraseOptions, EraseRequest
from magic_eraser.telemetry.logging import get_logger
from magic_eraser.ui.simple_mode_guard import fail
from magic_eraser.ui.simple_mode_text import Language, text

log = get_logger(__name__)

EDITOR_SIDE = 4096
"""Pixels. Beyond the texture limit of a visitor's GPU (4096 on phones) Gradio's canvas turns silently black."""

Uploaded = dict[str, Any] | None
"""Gradio's FileData as JSON: `path`, `orig_name` and more."""


Arrive = Callable[[Mapping[str, str], str], Awaitable[Principal]]
"""A call's headers and the address that it comes from (empty where unknown) to who calls; raises `RateLimited`, and
`NotAuthenticated` where it has to say who it is."""


async def as_owner(_headers: Mapping[str, str], _address: str) -> Principal:
    """Everybody, without a limit."""
    return LOCAL_OWNER


class Handlers:
    """The events. They take files as Gradio stored them, not decoded: EXIF, profile and depth go on to the service.

    Args:
        service: where every erase goes.
        language: Accept-Language header to the language a caller reads.
        folder: where Gradio keeps its files; a result is written there and is deleted with them.
        arrive: counts a call, and says whose it is.
    """

    def __init__(
        self,
        service: EraseService,
        language: Callable[[str], Language],
        folder: Path,
        arrive: Arrive = as_owner,
    ) -> None:
        self._service = service
        self._language = language
        self._folder = folder
        self._arrive = arrive

    async def predict(
        self, image: Uploaded, mask: Uploaded, model: str = AUTO, request: gr.Request | None = None
    ) -> str:
        """Erase what the mask marks white.

        Args:
            image: the photo.
            mask: an image of the same size: white is erased, black is kept.
            model: a model of the server, or "auto".

        Returns:
            The photo without the object, in its own format.
        """
        return await self._predict(image, mask, (model, Effort.BALANCED, False), request)

    async def upload(
        self, image: Uploaded, mask: Uploaded, model: str, effort: str, grow: bool, request: gr.Request
    ) -> tuple[tuple[str, str], Any]:
        """The second tab: `predict`, shown beside the photo."""
        result = await self._predict(image, mask, (model, effort, grow), request)
        return _shown(image, result)

    async def _predict(
        self, image: Uploaded, mask: Uploaded, choices: tuple[str, str, bool], request: gr.Request | None
    ) -> str:
        language = self._reads(request)
        with _sentences(language):
            photo = _file(image, "no_image", language)
            hole = _file(mask, "no_mask", language)
            mask_bytes = await asyncio.to_thread(hole.read_bytes)
            caller = await self._arrive(_headers(request), _address(request))
            return await self._erase(caller, photo, image, mask_bytes, _options(*choices), language)

    async def paint(
        self, drawing: dict[str, Any] | None, model: str, effort: str, grow: bool, request: gr.Request
    ) -> tuple[tuple[str, str], Any]:
        """The first tab: the mask is what was painted over the photo."""
        language = self._reads(request)
        drawing = drawing or {}
        background: Uploaded = drawing.get("background")
        with _sentences(language):
            photo = _file(background, "no_image", language)
            layers = [_file(layer, "file_gone", language) for layer in drawing.get("layers") or ()]
            hole = await asyncio.to_thread(_painted, photo, layers, language)
            options = _options(model, effort, grow)
            caller = await self._arrive(_headers(request), _address(request))
            result = await self._erase(caller, photo, background, hole, options, language)
        return _shown(background, result)

    async def _erase(
        self,
        caller: Principal,
        photo: Path,
        uploaded: Uploaded,
        mask: bytes | Hole,
        options: EraseOptions,
        language: Language,
    ) -> str:
        image = await asyncio.to_thread(photo.read_bytes)
        request = EraseRequest(image, mask, options)
        result = await self._service.erase(caller, request)
        for notice in result.notices:
            gr.Info(notice.message_zh if language == "zh" else notice.message)
        assert result.encoded is not None  # asked for by the request's default
        name = _stem(uploaded) + "-erased" + extension_of(result.encoded.format)
        return await asyncio.to_thread(_write, self._folder, name, result.encoded.data)

    def _reads(self, request: gr.Request | None) -> Language:
        headers: Mapping[str, str] = request.headers if request is not None else {}
        return self._language(headers.get("accept-language", ""))


def _headers(request: gr.Request | None) -> dict[str, str]:
    """By lower-case name; none where the function is called without a request. One that came twice is a list of both,
    as RFC 9110, 5.2 has it: of two credentials neither counts."""
    found: dict[str, str] = {}
    for name, value in request.headers.items() if request is not None else ():
        known = found.get(str(name).lower())
        found[str(name).lower()] = str(value) if known is None else f"{known}, {value}"
    return found


def _address(request: gr.Request | None) -> str:
    client = getattr(request, "client", None)
    return str(client.host) if client is not None else ""


@contextmanager
def _sentences(language: Language) -> Iterator[None]:
    """Every failure as a sentence, and nothing of its cause."""
    try:
        yield
    except gr.Error:
        raise
    except EraserError as error:
        log.info("simple_mode_refused", code=error.code)
        sentence = error.sentence(language)
    except Exception as error:
        if isinstance(error, OSError) and is_full(error):
            log.warning("simple_mode_without_room")
            sentence = StorageFull().sentence(language)
        else:
            log.exception("simple_mode_request_failed")
            sentence = InternalError().sentence(language)
    else:
        return
    fail(sentence)


def _options(model: str, effort: str, grow: bool) -> EraseOptions:
    """What was chosen beside the pictures.

    Raises:
        ValidationFailed: there is no such effort. (The service knows the models.)
    """
    return EraseOptions(
        model=model or AUTO,
        dilate="auto" if grow else 0,
        effort=cast("Effort", effort or Effort.BALANCED),  # by its name: the options see to it
    )


def _file(uploaded: Uploaded, missing: str, language: Language) -> Path:
    """Where the upload lies; `GuardedBlocks` has seen to it that this is where uploads lie."""
    if not uploaded:
        fail(text(missing, language))
    return Path(uploaded["path"])


def _painted(photo: Path, layers: list[Path], language: Language) -> Hole:
    """What was painted: bool (H, W). The brush is half transparent, so any alpha counts.

    Raises:
        EmptyMask, InvalidMask, MaskSizeMismatch: the layers cannot be used.
    """
    try:
        facts = probe(photo.read_bytes())
    except EraserError:
        return np.ones((1, 1), bool)  # the service says what is wrong with the photo
    width, height = facts.width, facts.height
    if max(width, height) > EDITOR_SIDE:
        fail(text("too_large", language, width=width, height=height, limit=EDITOR_SIDE))
    hole = np.zeros((height, width), bool)
    for layer in layers:
        hole |= _alpha(layer, (width, height))
    if not hole.any():
        raise EmptyMask
    return hole


def _alpha(layer: Path, size: tuple[int, int]) -> Hole:
    try:
        with Image.open(layer, formats=["PNG", "WEBP"]) as picture:
            if picture.size != size:
                raise MaskSizeMismatch
            return np.asarray(picture.convert("RGBA").getchannel("A")) > 0
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise InvalidMask from None


def _shown(before: Uploaded, result: str) -> tuple[tuple[str, str], Any]:
    """For the slider and the download button."""
    assert before is not None  # it has been erased on
    return (before["path"], result), gr.DownloadButton(value=result, interactive=True)


def _stem(uploaded: Uploaded) -> str:
    """A file name that is safe everywhere, from the one the photo came with."""
    name = Path(str((uploaded or {}).get("orig_name") or "photo")).stem
    return re.sub(r"[^\w-]+", "_", name).strip("_")[:60] or "photo"


def _write(folder: Path, name: str, data: bytes) -> str:
    target = folder / uuid.uuid4().hex
    target.mkdir(mode=0o700)
    path = target / name
    path.write_bytes(data)
    return str(path)
