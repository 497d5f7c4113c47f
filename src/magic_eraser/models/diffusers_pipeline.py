"""Any inpainting pipeline of the diffusers library that a person has as a folder (Rombach et al. 2022, and its kin).

Weights are read from safetensors only, no code of the folder is run, and nothing is fetched.
"""

from __future__ import annotations

import inspect
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from magic_eraser.errors import ContentBlocked, ModelUnavailable
from magic_eraser.models import wholeness
from magic_eraser.models.card import ModelCard, Quality, Speed
from magic_eraser.models.framing import common_size, padded, to_pixels
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.reason import reason
from magic_eraser.models.setup import Precision, Setup
from magic_eraser.models.torchvision_import import import_torchvision
from magic_eraser.models.watch import Watch

if TYPE_CHECKING:
    import torch

MULTIPLE = 64
"""Pixels: latents of 8 pixels a side, halved three times in the net, come out even."""
NEUTRAL = 128
"""What stands in the hole: 0 in the range -1..1 that the nets see."""
WORK_MB = 1024
"""Activations beside the weights, roughly, MiB."""
NEEDED = (
    "prompt",
    "image",
    "mask_image",
    "height",
    "width",
    "num_inference_steps",
    "generator",
    "output_type",
    "callback_on_step_end",
)
"""Arguments without which a pipeline cannot be used here; one without the last could not be cancelled."""
WEIGHTS = ".safetensors"
UNSAFE = frozenset({".bin", ".ckpt", ".pt", ".pth"})
INVENTED = "newly initialized"
"""What the libraries log where weights that they need are not in the files: they would go on with random ones."""


def card(id: str, title: str, licence: str, folder: str | Path) -> ModelCard:
    """What the product says about a pipeline. Reads two small files; a folder that is none is found out by `load`.

    Args:
        id, title, licence: as the person gave them.
        folder: with `model_index.json`; the card's `source`.
    """
    folder = Path(folder)
    size = _native_size(folder)
    weights = sum(path.stat().st_size for path in folder.glob(f"*/*{WEIGHTS}"))
    return ModelCard(
        id=id,
        title=title,
        licence=licence,
        source=str(folder),
        speed=Speed.SLOW,
        quality=Quality.HIGH,
        cost=4,
        context=1.0,
        # Below its own size such a net paints textures, not scenes: a small hole gets a crop of nearly that size.
        min_context=3 * size // 8,
        working_size=size,
        multiple_of=MULTIPLE,
        detail=True,
        needs=("torch", "diffusers", "transformers"),
        extra="diffusers",
        memory_mb=weights // 2**20 + WORK_MB,
        isolated=True,
        steps=30,
        prompt=True,
        added=True,
    )


def load(setup: Setup, *, card: ModelCard) -> PipelineInpainter:
    """Read the pipeline.

    Args:
        setup: on a GPU bfloat16 where nothing else is said, on the processor float32.
        card: see `card`; its `source` is a folder as `save_pretrained` writes it.

    Raises:
        ModelUnavailable: that is no such folder, holds weights that are not safetensors or not whole, or code of its
            own, or is no pipeline that fills holes.
    """
    folder = Path(card.source)
    variant = _check(folder)
    import torch

    from magic_eraser.models.torch_device import find_place

    place = find_place(setup)
    wanted = setup.precision is Precision.BFLOAT16 or place.device.type == "cuda"
    pipeline = _read(folder, place.dtype if wanted else torch.float32, variant)
    accepted = inspect.signature(pipeline.__call__).parameters
    lacking = [name for name in NEEDED if name not in accepted]
    if lacking:
        kind = type(pipeline).__name__
        raise _unusable(
            folder, f"its {kind} takes no {', '.join(lacking)}", f"{kind} 缺少参数 {', '.join(lacking)}"
        )
    if setup.low_memory:
        pipeline.enable_attention_slicing()
        for name in ("enable_slicing", "enable_tiling"):
            getattr(getattr(pipeline, "vae", None), name, lambda: None)()
    offload = setup.cpu_offload and place.device.type == "cuda"
    if offload:
        pipeline.enable_model_cpu_offload(device=place.device)
    else:
        pipeline.to(place.device)
    return PipelineInpainter(card, pipeline, offload=offload)


