"""LaMa as it runs: pictures as (n, height, width, channels), half the multiplications of the published graph.

R. Suvorov et al., "Resolution-robust large mask inpainting with Fourier convolutions", WACV 2022.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from magic_eraser.models.lama.weights import Affine, Fourier, LamaWeights, Spectral
from magic_eraser.models.lama.winograd import Scratch, convolve, transformed
from magic_eraser.models.torch_device import Place

CELL = 8
"""Pixels a side that one element of the blocks' features stands for."""
BAND = 2**23
"""Numbers that a convolution before the blocks makes at a time on a processor, in about 0.05 s of one core."""
Step = Callable[[bool], None]
"""Called as often as possible, to stop the work by an error: with True behind a step, else with False."""


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a picture, in cells; half open."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def around(cls, rows: tuple[int, int], columns: tuple[int, int], size: tuple[int, int]) -> Window:
        """The cells that those pixels (half open) depend on behind the blocks, within a picture of `size` cells.

        A pixel depends on 3 to its left by the last convolution, so on one cell; to its right on those 3 and on
        1 + 2 + 4 by the transposed ones, so on two cells.
        """
        (top, bottom), (left, right) = (
            (max(0, first // CELL - 1), min(most, -(-last // CELL) + 2))
            for (first, last), most in zip((rows, columns), size, strict=True)
        )
        return cls(top, bottom, left, right)


class Network:
    """Folded weights on their device.

    Args:
        weights: as read.
        place: where to run.
        winograd: whether 3x3 convolutions of many channels go by Winograd's way: on a processor, if None. A GPU's
            library chooses for itself, and its tensor cores gain nothing by it.
    """

    def __init__(self, weights: LamaWeights, place: Place, *, winograd: bool | None = None) -> None:
        self._dtype, self._device = place.dtype, place.device
        self._local = weights.local
        self.on_gpu = place.device.type != "cpu"
        self._winograd = not self.on_gpu if winograd is None else winograd
        # The first in float32, for 2 % more time: with the float32 sum of residuals below it takes the mean error of
        # bfloat16 from 1.1 to 0.9 of 255.
        first = Affine(*(each.to(self._device) for each in (weights.down[0].weight, weights.down[0].bias)))
        self._down = [first, *(self._convolution(each) for each in weights.down[1:])]
        self._blocks = [tuple(self._fourier(each) for each in block) for block in weights.blocks]
        self._up = [self._convolution(each) for each in weights.up]
        # 7x7 to 3 colours as 1x7 to 21: a library makes 16 of 3 channels, and multiplies in vain
        spread = weights.last.weight.permute(2, 0, 1, 3).flatten(0, 1)[:, :, None]
        self._last = self._convolution(Affine(spread, torch.zeros(spread.shape[0])))
        # a copy, as the original lies in the mapped file and would keep all of it
        self._colour_bias = weights.last.bias.to(self._device, copy=True)
        self.feature_steps = len(self._down) + 2 * len(self._blocks)
        self.colour_steps = len(self._up) + 1

    def _convolution(self, affine: Affine) -> Affine:
        weight = affine.weight.to(self._device, self._dtype)
        return Affine(weight.contiguous(memory_format=torch.channels_last), self._on_device(affine.bias))

    def _on_device(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, self._dtype).contiguous()

    def _fourier(self, fourier: Fourier) -> Fourier:
        def convolution(affine: Affine) -> Affine:
            if not self._winograd:
                return self._convolution(affine)
            return Affine(self._on_device(transformed(affine.weight)), self._on_device(affine.bias))

        spectral = fourier.spectral
        return Fourier(
            convolution(fourier.to_local),
            convolution(fourier.to_global),
            Spectral(
                self._on_device(spectral.enter),
                self._on_device(spectral.enter_bias),
                self._on_device(spectral.spectrum),
                self._on_device(spectral.spectrum_bias),
                self._on_device(spectral.leave),
            ),
        )

    def features(self, images: Tensor, masks: Tensor, step: Step) -> Tensor:
        """What the blocks make of pictures: (n, height / 8, width / 8, channels).

        Args:
            images: float (n, height, width, 3) in 0..1, on any device; sides multiples of 8, at least 16. Values
                in the hole do not count.
            masks: (n, height, width, 1), 1 in the hole and 0 elsewhere.
            step: see there.
        """
        x = torch.cat([images * (1 - masks), masks], dim=-1).to(self._device).permute(0, 3, 1, 2)
        for number, layer in enumerate(self._down):
            edge, stride = (3, 1) if number == 0 else (1, 2)
            x = functional.pad(x.contiguous(memory_format=torch.channels_last), (edge,) * 4, mode="reflect")
            x = self._convolved(x, layer, stride, step)
            step(True)
        x = x.permute(0, 2, 3, 1).contiguous()
        scratch, total = Scratch(x), x.float()  # eighteen residuals are added up: in float32
        for first, second in self._blocks:
            inner = self._fourier_convolution(x, first, scratch, step)
            step(True)
            total += self._fourier_convolution(inner, second, scratch, step)
            x = total.to(self._dtype)
            step(True)
        return x

    def colours(self, features: Tensor, window: Window, step: Step) -> Tensor:
        """float32 (n, rows, columns, 3) in 0..1: the pixels of a window's cells. Those that depend on features outside
        the window are wrong: see `Window.around`."""
        part = features[:, window.top : window.bottom, window.left : window.right]
        x = part.permute(0, 3, 1, 2)
        for layer in self._up:
            x = functional.conv_transpose2d(x, layer.weight, layer.bias, 2, 1, 1).relu_()
            step(True)
        x = functional.pad(x, (3,) * 4, mode="reflect")
        # (n, 7 * 3, height + 6, width): what each row of the kernel gives
        rows = (
            functional.conv2d(x, self._last.weight).float().contiguous(memory_format=torch.contiguous_format)
        )
        height = rows.shape[2] - 6
        total = rows[:, :3, :height].clone()
        for row in range(1, 7):
            total += rows[:, 3 * row : 3 * row + 3, row : row + height]
        step(True)
        return torch.sigmoid(total.permute(0, 2, 3, 1) + self._colour_bias)

    def _convolved(self, padded: Tensor, layer: Affine, stride: int, step: Step) -> Tensor:
        """(n, channels, h, w) with its border -> (n, out, h', w'), band by band on a processor, so that it can stop."""
        outside, size = layer.weight.shape[0], layer.weight.shape[2]
        height, width = ((side - size) // stride + 1 for side in padded.shape[2:])
        rows = height if self.on_gpu else max(1, BAND // (width * outside))
        bands = []
        for top in range(0, height, rows):
            step(False)
            bottom = min(height, top + rows)
            part = padded[:, :, top * stride : (bottom - 1) * stride + size]
            band = functional.conv2d(part, layer.weight, layer.bias, stride=stride)
            bands.append(band.relu_().to(self._dtype))
        return bands[0] if len(bands) == 1 else torch.cat(bands, dim=2)

    def _fourier_convolution(self, x: Tensor, fourier: Fourier, scratch: Scratch, step: Step) -> Tensor:
        """(n, h, w, channels) -> the same; local channels first."""
        answer = self._spatial(x, fourier, scratch, step)
        answer[..., self._local :] += _spectral(x[..., self._local :], fourier.spectral)
        return answer.relu_()

    def _spatial(self, x: Tensor, fourier: Fourier, scratch: Scratch, step: Step) -> Tensor:
        """The 3x3 convolutions: to local channels from all, to global ones from the local."""
        n, height, width, channels = x.shape
        both = fourier.to_local, fourier.to_global
        if not self._winograd:
            padded = functional.pad(x.permute(0, 3, 1, 2), (1,) * 4, mode="reflect")
            parts = padded, padded[:, : self._local]
            answers = [
                functional.conv2d(part, each.weight, each.bias)
                for part, each in zip(parts, both, strict=True)
            ]
            return torch.cat(answers, dim=1).permute(0, 2, 3, 1)
        # tiles are of 2 x 2: an odd side gets a line more, which is cut off again
        more, beside = height % 2, width % 2
        edges = (1, 1 + beside, 1, 1 + more)
        padded = functional.pad(x.permute(0, 3, 1, 2), edges, mode="reflect").permute(0, 2, 3, 1)
        answer = x.new_empty(n, height + more, width + beside, channels)
        for source, target in zip(padded, answer, strict=True):
            parts = target[..., : self._local], target[..., self._local :]
            for_all = tuple((each.weight, each.bias, part) for each, part in zip(both, parts, strict=True))
            convolve(source, for_all, scratch, lambda: step(False))
        return answer[:, :height, :width]


_PAIR = {torch.bfloat16: torch.int32, torch.float32: torch.int64}
"""What holds two numbers of a type, so that real and imaginary part are moved as one."""


def _spectral(x: Tensor, spectral: Spectral) -> Tensor:
    """(n, h, w, global) -> the same: convolution over the whole picture, by its spectrum.

    The transforms are twice as fast channel by channel and unscaled; turning the arrays for it costs a fifth of that.
    """
    n, height, width, _ = x.shape
    half, dtype = spectral.leave.shape[0], x.dtype
    entered = torch.matmul(x, spectral.enter).add_(spectral.enter_bias).relu_().view(n, -1, half)
    # float32 for the transform itself: its sums exceed the range of float16 and the precision of bfloat16
    scale = (height * width) ** -0.5
    planes = _turned(entered).float().mul_(scale).view(n, half, height, width)
    spectrum = torch.view_as_real(torch.fft.rfft2(planes, norm="backward")).to(
        dtype
    )  # (n, half, h, w / 2 + 1, 2)
    pairs = _turned(spectrum.view(_PAIR[dtype]).view(n, half, -1)).view(dtype)  # (n, places, half * 2)
    pairs = torch.matmul(pairs, spectral.spectrum).add_(spectral.spectrum_bias).relu_()
    spectrum = _turned(pairs.view(_PAIR[dtype])).view(dtype).float().view(n, half, height, -1, 2)
    planes = torch.fft.irfft2(torch.view_as_complex(spectrum), s=(height, width), norm="forward").mul_(scale)
    mixed = _turned(planes.to(dtype).view(n, half, -1)).add_(entered)
    return torch.matmul(mixed, spectral.leave).view(x.shape)


def _turned(x: Tensor) -> Tensor:
    """(n, a, b) -> (n, b, a), in memory too. One matrix is turned by blocks: 0.5 ms where a general copy takes 2.6."""
    return x[0].t().contiguous()[None] if len(x) == 1 else x.transpose(1, 2).contiguous()
