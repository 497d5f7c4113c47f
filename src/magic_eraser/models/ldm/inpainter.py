"""`ldm` from the three parts that are published: the picture's encoder, the decoder, and the net between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from magic_eraser.errors import ModelUnavailable
from magic_eraser.models.card import ModelCard, Quality, Speed, WeightFile
from magic_eraser.models.framing import common_size, padded, to_pixels
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.ldm.sampler import sample
from magic_eraser.models.ldm.schedule import EMBEDDING, embedding
from magic_eraser.models.out_of_memory import is_out_of_memory
from magic_eraser.models.reason import reason
from magic_eraser.models.setup import Precision, Setup
from magic_eraser.models.watch import Watch

if TYPE_CHECKING:
    import torch

    from magic_eraser.models.torch_device import Place

SHRINK = 4
"""Pixels of the picture to one of the latent, along a side."""
MULTIPLE = 32
STEPS = 20
PUBLISHED = "https://github.com/Sanster/models/releases/download/add_ldm/"


def _file(name: str, md5: str, size: int = 0) -> WeightFile:
    return WeightFile(name, PUBLISHED + name, size=size, md5=md5)


CARD = ModelCard(
    id="ldm",
    title="Latent diffusion: invents in many steps, slowly",
    licence="MIT",
    source="Rombach et al., CVPR 2022",
    speed=Speed.SLOW,
    quality=Quality.HIGH,
    cost=3,
    context=1.0,
    working_size=512,
    multiple_of=MULTIPLE,
    detail=True,
    weights=(
        _file("cond_stage_model_encode.pt", "23239fc9081956a3e70de56472b3f296"),
        _file("cond_stage_model_decode.pt", "fe419cd15a750d37a4733589d0d3585c"),
        # 387 M parameters, the paper says
        _file("diffusion.pt", "b0afda12bf790c03aba2a7431f11d22d", size=1_550_000_000),
    ),
    needs=("torch",),
    extra="torch",
    memory_mb=4000,  # reckoned: 1500 of the net, 300 of the codec, 300 of torch, 2 GB for attention among 4096 places
    isolated=True,
    steps=STEPS,
)


class LdmInpainter:
    """See `Inpainter`.

    Args:
        encode: picture float32 (1, 3, H, W) in -1..1 to latent (1, 3, H/4, W/4); H and W multiples of 32.
        decode: the way back.
        diffusion: (latent (1, 3, h, w), moment (1, 256), known (1, 4, h, w)) to the noise in the latent.
        place: where they run. Their weights are float32; in bfloat16 the products alone are (`torch.autocast`).
        offload: keep them in main memory but for the one in use.
    """

    card = CARD

    def __init__(
        self, encode: Any, decode: Any, diffusion: Any, place: Place, *, offload: bool = False
    ) -> None:
        self._encode = encode
        self._decode = decode
        self._diffusion = diffusion
        self._place = place
        self._offload = offload and place.device.type != "cpu"
        self._moving = threading.Lock()

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        """See `Inpainter.inpaint`. One forward of the net cannot be interrupted: the watch is looked at between."""
        import torch

        size = common_size([hole], MULTIPLE)
        known = padded(np.where(hole[..., None], np.uint8(0), image), size).astype(np.float32) / 127.5 - 1
        masked = torch.from_numpy(known).permute(2, 0, 1)[None]
        where = torch.from_numpy(padded(hole, size).astype(np.float32) * 2 - 1)[None, None]
        # Every latent that some of the hole is in: of every fourth pixel alone, as the published program has it, a
        # scratch of up to three pixels is none, and stays the black that stands for it.
        where = torch.nn.functional.max_pool2d(where, SHRINK)
        device, low = self._place.device, self._place.dtype is not torch.float32
        arithmetic = torch.autocast(device.type, torch.bfloat16, enabled=low)
        with torch.inference_mode(), arithmetic:
            watch.check()
            with self._at_hand(self._encode):
                latent = self._encode(masked.to(device)).float()
            given = torch.cat([latent, where.to(device)], 1)
            # The noise is drawn on the CPU, so that a seed means the same on every device.
            generator = torch.Generator().manual_seed(options.seed)
            start = torch.randn(latent.shape, generator=generator).to(device)
            with self._at_hand(self._diffusion):
                latent = self._walk(start, given, options, watch)
            with self._at_hand(self._decode):
                answer = self._decode(latent).float()
        watch.progress(1.0)
        return to_pixels(answer[0].permute(1, 2, 0).cpu().numpy() * 0.5 + 0.5, image)

    def _walk(
        self, start: torch.Tensor, given: torch.Tensor, options: InpaintOptions, watch: Watch
    ) -> torch.Tensor:
        """From noise to the latent of a picture."""
        import torch

        def noise_in(x: torch.Tensor, moment: int) -> torch.Tensor:
            watch.check()
            told = torch.from_numpy(embedding(moment))[None].to(x.device)
            noise: torch.Tensor = self._diffusion(x, told, given).float()
            return noise

        steps = options.steps or STEPS
        latent = start
        for done, stage in enumerate(sample(options.sampler, noise_in, start, steps), 1):
            latent = stage.x
            watch.progress(done / (steps + 1))
            if options.rough_when_late and done < steps and watch.hurry():
                watch.mark_rough()
                latent = stage.clean
                break
        return latent

    @contextmanager
    def _at_hand(self, part: Any) -> Iterator[None]:
        if not self._offload:
            yield
            return
        with self._moving:
            part.to(self._place.device)
            try:
                yield
            finally:
                part.to("cpu")

    def close(self) -> None:
        self._encode = self._decode = self._diffusion = None


def load(setup: Setup) -> LdmInpainter:
    """Ready to run.

    The parts are TorchScript, programs that torch interprets: they are run as the weight store gives them, which
    has compared them with their published digests.

    Raises:
        ModelUnavailable: a file is no TorchScript, or answers a small picture (32 x 32) by what does not fit; or the
            device does not work.
    """
    import torch

    from magic_eraser.models.torch_device import Place, find_place

    place = find_place(setup)
    if place.device.type == "cpu" and setup.precision is not Precision.BFLOAT16:
        # A net of this size takes 15 s a step on one core, 9 s in bfloat16. But errors add up over the steps, and
        # the published program runs in half precision on GPUs only: it is for those who ask for it.
        place = Place(place.device, torch.float32)
    offload = setup.cpu_offload
    device = torch.device("cpu") if offload else place.device
    encode, decode, diffusion = (_read(path, device) for path in setup.weights)
    model = LdmInpainter(encode, decode, diffusion, place, offload=offload)
    encode_path, decode_path, diffusion_path = setup.weights
    picture, latent = torch.zeros(1, 3, 32, 32, device=device), torch.zeros(1, 3, 8, 8, device=device)
    told, given = torch.zeros(1, EMBEDDING, device=device), torch.zeros(1, 4, 8, 8, device=device)
    with torch.inference_mode():
        _expect(lambda: encode(picture), latent.shape, encode_path)
        _expect(lambda: diffusion(latent, told, given), latent.shape, diffusion_path)
        _expect(lambda: decode(latent), picture.shape, decode_path)
    return model


def _read(path: Path, device: torch.device) -> torch.jit.ScriptModule:
    from magic_eraser.models.torch_program import read_program

    try:
        return read_program(path, device)
    except (RuntimeError, ValueError, OSError) as error:
        if is_out_of_memory(error):
            raise
        _refuse(path, "is no TorchScript archive, or is damaged", "不是 TorchScript 文件，或已损坏", error)


def _expect(run: Callable[[], Any], shape: tuple[int, ...], path: Path) -> None:
    """Refuse a part that cannot answer as it should."""
    import torch

    from magic_eraser.models.torch_program import FAULTS

    try:
        answer = run()
    except FAULTS as error:
        if is_out_of_memory(error):
            raise
        why = reason(error)
        _refuse(path, f"is not that part of ldm: it fails ({why})", f"与 ldm 不符：运行失败（{why}）", error)
    found = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
    if found != tuple(shape):
        _refuse(
            path,
            f"is not that part of ldm: it answers {found} where {tuple(shape)} is wanted",
            f"与 ldm 不符：输出 {found}，应为 {tuple(shape)}",
        )


def _refuse(path: Path, what: str, what_zh: str, cause: Exception | None = None) -> NoReturn:
    command = f"magic-eraser models download {CARD.id}"
    raise ModelUnavailable(
        f"The weights file {path} {what}. Remove it, then fetch it anew: {command}.",
        f"权重文件 {path} {what_zh}。请删除后重新下载：{command}。",
    ) from cause
