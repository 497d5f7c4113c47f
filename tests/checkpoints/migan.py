"""MI-GAN 512 (Sargsyan et al., ICCV 2023) as plain modules, to make checkpoints like the published one.

Written for likeness, not for speed: zeros are inserted and every step is a layer of its own. The names nest as in
the published file; `Generator().state_dict()` has its 177 keys and shapes.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDES = (4, 8, 16, 32, 64, 128, 256, 512)
BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


def width(side: int) -> int:
    """Channels at a resolution."""
    return min(32768 // side, 512)


def active(x: Tensor) -> Tensor:
    return (functional.leaky_relu(x, 0.2) * 2**0.5).clamp(-256, 256)


def fir(channels: int, gain: float) -> nn.Conv2d:
    conv = nn.Conv2d(channels, channels, 4, groups=channels, bias=False)
    conv.weight = nn.Parameter(gain * torch.outer(BINOMIAL, BINOMIAL).repeat(channels, 1, 1, 1))
    return conv


class Down(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.filter = fir(channels, 1)
        self.filter.stride, self.filter.padding = (2, 2), (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.filter(x)


class Up(nn.Module):
    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        dots = torch.zeros(1, 1, side, side)
        dots[..., ::2, ::2] = 1
        self.register_buffer("filter_const", dots)
        self.filter = fir(channels, 4)

    def forward(self, x: Tensor) -> Tensor:
        sparse = x.repeat_interleave(2, 2).repeat_interleave(2, 3) * self.filter_const
        return self.filter(functional.pad(sparse, (2, 1, 2, 1)))


class Separable(nn.Module):
    def __init__(
        self, into: int, out: int, side: int, *, down: bool = False, up: bool = False, noise: bool = False
    ):
        super().__init__()
        if noise:
            self.noise_strength = nn.Parameter(torch.zeros([]))
            self.register_buffer("noise_const", torch.zeros(side, side))
        self.conv1 = nn.Conv2d(into, into, 3, padding=1, groups=into)
        self.conv2 = nn.Conv2d(into, out, 1, bias=False)
        self.downsample = Down(into) if down else None
        self.upsample = Up(out, side) if up else None
        self.noise = noise

    def forward(self, x: Tensor) -> Tensor:
        x = active(self.conv1(x))
        if self.downsample is not None:
            x = self.downsample(x)
        x = self.conv2(x)
        if self.upsample is not None:
            x = self.upsample(x)
        if self.noise:
            x = x + self.noise_const * self.noise_strength
        return active(x)


class EncoderBlock(nn.Module):
    def __init__(self, side: int) -> None:
        super().__init__()
        here = width(side)
        self.fromrgb = nn.Conv2d(4, here, 1) if side == SIDES[-1] else None
        self.conv1 = Separable(here, here, side)
        self.conv2 = Separable(here, width(side // 2) if side > 4 else here, side, down=side > 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.fromrgb is not None:
            x = active(self.fromrgb(x))
        feature = self.conv1(x)
        return self.conv2(feature), feature


class SynthesisBlock(nn.Module):
    def __init__(self, side: int) -> None:
        super().__init__()
        here, later = width(side), side > 4
        self.conv1 = Separable(width(side // 2) if later else here, here, side, up=later, noise=later)
        self.conv2 = Separable(here, here, side, noise=later)
        self.torgb = nn.Conv2d(here, 3, 1)
        self.upsample = Up(3, side) if later else None

    def forward(self, x: Tensor, feature: Tensor, picture: Tensor | None) -> tuple[Tensor, Tensor]:
        x = self.conv2(self.conv1(x) + feature)
        own = self.torgb(x)
        return x, own if picture is None or self.upsample is None else self.upsample(picture) + own


class Generator(nn.Module):
    """(N, 4, 512, 512) = cat(0.5 - m, image * (1 - m)) to (N, 3, 512, 512), both about -1..1; m is 1 in the hole."""

    def __init__(self) -> None:
        super().__init__()
        self.synthesis = nn.ModuleDict({f"b{side}": SynthesisBlock(side) for side in SIDES})
        self.encoder = nn.ModuleDict({f"b{side}": EncoderBlock(side) for side in reversed(SIDES)})

    def forward(self, x: Tensor) -> Tensor:
        features = {}
        for name, block in self.encoder.items():
            x, features[name] = block(x)
        picture: Tensor | None = None
        for name, block in self.synthesis.items():
            x, picture = block(x, features[name], picture)
        assert picture is not None
        return picture


def generator(seed: int = 0) -> Generator:
    """With seeded weights that keep activations about 1 and the picture within about -1..1."""
    source = torch.Generator().manual_seed(seed)
    net = Generator().eval().requires_grad_(requires_grad=False)
    for name, tensor in net.state_dict().items():
        if "filter" in name:
            continue
        if name.endswith("noise_strength"):
            tensor.fill_(0.1)
        elif name.endswith("bias"):
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=source))
        elif name.endswith("noise_const"):
            tensor.copy_(torch.randn(tensor.shape, generator=source))
        else:
            fan_in = tensor[0].numel()
            # with the gain of sqrt 2 and the sums of features, each level then neither fades nor grows
            scale = 0.1 if "torgb" in name else 1.0
            tensor.copy_(scale * torch.randn(tensor.shape, generator=source) / fan_in**0.5)
    return net


def example(seed: int = 0, count: int = 1) -> Tensor:
    """An input as the net expects it: smooth stripes with a hole in the middle, (count, 4, 512, 512)."""
    source = torch.Generator().manual_seed(seed)
    image = functional.interpolate(
        torch.rand(count, 3, 16, 16, generator=source) * 2 - 1, size=512, mode="bilinear"
    )
    hole = torch.zeros(count, 1, 512, 512)
    hole[..., 150:330, 200:400] = 1
    return torch.cat([0.5 - hole, image * (1 - hole)], 1)


def save_state(path: Path, net: Generator) -> Path:
    """A plain state dict."""
    torch.save(net.state_dict(), path)
    return path


def traced(net: Generator) -> torch.jit.ScriptModule:
    """As published: TorchScript, traced at 512 x 512."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        program = torch.jit.trace(net, example(), check_trace=False)
    assert isinstance(program, torch.jit.ScriptModule)
    return program
