# pyright: basic, reportMissingImports=false
"""Small networks over images, clips and sounds, written as their papers' code is."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_nets.parts import conv


class Unet(nn.Module):
    """U-Net with ConvTranspose, and pads where sizes are odd."""

    def __init__(self, width: int = 32, classes: int = 2) -> None:
        super().__init__()

        def double(ins: int, outs: int) -> nn.Sequential:
            return nn.Sequential(conv(ins, outs), conv(outs, outs))

        widths = [width << i for i in range(5)]
        self.first = double(3, width)
        pairs = list(pairwise(widths))
        self.downs = nn.ModuleList(nn.Sequential(nn.MaxPool2d(2), double(a, b)) for a, b in pairs)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in reversed(pairs))
        self.mixes = nn.ModuleList(double(b, a) for a, b in reversed(pairs))
        self.last = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        held = [self.first(x)]
        for down in self.downs:
            held.append(down(held[-1]))
        y = held.pop()
        for up, mix in zip(self.ups, self.mixes, strict=True):
            skip, y = held.pop(), up(y)
            dy, dx = skip.size(2) - y.size(2), skip.size(3) - y.size(3)
            y = F.pad(y, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
            y = mix(torch.cat([skip, y], dim=1))
        return self.last(y)


class SuperResolution(nn.Module):
    """Like EDSR: residual blocks without norm, PixelShuffle, and the image enlarged besides."""

    def __init__(self, width: int = 32, depth: int = 6, scale: int = 2) -> None:
        super().__init__()

        def body() -> nn.Sequential:
            layers = nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1)
            return nn.Sequential(*layers)

        self.scale = scale
        self.first = nn.Conv2d(3, width, 3, 1, 1)
        self.bodies = nn.ModuleList(body() for _ in range(depth))
        self.middle = nn.Conv2d(width, width, 3, 1, 1)
        self.last = nn.Sequential(
            nn.Conv2d(width, width * scale**2, 3, 1, 1), nn.PixelShuffle(scale),
            nn.Conv2d(width, 3, 3, 1, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        first = y = self.first(x)
        for body in self.bodies:
            y = y + 0.1 * body(y)
        large = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return large + 0.1 * self.last(self.middle(y) + first)


class C3d(nn.Module):
    """Like C3D: convolutions and poolings over time, rows and columns."""

    def __init__(self, classes: int = 101) -> None:
        super().__init__()

        def stage(ins: int, outs: int, pool: int | tuple[int, int, int]) -> nn.Sequential:
            layers = nn.Conv3d(ins, outs, 3, padding=1), nn.ReLU(), nn.MaxPool3d(pool, pool)
            return nn.Sequential(*layers)

        self.body = nn.Sequential(
            stage(3, 32, (1, 2, 2)), stage(32, 64, 2),
            nn.Conv3d(64, 128, 3, padding=1), nn.BatchNorm3d(128), nn.ReLU(),
            stage(128, 128, 2), stage(128, 256, 2),
        )  # fmt: skip
        flat = 256 * 2 * 4 * 4
        self.last = nn.Sequential(nn.Linear(flat, 512), nn.ReLU(), nn.Linear(512, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x).flatten(1))


class Keywords(nn.Module):
    """Words in a sound: convolutions over time, a GRU of two layers, the last step."""

    def __init__(self, bands: int = 40, hidden: int = 128, words: int = 12) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(bands, 64, 5, 2, 2), nn.BatchNorm1d(64), nn.ReLU(),
            nn.Conv1d(64, 64, 3, 1, 1, groups=64), nn.Conv1d(64, 96, 1), nn.ReLU(),
            nn.MaxPool1d(2),
        )  # fmt: skip
        self.gru = nn.GRU(96, hidden, 2, batch_first=True)
        self.last = nn.Linear(hidden, words)

    def forward(self, x: Tensor) -> Tensor:
        rows, _ = self.gru(self.body(x).transpose(1, 2))
        return self.last(rows[:, -1])


class Padded(nn.Module):
    """A convolution whose border mirrors the image, behind an upsampling if that is asked for."""

    def __init__(self, ins: int, outs: int, kernel: int, stride: int = 1, up: int = 1) -> None:
        super().__init__()
        self.up = up
        self.pad = nn.ReflectionPad2d(kernel // 2)
        self.conv = nn.Conv2d(ins, outs, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        if self.up > 1:
            x = F.interpolate(x, mode="nearest", scale_factor=self.up)
        return self.conv(self.pad(x))


class Residual(nn.Module):
    """Two convolutions with InstanceNorm, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        norm = nn.InstanceNorm2d
        self.body = nn.Sequential(
            Padded(width, width, 3), norm(width, affine=True), nn.ReLU(),
            Padded(width, width, 3), norm(width, affine=True),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Style(nn.Module):
    """Fast neural style: mirrored borders, InstanceNorm, nearest upsampling."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()

        def stage(ins: int, outs: int, kernel: int, **how: int) -> nn.Sequential:
            layers = Padded(ins, outs, kernel, **how), nn.InstanceNorm2d(outs, affine=True)
            return nn.Sequential(*layers, nn.ReLU())

        self.body = nn.Sequential(
            stage(3, width, 9), stage(width, 2 * width, 3, stride=2),
            stage(2 * width, 4 * width, 3, stride=2),
            *(Residual(4 * width) for _ in range(3)),
            stage(4 * width, 2 * width, 3, up=2), stage(2 * width, width, 3, up=2),
            Padded(width, 3, 9),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class Faces(nn.Module):
    """Like MobileFaceNet: PReLU, a depthwise layer over the whole map, rows of length 1."""

    def __init__(self, width: int = 64, numbers: int = 128) -> None:
        super().__init__()
        wide = 2 * width

        def prelu(ins: int, outs: int, kernel: int, stride: int, groups: int) -> nn.Sequential:
            return nn.Sequential(conv(ins, outs, kernel, stride, groups, None), nn.PReLU(outs))

        def shrink(ins: int, outs: int) -> nn.Sequential:
            return nn.Sequential(
                prelu(ins, wide, 1, 1, 1), prelu(wide, wide, 3, 2, wide),
                conv(wide, outs, 1, act=None),
            )  # fmt: skip

        self.body = nn.Sequential(
            prelu(3, width, 3, 2, 1), prelu(width, width, 3, 1, width), shrink(width, width),
            shrink(width, wide), shrink(wide, wide), prelu(wide, 512, 1, 1, 1),
            nn.Conv2d(512, 512, 7, groups=512, bias=False), nn.BatchNorm2d(512),
        )  # fmt: skip
        self.last = nn.Sequential(nn.Linear(512, numbers, bias=False), nn.BatchNorm1d(numbers))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.last(self.body(x).flatten(1)))
