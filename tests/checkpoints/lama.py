"""LaMa as published (Suvorov et al., WACV 2022), with seeded weights: the names and shapes of `big-lama.pt`.

Written for training's layout, module by module, without any of the shortcuts of our inference.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, BLOCKS = 64, 18
"""Of the published network."""


class FourierUnit(nn.Module):
    """A 1x1 convolution of the spectrum, real and imaginary parts as channels of their own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        spectrum = torch.view_as_real(torch.fft.rfft2(x, norm="ortho"))  # (N, C, H, W/2+1, 2)
        pairs = spectrum.permute(0, 1, 4, 2, 3).reshape(batch, 2 * channels, height, width // 2 + 1)
        pairs = functional.relu(self.bn(self.conv_layer(pairs)))
        pairs = pairs.reshape(batch, channels, 2, height, width // 2 + 1).permute(0, 1, 3, 4, 2)
        return torch.fft.irfft2(torch.view_as_complex(pairs.contiguous()), s=(height, width), norm="ortho")


class SpectralTransform(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Sequential(nn.Conv2d(channels, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU())
        self.fu = FourierUnit(half)
        self.conv2 = nn.Conv2d(half, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        return self.conv2(x + self.fu(x))


def conv(inside: int, outside: int, size: int, stride: int = 1, padding: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, size, stride, padding, bias=False, padding_mode="reflect")


class Ffc(nn.Module):
    """Fast Fourier convolution from (local, global) to (local, global) channels; zero means there is no such part."""

    def __init__(
        self, inside: tuple[int, int], outside: tuple[int, int], size: int, stride: int, padding: int
    ):
        super().__init__()
        self.convl2l = conv(inside[0], outside[0], size, stride, padding)
        if outside[1]:
            self.convl2g = conv(inside[0], outside[1], size, stride, padding)
        if inside[1]:
            self.convg2l = conv(inside[1], outside[0], size, stride, padding)
            self.convg2g = SpectralTransform(inside[1])

    def forward(self, near: Tensor, far: Tensor | None) -> tuple[Tensor, Tensor | None]:
        local, wide = self.convl2l(near), self.convl2g(near) if hasattr(self, "convl2g") else None
        if far is not None:
            local, wide = local + self.convg2l(far), wide + self.convg2g(far)
        return local, wide


class FfcNorm(nn.Module):
    def __init__(
        self,
        inside: tuple[int, int],
        outside: tuple[int, int],
        size: int = 3,
        stride: int = 1,
        padding: int = 1,
    ) -> None:
        super().__init__()
        self.ffc = Ffc(inside, outside, size, stride, padding)
        self.bn_l = nn.BatchNorm2d(outside[0])
        if outside[1]:
            self.bn_g = nn.BatchNorm2d(outside[1])

    def forward(self, x: Tensor | tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor | None]:
        near, far = x if isinstance(x, tuple) else (x, None)
        near, far = self.ffc(near, far)
        return functional.relu(self.bn_l(near)), None if far is None else functional.relu(self.bn_g(far))


class Block(nn.Module):
    def __init__(self, widths: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = FfcNorm(widths, widths)
        self.conv2 = FfcNorm(widths, widths)

    def forward(self, x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        near, far = self.conv2(self.conv1(x))
        return x[0] + near, x[1] + far


class Concatenated(nn.Module):
    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        return torch.cat(x, dim=1)


class Generator(nn.Module):
    def __init__(self, width: int = WIDTH, blocks: int = BLOCKS) -> None:
        super().__init__()
        widest = 8 * width
        split = (widest // 4, widest - widest // 4)
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            FfcNorm((4, 0), (width, 0), 7, padding=0),
            FfcNorm((width, 0), (2 * width, 0), stride=2),
            FfcNorm((2 * width, 0), (4 * width, 0), stride=2),
            FfcNorm((4 * width, 0), split, stride=2),
            *(Block(split) for _ in range(blocks)),
            Concatenated(),
        ]
        for level in (widest, widest // 2, widest // 4):
            up = nn.ConvTranspose2d(level, level // 2, 3, stride=2, padding=1, output_padding=1)
            layers += [up, nn.BatchNorm2d(level // 2), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Sigmoid()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Lama(nn.Module):
    """`model(image (N, 3, H, W) in 0..1, mask (N, 1, H, W) of 0 and 1) -> (N, 3, H, W)`, as the archive answers."""

    def __init__(self, width: int = WIDTH, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.model = Generator(width, blocks)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        answer = self.model(torch.cat([image * (1 - mask), mask], dim=1))
        return mask * answer + (1 - mask) * image


def make(seed: int = 0, width: int = WIDTH, blocks: int = BLOCKS) -> Lama:
    """A network whose activations stay in range and whose answer varies; narrower and shorter than the published
    one where asked for.

    The norms' statistics are those of a random picture of 64 x 64, so that every layer answers like a trained one.
    """
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        net = Lama(width, blocks)
        for name, module in net.named_modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.3, 0.3)
                if ".conv2.bn_" in name:  # of a residual: eighteen of them are added up
                    module.weight.data.mul_(0.3)
        picture = torch.rand(2, 3, 16, 16)
        picture = functional.interpolate(picture, (64, 64), mode="bicubic").clamp(0, 1)
        mask = torch.zeros(2, 1, 64, 64)
        mask[:, :, 20:44, 12:40] = 1
        with torch.no_grad():
            net.train()(picture, mask)
    finally:
        torch.random.set_rng_state(state)
    return net.eval()


def save_state_dict(net: Lama, path: Path, prefix: str = "model.") -> Path:
    """As `torch.save` writes it, names beginning `model.model.`, or whatever is asked for before `model.`."""
    tensors = {prefix + name.removeprefix("model."): value for name, value in net.state_dict().items()}
    torch.save(tensors, path)
    return path


def trace(net: Lama, size: int = 64) -> torch.jit.ScriptModule:
    """As the published archive was made."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        warnings.filterwarnings(
            "ignore", category=torch.jit.TracerWarning
        )  # sizes become Python numbers: meant
        return torch.jit.trace(net, (torch.rand(1, 3, size, size), torch.ones(1, 1, size, size)))


def save_torchscript(net: Lama, path: Path) -> Path:
    """As `torch.jit.save` writes it: the form in which `big-lama.pt` is published."""
    trace(net).save(path)
    return path
