"""`erase` and `Eraser`: the library's face. Pictures in whatever kind you have, answered in that kind."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, TypeVar, Unpack, cast, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from magic_eraser.accounts.principal import LOCAL_OWNER
from magic_eraser.errors import InvalidImage, InvalidMask, ValidationFailed
from magic_eraser.hosting import cores
from magic_eraser.hosting.options import HostingOptions
from magic_eraser.hosting.pool import LocalPool
from magic_eraser.hosting.workers import Workers
from magic_eraser.imaging.mask import Growth, mask_from_photo
from magic_eraser.imaging.photo import Photo
from magic_eraser.models.availability import why_not
from magic_eraser.models.catalog import AUTO, find, offered
from magic_eraser.models.inpainter import Effort, Sampler
from magic_eraser.models.watch import Watch
from magic_eraser.models.weights import WeightStore
from magic_eraser.service.erase import EraseService
from magic_eraser.service.request import EraseOptions, EraseRequest, EraseResult, OutputOptions
from magic_eraser.settings import Settings

T = TypeVar("T")
ImageLike = NDArray[Any] | Image.Image | bytes | Path | str
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
AUTO_DEVICE = "auto"
EffortName = Literal["fast", "balanced", "best"]
SamplerName = Literal["ddim", "plms"]


class CallWishes(TypedDict, total=False):
    """The keywords of `erase` that are those of `Eraser.__call__`; see there."""

    dilate: Growth
    feather: int
    seed: int
    effort: Effort | EffortName
    rough_when_late: bool
    steps: int | None
    sampler: Sampler | SamplerName
    prompt: str
    negative_prompt: str
    timeout: float | None


class Wishes(CallWishes, total=False):
    """The keywords of `Eraser.__call__`; see there."""

    model: str | None


class Eraser:
    """A ready engine: models stay loaded between calls. Use it as a context manager, or `close()` it.

    Weights, precision and the like are as the environment says (`docs/settings.md`); networks run in this process.

    Args:
        model: a model id, or "auto": the best that is present for each hole.
        device: where networks run: "auto" (a GPU where there is one that works), "cpu", "cuda", "cuda:1".
        max_pixels: largest picture accepted.
        threads: processor cores that one fill may use; all that there are where None. A number is also set as
            OpenCV's own, and a network sets what it may use as torch's: each is one for the whole process.

    Raises:
        UnknownModel: no model of that name.
        ValidationFailed: a device of another name, or fewer than one thread.
        SettingsError: the environment holds an `ERASER_*` variable that cannot be used; see `Settings.load`.
    """

    def __init__(
        self,
        model: str = AUTO,
        device: str = "auto",
        *,
        max_pixels: int = 50_000_000,
        threads: int | None = None,
    ) -> None:
        if not DEVICE.fullmatch(device):
            raise ValidationFailed(
                f'device is "auto", "cpu", "cuda" or "cuda:N", not "{device[:60]}".',
                f'device 应为 "auto"、"cpu"、"cuda" 或 "cuda:N"，而不是“{device[:60]}”。',
            )
        if threads is not None:
            if threads < 1:
                raise ValidationFailed(
                    f"threads is 1 or more, not {threads}.", f"threads 至少为 1，而不是 {threads}。"
                )
            cores.limit_opencv(threads)
        self.model = model
        self._workers = Workers(threads=1)
        settings = Settings.load()
        weights = WeightStore.from_settings(settings.weights)
        accepted = settings.models.accepted_licences
        self._pool = LocalPool(
            self._workers,
            offered(weights),
            threads=threads or cores.usable_cores(),
            options=replace(
                HostingOptions.of(settings.models),
                isolation="thread",
                device=device if device != AUTO_DEVICE else settings.models.device,
                network_threads=threads or settings.models.threads,
            ),
            why_not=lambda card: why_not(card, weights, accepted),
            weights=weights.paths,
        )
        if model != AUTO:
            find(model, self._pool.cards())
        self._service = EraseService(self._pool, self._workers, max_pixels=max_pixels)

    @overload
    def __call__(self, image: NDArray[Any], mask: ImageLike, **wishes: Unpack[Wishes]) -> NDArray[Any]: ...
    @overload
    def __call__(self, image: Image.Image, mask: ImageLike, **wishes: Unpack[Wishes]) -> Image.Image: ...
    @overload
    def __call__(self, image: bytes | Path | str, mask: ImageLike, **wishes: Unpack[Wishes]) -> bytes: ...

    def __call__(
        self,
        image: ImageLike,
        mask: ImageLike,
        *,
        model: str | None = None,
        dilate: Growth = 0,
        feather: int = 0,
        seed: int = 0,
        effort: Effort | EffortName = Effort.BALANCED,
        rough_when_late: bool = False,
        steps: int | None = None,
        sampler: Sampler | SamplerName = Sampler.PLMS,
        prompt: str = "",
        negative_prompt: str = "",
        timeout: float | None = None,
    ) -> ImageLike:
        """Erase what the mask marks.

        Args:
            image: uint8 or uint16 array (H, W), (H, W, 3) RGB or (H, W, 4) RGBA; a PIL image; encoded bytes; or
                the path of a file.
            mask: the same kinds, or a bool array (H, W); white (> 127) erases, black keeps. Of the image's size.
            model: for this call; the eraser's own where None.
            dilate: pixels by which the hole grows, 0..200, or "auto": where the rim of what it covers reaches
                beyond it.
            feather: pixels of soft transition beyond that, 0..200.
            seed: 0..2**32-1; the same seed gives the same bytes, another one a variant.
            effort: "fast", "balanced" or "best"; of models that can take more or less work.
            rough_when_late: where the timeout comes near, answer the best that is there. Whether it was so is among
                the notices of `run`.
            steps: of a diffusion model's sampler, 1..1000; the model's own number where None.
            sampler: "plms" or "ddim"; of models that have both.
            prompt, negative_prompt: what is, and is not, to come into the hole; of models that heed them.
            timeout: seconds, above 0; None for no limit.

        Returns:
            What `image` was: an array of its shape and dtype, a PIL image of its mode, or encoded bytes in its
            format (for bytes and paths). Outside the hole, arrays and images are identical to the input.

        Raises:
            EraserError: one of the tree in `magic_eraser.errors`, such as `MaskSizeMismatch`, `EmptyMask`,
                `ValidationFailed` (a value out of its range) or `DeadlineExceeded`.
        """
        options = EraseOptions(
            model=model or self.model,
            dilate=dilate,
            feather=feather,
            seed=seed,
            effort=cast("Effort", effort),  # by name, too: the options see to it
            rough_when_late=rough_when_late,
            steps=steps,
            sampler=cast("Sampler", sampler),
            prompt=prompt,
            negative_prompt=negative_prompt,
        )
        encoded = isinstance(image, bytes | Path | str)
        output = OutputOptions() if encoded else None
        request = EraseRequest(_image(image), _mask(mask), options, output)
        result = self.run(request, watch_for(timeout))
        if result.encoded is not None:
            return result.encoded.data
        assert result.photo is not None
        if isinstance(image, Image.Image):
            return result.photo.to_pil()
        array = result.photo.to_array()
        return array.reshape(image.shape) if isinstance(image, np.ndarray) else array

    def run(self, request: EraseRequest, watch: Watch | None = None) -> EraseResult:
        """The whole answer, with the model that ran, the seconds of each stage and the notices."""
        return _finish(self._service.erase(LOCAL_OWNER, request, watch))

    def close(self) -> None:
        """Let go of the models."""
        _finish(self._pool.close())
        self._workers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def erase(
    image: ImageLike,
    mask: ImageLike,
    model: str = AUTO,
    *,
    device: str = "auto",
    threads: int | None = None,
    **wishes: Unpack[CallWishes],
) -> Any:
    """Erase once: `Eraser` for a single call. See `Eraser` and `Eraser.__call__` for kinds, ranges and errors."""
    with Eraser(model, device, threads=threads) as eraser:
        return eraser(image, mask, **wishes)


def watch_for(timeout: float | None, on_progress: Callable[[float], None] | None = None) -> Watch:
    """The watch of a call that may take so many seconds from now on; None for no limit.

    Raises:
        ValidationFailed: not above 0.
    """
    if timeout is not None and not timeout > 0:
        raise ValidationFailed(
            f"timeout is above 0 seconds, not {timeout}.", f"timeout 应大于 0 秒，而不是 {timeout}。"
        )
    return Watch(timeout, on_progress)


def _image(image: ImageLike) -> bytes | Photo:
    if isinstance(image, bytes):
        return image
    if isinstance(image, Path | str):
        return _read(Path(image))
    if isinstance(image, Image.Image):
        return Photo.from_pil(image)
    if isinstance(image, np.ndarray):
        return Photo.from_array(image)
    raise InvalidImage(
        f"The image is a {type(image).__name__}; give an array, a PIL image, bytes or a path.",
        f"图片类型为 {type(image).__name__}；请提供数组、PIL 图像、字节或路径。",
    )


def _mask(mask: ImageLike) -> bytes | NDArray[Any]:
    if isinstance(mask, np.ndarray) and mask.dtype == np.bool_:
        if mask.ndim != 2:
            raise InvalidMask(
                f"A bool mask must be (H, W); this one is {mask.shape}.",
                f"布尔蒙版的形状必须是 (H, W)，而不是 {mask.shape}。",
            )
        return mask
    source = _image(mask)
    return source if isinstance(source, bytes) else mask_from_photo(source)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidImage(
            f"{path} cannot be read: {error.strerror}.", f"无法读取 {path}：{error.strerror}。"
        ) from None


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Run to its end; in a thread of its own where an event loop runs in this one already (notebooks)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    answer: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001 (raised again in the caller's thread)
            failure.append(error)

    thread = threading.Thread(target=run, name="eraser-library")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return answer[0]