class PipelineInpainter:
    """A pipeline ready to run; it fills one crop at a time, as its scheduler remembers where it is.

    Without a prompt there is no guidance, which would cost twice the time to no effect; with a prompt, or a negative
    one, there is as much as is usual for the pipeline. Known pixels in a latent of which a part is unknown (8 x 8
    pixels) are painted anew too, and the caller keeps its own.

    Args:
        card: see `card`.
        pipeline: of diffusers.
        offload: its parts come to the GPU one after the other.
    """

    def __init__(self, card: ModelCard, pipeline: Any, *, offload: bool = False) -> None:
        self.card = card
        self._pipeline = pipeline
        self._offload = offload
        self._accepted = frozenset(inspect.signature(pipeline.__call__).parameters)
        self._turn = threading.Lock()
        self._watch: Watch | None = None
        for part in pipeline.components.values():
            self._look_in(part)

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        """See `Inpainter.inpaint`.

        Raises:
            ContentBlocked: the pipeline's own safety checker refused the result.
            UnusableOutput: the result is not a number.
        """
        with self._its_turn(watch):
            try:
                answer = self._pipeline(**self._arguments(image, hole, options, watch))
            finally:
                if self._offload:
                    self._pipeline.maybe_free_model_hooks()
        if any(getattr(answer, "nsfw_content_detected", None) or ()):
            raise ContentBlocked(
                "The safety checker of this pipeline refused what it painted.",
                "该模型的安全检查器拒绝了生成的内容。",
            )
        return to_pixels(np.asarray(answer.images[0], np.float32), image)

    def close(self) -> None:
        """See `Inpainter.close`."""
        self._pipeline = None

    def _arguments(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> dict[str, Any]:
        import torch
        from PIL import Image

        assert self.card.working_size is not None
        height, width = common_size([hole], MULTIPLE, least=self.card.working_size // 2)
        unknown = _by_latents(padded(hole, (height, width)), getattr(self._pipeline, "vae_scale_factor", 8))
        known = np.where(unknown[..., None], np.uint8(NEUTRAL), padded(image, (height, width)))
        steps = options.steps or self.card.steps
        given = {
            "prompt": options.prompt,
            "image": Image.fromarray(known),
            "mask_image": Image.fromarray(unknown.astype(np.uint8) * 255),
            "height": height,
            "width": width,
            "num_inference_steps": steps,
            "generator": torch.Generator().manual_seed(options.seed),  # the same noise on every device
            "output_type": "np",
            "callback_on_step_end": _teller(watch, steps or 1),
        }
        usual: dict[str, Any] = {"strength": 1.0}  # from noise alone, nothing of what stood in the hole
        if options.negative_prompt:
            usual["negative_prompt"] = options.negative_prompt
        elif not options.prompt and hasattr(self._pipeline, "do_classifier_free_guidance"):
            usual["guidance_scale"] = 1.0
        return given | {name: value for name, value in usual.items() if name in self._accepted}

    @contextmanager
    def _its_turn(self, watch: Watch) -> Iterator[None]:
        """Alone with the pipeline."""
        while not self._turn.acquire(timeout=0.05):
            watch.check()
        try:
            self._watch = watch
            watch.check()
            yield
        finally:
            self._watch = None
            self._turn.release()

    def _look_in(self, part: Any) -> None:
        """Have the watch looked at before every layer of a net: a step of 512 x 512 takes seconds on a processor."""
        import torch

        if not isinstance(part, torch.nn.Module):
            return
        for module in part.modules():
            if next(module.children(), None) is None:
                module.register_forward_pre_hook(self._look)

    def _look(self, _module: torch.nn.Module, _inputs: tuple[Any, ...]) -> None:
        if self._watch is not None:
            self._watch.check()


def _teller(watch: Watch, steps: int) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
    def tell(pipeline: Any, step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        # Some schedulers take a step more than they were asked for.
        watch.progress((step + 1) / max(1, getattr(pipeline, "num_timesteps", steps)))
        return tensors

    return tell


def _by_latents(hole: Hole, side: int) -> Hole:
    """The hole grown to whole squares of `side` pixels, in which the nets see it; they would miss thin parts."""
    height, width = hole.shape
    squares = hole.reshape(height // side, side, width // side, side).any(axis=(1, 3))
    return squares.repeat(side, axis=0).repeat(side, axis=1)


def _native_size(folder: Path) -> int:
    """Pixels a side of the pictures that it learnt from: 512 for the first Stable Diffusion, 1024 for SDXL."""
    for part in ("unet", "transformer"):
        try:
            latents = json.loads((folder / part / "config.json").read_text())["sample_size"]
        except (OSError, ValueError, LookupError, TypeError):
            continue
        if isinstance(latents, int):
            return min(1024, max(256, latents * 8))
    return 512


def _check(folder: Path) -> str | None:
    """Look at a folder before anything of it is read by the library.

    Returns:
        The variant of the weights: "fp16" where there are no others.

    Raises:
        ModelUnavailable: see `load`.
    """
    try:
        index = json.loads((folder / "model_index.json").read_text())
        parts = {name: value for name, value in index.items() if isinstance(value, list) and name[:1] != "_"}
        libraries = {value[0] for value in parts.values() if value and value[0] is not None}
        known = isinstance(index["_class_name"], str) and all(map(_is_known, libraries))
    except OSError:
        raise _unusable(folder, "it has no model_index.json", "其中没有 model_index.json") from None
    except (ValueError, LookupError, AttributeError, TypeError):
        raise _unusable(folder, "its model_index.json cannot be read", "model_index.json 无法读取") from None
    if not known:
        raise _unusable(folder, "it wants code of its own to be run", "它需要运行自带的代码")
    plain, fp16 = 0, 0
    for name in parts:
        files = sorted((folder / name).glob("*"))
        weights = [path for path in files if path.suffix == WEIGHTS]
        unsafe = [path for path in files if path.suffix in UNSAFE]
        if unsafe and not weights:
            which = f"{name}/{unsafe[0].name}"
            raise _unusable(
                folder,
                f"{which} is a pickle, which may run code when it is read; only safetensors files are, as "
                "save_pretrained(safe_serialization=True) writes them",
                f"{which} 是 pickle 文件，读取时可能运行代码；只支持 safetensors 文件",
            )
        for path in weights:
            if not wholeness.is_whole(path):
                raise _unusable(folder, f"{name}/{path.name} is not whole", f"{name}/{path.name} 不完整")
        plain += any(".fp16." not in path.name for path in weights)
        fp16 += bool(weights) and all(".fp16." in path.name for path in weights)
    if not plain and not fp16:
        raise _unusable(folder, "there are no weights in it", "其中没有权重")
    return "fp16" if fp16 else None


def _is_known(library: Any) -> bool:
    """Whether a part's class comes from the libraries, and not from a file in the folder."""
    if library in ("diffusers", "transformers"):
        return True
    return (
        isinstance(library, str)
        and library.isidentifier()
        and find_spec("diffusers") is not None
        and find_spec(f"diffusers.pipelines.{library}") is not None
    )


def _read(folder: Path, dtype: torch.dtype, variant: str | None) -> Any:
    """The pipeline, by the library."""
    reader = _library()
    with _heard() as said:
        try:
            pipeline = reader.from_pretrained(
                folder,
                dtype=dtype,
                variant=variant,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
            )
        except Exception as error:
            if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
                raise
            raise _unusable(folder, reason(error), reason(error)) from error
    invented = next((line for line in said if INVENTED in line), None)
    if invented is not None:
        first_line = invented.splitlines()[0][:300]
        raise _unusable(folder, f"weights are missing: {first_line}", f"缺少权重：{first_line}")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _library() -> Any:
    """What reads pipelines, quiet."""
    try:
        if find_spec("torchvision") is not None:  # transformers imports it where it is there
            import_torchvision()
        from diffusers import AutoPipelineForInpainting
        from diffusers.utils import logging as of_diffusers
        from transformers.utils import logging as of_transformers
    except (ImportError, RuntimeError) as error:  # the latter is how they tell of packages that do not fit
        raise ModelUnavailable(
            f"The packages that run pipelines do not fit together ({reason(error)}): "
            "pip install --upgrade 'magic-eraser[diffusers]'.",
            f"运行该模型所需的软件包不匹配（{reason(error)}）："
            "请运行 pip install --upgrade 'magic-eraser[diffusers]'。",
        ) from error
    of_diffusers.disable_progress_bar()
    of_transformers.disable_progress_bar()
    return AutoPipelineForInpainting


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the libraries log meanwhile, which is kept off the screen; afterwards they tell of errors only."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    loggers = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    before = [logger.handlers for logger in loggers]
    for logger in loggers:
        logger.handlers = [Ear()]
        logger.setLevel(logging.WARNING)
    try:
        yield said
    finally:
        for logger, handlers in zip(loggers, before, strict=True):
            logger.handlers = handlers
            logger.setLevel(logging.ERROR)


def _unusable(folder: Path, why: str, why_zh: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"The pipeline in {folder} cannot be used: {why.rstrip('.')}.",
        f"无法使用 {folder} 中的模型：{why_zh.rstrip('.')}。",
    )
