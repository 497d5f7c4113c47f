"""3x3 convolutions of many channels by fewer multiplications, for processors.

Winograd's F(2x2, 3x3) (Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016): 16 numbers
stand for each overlapping tile of 4 x 4 pixels, 16 products of matrices take the place of the convolution, and tiles
of 2 x 2 come out: 16 multiplications where there were 36.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

TILES = 256
"""Tiles at a time, about: 4 MB of bfloat16 at 512 channels. More are no faster (256, 512 and 1024 within 2 %)."""


class Scratch:
    """Memory for intermediate results, used again from call to call: new pages cost more than the sums in them."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._buffers: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """An array of that shape; what was taken by this name before is overwritten."""
        size = math.prod(shape)
        if name not in self._buffers or self._buffers[name].numel() < size:
            self._buffers[name] = self._like.new_empty(size)
        return self._buffers[name][:size].view(shape)


def transformed(weight: Tensor) -> Tensor:
    """(16, in, out): the weight of a convolution, (out, in, 3, 3), in Winograd's domain; float64."""
    g = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=torch.float64)
    terms = torch.einsum("ay,oiyx,bx->abio", g, weight.double(), g)
    return terms.reshape(16, weight.shape[1], weight.shape[0])


def convolve(
    padded: Tensor,
    weights: tuple[tuple[Tensor, Tensor, Tensor], ...],
    scratch: Scratch,
    check: Callable[[], None],
) -> None:
    """Convolutions of one picture, each over its first channels.

    Args:
        padded: (height + 2, width + 2, channels), with a border of one pixel; height and width even.
        weights: of each convolution: (16, in, out), see `transformed`, where `in` may be fewer than the channels;
            what is added, (out,); and where the answer goes, (height, width, out).
        scratch: of this call.
        check: called between the parts of the work.
    """
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    rows = max(1, TILES // (width // 2))
    for top in range(0, height, 2 * rows):
        bottom = min(height, top + 2 * rows)
        tiles = _tiles(padded[top : bottom + 2], scratch)
        for weight, bias, answer in weights:
            check()
            _multiply(tiles, weight, bias, answer[top:bottom], scratch)


def _tiles(padded: Tensor, scratch: Scratch) -> Tensor:
    """(4, 4, rows, columns, channels): tiles of (2 * rows + 2, 2 * columns + 2, channels) pixels, transformed."""
    height, width, channels = padded.shape
    rows, columns = height // 2 - 1, width // 2 - 1
    half = scratch.take("half tiles", 4, rows, width, channels)
    _transform(padded[0::2], padded[1::2], half, 0)
    tiles = scratch.take("tiles", 4, 4, rows, columns, channels)
    _transform(half[:, :, 0::2], half[:, :, 1::2], tiles.transpose(0, 1), 2)
    return tiles


def _transform(even: Tensor, odd: Tensor, to: Tensor, axis: int) -> None:
    """Four lines d0..d3 in a row, the last two shared with the next tile: d0 - d2, d1 + d2, d2 - d1, d1 - d3."""
    count = even.shape[axis] - 1
    d0, d2 = even.narrow(axis, 0, count), even.narrow(axis, 1, count)
    d1, d3 = odd.narrow(axis, 0, count), odd.narrow(axis, 1, count)
    torch.sub(d0, d2, out=to[0])
    torch.add(d1, d2, out=to[1])
    torch.sub(d2, d1, out=to[2])
    torch.sub(d1, d3, out=to[3])


def _multiply(tiles: Tensor, weight: Tensor, bias: Tensor, answer: Tensor, scratch: Scratch) -> None:
    """One convolution of those tiles, into (2 * rows, 2 * columns, out)."""
    _, _, rows, columns, channels = tiles.shape
    inside, outside = weight.shape[1:]
    flat = tiles.view(16, rows * columns, channels)
    products = scratch.take(f"products {outside}", 16, rows * columns, outside)
    torch.bmm(flat[:, :, :inside], weight, out=products)
    products[5] += bias  # of the 16 terms, the one that each pixel of a tile contains once, with a plus
    half = scratch.take(f"half {outside}", 2, 4, rows, columns, outside)
    _back(products.view(4, 4, rows, columns, outside), half)
    _back(half.transpose(0, 1), answer.view(rows, 2, columns, 2, outside).permute(3, 1, 0, 2, 4))


def _back(terms: Tensor, to: Tensor) -> None:
    """m0..m3 along the first axis: m0 + m1 + m2 and m1 - m2 - m3."""
    torch.add(terms[0], terms[1], out=to[0])
    to[0] += terms[2]
    torch.sub(terms[1], terms[2], out=to[1])
    to[1] -= terms[3]
