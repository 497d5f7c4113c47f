"""MI-GAN's generator for inference (Sargsyan et al., ICCV 2023), from the tensors of the published file.

A U-net of separable convolutions. At 512 x 512 it is bound by memory rather than arithmetic: one activation of a
level is 32 MiB, and on a CPU a fresh block of that size costs more in page faults (15 ms) than the convolution
that fills it (7 ms). So the wide levels are worked through in strips of rows that stay in the cache.

What the published modules spell out is put more cheaply here, with the same result:

- The gain sqrt(2) after a leaky ReLU is in the weights before it: the function is positively homogeneous.
- Zero insertion followed by the filter [1, 3, 3, 1] is linear interpolation to twice the size, whose edge, where
  interpolation repeats and the filter sees zeros, counts 3/4.
- `noise_const * noise_strength` is one map.
- The sum of the level's feature is taken where the feature lies.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 512
SIDES = (4, 8, 16, 32, 64, 128, 256, 512)
GAIN = 2**0.5
LIMIT = 256.0
STRIP = 16
"""Rows of a strip for each thread: 1 MiB of bfloat16 at every level, since channels times side is the same."""
BINOMIAL = (1 / 8, 3 / 8, 3 / 8, 1 / 8)


def channels(side: int) -> int:
    """Of a level's activations."""
    return min(32768 // side, 512)


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that are used; the published file has the mask of `filter_const` besides."""

    def separable(name: str, into: int, out: int, noise: int = 0) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.conv1.weight", (into, 1, 3, 3)
        yield f"{name}.conv1.bias", (into,)
        yield f"{name}.conv2.weight", (out, into, 1, 1)
        if noise:
            yield f"{name}.noise_const", (noise, noise)
            yield f"{name}.noise_strength", ()

    wanted: dict[str, tuple[int, ...]] = {
        "encoder.b512.fromrgb.weight": (channels(512), 4, 1, 1),
        "encoder.b512.fromrgb.bias": (channels(512),),
    }
    for side in SIDES:
        here, below, above = channels(side), channels(max(4, side // 2)), side > SIDES[0]
        wanted.update(separable(f"encoder.b{side}.conv1", here, here))
        wanted.update(separable(f"encoder.b{side}.conv2", here, below))
        wanted.update(separable(f"synthesis.b{side}.conv1", below, here, side * above))
        wanted.update(separable(f"synthesis.b{side}.conv2", here, here, side * above))
        wanted[f"synthesis.b{side}.torgb.weight"] = (3, here, 1, 1)
        wanted[f"synthesis.b{side}.torgb.bias"] = (3,)
        if above:
            wanted[f"encoder.b{side}.conv2.downsample.filter.weight"] = (here, 1, 4, 4)
            wanted[f"synthesis.b{side}.conv1.upsample.filter.weight"] = (here, 1, 4, 4)
            wanted[f"synthesis.b{side}.upsample.filter.weight"] = (3, 1, 4, 4)
    return wanted


def is_binomial(name: str, tensor: Tensor) -> bool:
    """Whether a filter is the one that all published files have; those that enlarge have a gain of 4."""
    line = torch.tensor(BINOMIAL)
    expected = torch.outer(line, line) * (4 if "upsample" in name else 1)
    return torch.allclose(tensor.float(), expected.expand_as(tensor), atol=1e-3)


class Separable:
    """A depthwise convolution, a leaky ReLU, a mixture of channels, and (by the caller) another leaky ReLU."""

    def __init__(self, tensors: Mapping[str, Tensor], name: str, place: Callable[[Tensor], Tensor]) -> None:
        self.depth = place(tensors[f"{name}.conv1.weight"] * GAIN)
        self.bias = place(tensors[f"{name}.conv1.bias"] * GAIN)
        self.mix = place(tensors[f"{name}.conv2.weight"] * GAIN)
        self.noise: Tensor | None = None
        if f"{name}.noise_const" in tensors:
            noise = tensors[f"{name}.noise_const"] * tensors[f"{name}.noise_strength"] * GAIN
            self.noise = place(noise[None, None])
        self.down: Tensor | None = None
        if f"{name}.downsample.filter.weight" in tensors:
            self.down = place(tensors[f"{name}.downsample.filter.weight"])

    def spread(self, rows: Tensor) -> Tensor:
        """(N, C, h + 2, w) to (N, C, h, w): the depthwise convolution and its activation."""
        return activate(functional.conv2d(rows, self.depth, self.bias, padding=(0, 1), groups=len(self.bias)))


def activate(x: Tensor, out: Tensor | None = None) -> Tensor:
    """Leaky ReLU, and the clamp that the net was trained with; `x` is written to, the answer to `out` if given."""
    return torch.clamp(functional.leaky_relu_(x, 0.2), -LIMIT, LIMIT, out=x if out is None else out)


class Generator:
    """The net; its tensors are shared by all calls and not written to.

    Args:
        tensors: of `shapes()`, in main memory.
        device: where it runs.
        dtype: of weights and activations; the picture is summed in float32.
    """

    def __init__(self, tensors: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> None:
        def place(tensor: Tensor) -> Tensor:
            return tensor.to(device, dtype, copy=True)  # what was read lies in the file, which may change

        self.device, self.dtype = device, dtype
        self._strip = min(SIDE, STRIP * torch.get_num_threads()) if device.type == "cpu" else SIDE
        first = "encoder.b512.fromrgb"
        self._from = place(tensors[f"{first}.weight"] * GAIN), place(tensors[f"{first}.bias"] * GAIN)
        self._to = {
            side: (
                tensors[f"synthesis.b{side}.torgb.weight"].to(device, torch.float32, copy=True),
                tensors[f"synthesis.b{side}.torgb.bias"].to(device, torch.float32, copy=True),
            )
            for side in SIDES
        }
        self._layers = {
            name: Separable(tensors, name, place)
            for half in ("encoder", "synthesis")
            for side in SIDES
            for name in (f"{half}.b{side}.conv1", f"{half}.b{side}.conv2")
        }

    def __call__(self, x: Tensor, check: Callable[[float], None]) -> Tensor:
        """Paint.

        Args:
            x: float (N, 4, 512, 512) = cat(0.5 - m, image * (1 - m)); m is 1 in the hole, the image in -1..1.
            check: called before each strip with the share that is done, 0..1; may raise.

        Returns:
            float32 (N, 3, 512, 512), about -1..1.
        """
        strips = itertools.count()
        total = self._count()

        def step() -> None:
            check(next(strips) / total)

        with torch.inference_mode():
            x = x.to(self.device, self.dtype, memory_format=torch.channels_last)
            features: dict[int, Tensor] = {}
            for side in reversed(SIDES):
                features[side], x = self._encode(x, side, step)
            picture = torch.zeros(len(x), 3, 2, 2, device=self.device)
            for side in SIDES:
                x, picture = self._decode(x, features.pop(side), picture, side, step)
            return picture

    def _count(self) -> int:
        """Strips of a call."""
        heights = [
            (rows, height)
            for side in SIDES
            for rows, height in (
                (side, self._strip),
                (max(4, side // 2), self._strip // 2),
                (side // 2 if side > SIDES[0] else 0, self._strip),
                (side if side > SIDES[0] else 0, self._strip),
                (side, self._strip),
            )
        ]
        return sum(-(-rows // height) for rows, height in heights)

    def _tall(self, count: int, channels: int, side: int) -> Tensor:
        """Room for activations with a row of zeros above and below."""
        room = torch.empty(
            (count, channels, side + 2, side),
            dtype=self.dtype,
            device=self.device,
            memory_format=torch.channels_last,
        )
        room[:, :, 0] = 0
        room[:, :, -1] = 0
        return room

    def _strips(self, side: int, height: int, check: Callable[[], None]) -> Iterator[tuple[int, int]]:
        """(first row, last row + 1), `check` before each."""
        for top in range(0, side, height):
            check()
            yield top, min(side, top + height)

    def _encode(self, x: Tensor, side: int, check: Callable[[], None]) -> tuple[Tensor, Tensor]:
        """A level's feature, tall, and what goes on to the next, tall."""
        first, second = (self._layers[f"encoder.b{side}.conv{k}"] for k in (1, 2))
        feature = self._tall(len(x), channels(side), side)
        for top, end in self._strips(side, self._strip, check):
            rows = self._coloured(x, top, end) if side == SIDE else x[:, :, top : end + 2]
            activate(functional.conv2d(first.spread(rows), first.mix), feature[:, :, top + 1 : end + 1])
        below = max(4, side // 2)
        onward = self._tall(len(x), channels(below), below)
        for top, end in self._strips(below, self._strip // 2, check):
            if second.down is None:
                rows = second.spread(feature)
            else:
                first_row, last_row = max(0, 2 * top - 1), min(side, 2 * end + 1)
                rows = second.spread(feature[:, :, first_row : last_row + 2])
                if top == 0 or last_row == side:
                    rows = functional.pad(rows, (0, 0, int(top == 0), int(last_row == side)))
                rows = functional.conv2d(rows, second.down, stride=2, padding=(0, 1), groups=len(second.down))
            activate(functional.conv2d(rows, second.mix), onward[:, :, top + 1 : end + 1])
        return feature, onward

    def _coloured(self, x: Tensor, top: int, end: int) -> Tensor:
        """Rows of the input as the first level's channels, with a row above and below, of zeros at the edges."""
        first_row, last_row = max(0, top - 1), min(SIDE, end + 1)
        rows = activate(functional.conv2d(x[:, :, first_row:last_row], *self._from))
        if top == 0 or end == SIDE:
            rows = functional.pad(rows, (0, 0, int(top == 0), int(end == SIDE)))
        return rows

    def _decode(
        self, x: Tensor, feature: Tensor, picture: Tensor, side: int, check: Callable[[], None]
    ) -> tuple[Tensor, Tensor]:
        """A level's activations, tall, and the picture so far; `feature` is written to."""
        first, second = (self._layers[f"synthesis.b{side}.conv{k}"] for k in (1, 2))
        self._join(first, x, feature, side, check)
        picture = doubled(picture)
        last = side == SIDE
        onward = x if last else self._tall(len(x), channels(side), side)
        for top, end in self._strips(side, self._strip, check):
            rows = functional.conv2d(second.spread(feature[:, :, top : end + 2]), second.mix)
            if second.noise is not None:
                rows.add_(second.noise[:, :, top:end])
            rows = activate(rows, None if last else onward[:, :, top + 1 : end + 1])
            picture[:, :, top:end] += functional.conv2d(rows.float(), *self._to[side])
        return onward, picture

    def _join(
        self, layer: Separable, x: Tensor, feature: Tensor, side: int, check: Callable[[], None]
    ) -> None:
        """Add the level's first layer to the feature."""
        if layer.noise is None:
            feature[:, :, 1:-1] += activate(functional.conv2d(layer.spread(x), layer.mix))
            return
        half = side // 2
        mixed = self._tall(len(x), channels(side), half)
        for top, end in self._strips(half, self._strip, check):
            mixed[:, :, top + 1 : end + 1] = functional.conv2d(
                layer.spread(x[:, :, top : end + 2]), layer.mix
            )
        for top, end in self._strips(side, self._strip, check):
            rows = functional.interpolate(
                mixed[:, :, top // 2 : end // 2 + 2], scale_factor=2, mode="bilinear"
            )[:, :, 2:-2]
            rows[..., 0] *= 0.75
            rows[..., -1] *= 0.75
            feature[:, :, top + 1 : end + 1] += activate(rows.add_(layer.noise[:, :, top:end]))


def doubled(picture: Tensor) -> Tensor:
    """(N, 3, h, w) to twice the size, by the filter [1, 3, 3, 1] with zeros beyond the edge."""
    return functional.interpolate(functional.pad(picture, (1, 1, 1, 1)), scale_factor=2, mode="bilinear")[
        :, :, 2:-2, 2:-2
    ].contiguous()
