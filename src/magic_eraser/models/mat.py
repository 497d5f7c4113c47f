"""`mat`: a transformer for large holes (Li et al., CVPR 2022), by the net of `spandrel-extra-arches`.

The net invents: what it makes of a hole depends on a random style, and on a random choice, place by place, between
the picture's features and that style's. Both come from `options.seed` here. As spandrel calls it, the style is one of
NumPy's global generator, drawn when the net is built, and the choice one of torch's at every call.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from magic_eraser.errors import ModelUnavailable
from magic_eraser.models.card import ModelCard, Quality, Speed, WeightFile
from magic_eraser.models.framing import common_size, padded, to_pixels
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.reason import reason
from magic_eraser.models.setup import Setup
from magic_eraser.models.torchvision_import import import_torchvision
from magic_eraser.models.watch import Watch

if TYPE_CHECKING:
    import torch

    from magic_eraser.models.torch_device import Place

SIDE = 512
STYLE = 512
"""Numbers of a random style."""
A_KEY = "synthesis.first_stage.conv_first.conv.resample_filter"
"""A tensor that no other network has, by which the file's own prefix is found."""

CARD = ModelCard(
    id="mat",
    title="MAT: invents for large holes; not for commercial use",
    licence="CC-BY-NC-4.0",
    source="Li et al., CVPR 2022",
    speed=Speed.SLOW,
    quality=Quality.HIGH,
    cost=2,
    context=1.0,
    working_size=SIDE,
    multiple_of=SIDE,
    detail=True,
    weights=(
        WeightFile(
            "Places_512_FullData_G.pth",
            "https://github.com/Sanster/models/releases/download/add_mat/Places_512_FullData_G.pth",
            size=250_600_000,
            md5="8ca927835fa3f5e21d65ffcb165377ed",
        ),
    ),
    needs=("torch", "spandrel_extra_arches"),
    extra="mat",
    must_accept=True,
    memory_mb=1800,  # 240 of weights, 400 of torch and spandrel, the rest for 180 channels at 512 x 512
    isolated=True,
)


class MatInpainter:
    """See `Inpainter`.

    Args:
        net: spandrel's generator, called as `net(image, known, style, label, noise_mode="none")`: image float
            (1, 3, S, S) in -1..1, known float (1, 1, S, S) with 1 = to be kept, style (1, 512), label (1, 0); it
            answers (1, 3, S, S) in about -1..1.
        place: where it runs. It keeps float32 weights; in bfloat16 the products alone are (`torch.autocast`).
        offload: keep it in main memory between fills.
    """

    card = CARD

    def __init__(self, net: Any, place: Place, *, offload: bool = False) -> None:
        self._net = net
        self._place = place
        self._offload = offload and place.device.type != "cpu"
        self._moving = threading.Lock()
        if not self._offload:
            net.to(place.device)

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        """See `Inpainter.inpaint`."""
        import torch

        size = common_size([hole], SIDE, square=True)
        known = torch.from_numpy(padded(~hole, size).astype(np.float32))[None, None]
        scaled = torch.from_numpy(padded(image, size).astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        generator = torch.Generator().manual_seed(options.seed)
        style = torch.randn(1, STYLE, generator=generator)
        device = self._place.device
        low = self._place.dtype is not torch.float32
        arithmetic = torch.autocast(device.type, self._place.dtype if low else torch.bfloat16, enabled=low)
        with self._at_hand(), torch.inference_mode(), arithmetic, _guided(generator, watch, size[0]):
            answer = self._net(
                (scaled * known).to(device),
                known.to(device),
                style.to(device),
                torch.zeros(1, 0, device=device),
                noise_mode="none",
            )
        watch.progress(1.0)
        return to_pixels(answer[0].permute(1, 2, 0).float().cpu().numpy() * 0.5 + 0.5, image)

    @contextmanager
    def _at_hand(self) -> Iterator[None]:
        if not self._offload:
            yield
            return
        with self._moving:
            self._net.to(self._place.device)
            try:
                yield
            finally:
                self._net.to("cpu")

    def close(self) -> None:
        self._net = None


def load(setup: Setup) -> MatInpainter:
    """Ready to run.

    Args:
        setup: its one weight file is a state dict of MAT for 512 x 512 (465 tensors), nested as it may be.

    Raises:
        ModelUnavailable: the file is no such thing, the device does not work, or spandrel cannot be imported.
    """
    from magic_eraser.models.checkpoint import match, read_tensors, strip_prefix
    from magic_eraser.models.torch_device import find_place

    path = setup.weights[0]
    tensors = strip_prefix(read_tensors(path, CARD), A_KEY)
    place = find_place(setup)
    net = _architecture()().model
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    net.load_state_dict(match(tensors, shapes, path, CARD))
    return MatInpainter(net.eval().requires_grad_(False), place, offload=setup.cpu_offload)


def _architecture() -> Any:
    """The class of spandrel's net."""
    from magic_eraser.models.torch_program import without_advice

    try:
        import_torchvision()
        with without_advice():  # CodeFormer, which is imported beside MAT, is scripted as it is defined
            from spandrel_extra_arches.architectures.MAT import MAT
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        _refuse_packages(error)
    return MAT


def _refuse_packages(error: Exception) -> NoReturn:
    import torch

    why = reason(error)
    command = "pip install 'magic-eraser[mat]'"
    raise ModelUnavailable(
        f"MAT needs spandrel-extra-arches, spandrel and torchvision, and they cannot be imported: {why}. "
        f"Install them by {command}, with the torchvision that was made for torch {torch.__version__}.",
        f"MAT 依赖 spandrel-extra-arches、spandrel 和 torchvision，但无法导入：{why}。"
        f"请运行 {command}，并安装与 torch {torch.__version__} 对应的 torchvision。",
    ) from error


WORK = 2.792e11
"""Multiplications of the net's convolutions for 512 x 512. By the time half of them are done, 50-52 % of the time
is gone, in float32 and bfloat16: it tells people how far the fill is."""


def _guided(generator: torch.Generator, watch: Watch, side: int) -> Any:
    """While it is entered, every function of torch that this thread calls looks at the watch first, and the net's
    dropouts draw from `generator`. It drops out in use as in training: that is its randomness, without which half
    of each feature would be mixed with half of the style's, which it was never trained on.

    The longest single call is a convolution of 180 channels at 512 x 512: 1.8 s on one core in float32, 1.0 s in
    bfloat16. A watch that ends within one is heeded after it.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    total = WORK * (side / SIDE) ** 2

    class Guide(TorchFunctionMode):
        done = 0.0

        def __torch_function__(
            self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            kwargs = kwargs or {}
            if function is torch.nn.functional.dropout:
                return _dropped(args[0], kwargs.get("p", 0.5), generator)
            if function in {torch.conv2d, torch.conv_transpose2d}:
                self.done += _multiplications(function is torch.conv2d, args, kwargs)
                watch.progress(min(0.99, self.done / total))
            else:
                watch.check()
            return function(*args, **kwargs)

    return Guide()


def _dropped(x: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """As torch does it in training, on the CPU, so that a seed means the same on every device."""
    import torch

    kept = torch.empty(x.shape).bernoulli_(1 - share, generator=generator).div_(1 - share)
    return x * kept.to(x)


def _multiplications(forwards: bool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    """Of a convolution, from its arguments."""
    x, weight = args[:2] if args else (kwargs["input"], kwargs["weight"])
    stride = kwargs.get("stride", 1) if forwards else 1
    down, along = stride if isinstance(stride, list | tuple) else (stride, stride)
    return float(x.shape[-2] * x.shape[-1] * weight.numel() / (down * along))
