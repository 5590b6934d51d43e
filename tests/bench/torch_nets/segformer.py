# pyright: basic, reportMissingImports=false
"""Like SegFormer-b0: a transformer of four levels and a head of linear layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def sequence(x: Tensor) -> Tensor:
    """N x C x H x W as N x HW x C."""
    return x.flatten(2).transpose(1, 2)


def image(x: Tensor, height: int, width: int) -> Tensor:
    """The opposite of :func:`sequence`."""
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], height, width)


class Reduced(nn.Module):
    """Attention whose keys and values are those of a smaller image."""

    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.q, self.kv = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.last = nn.Linear(width, width)
        self.reduce = nn.Conv2d(width, width, ratio, ratio) if ratio > 1 else None
        self.norm = nn.LayerNorm(width) if ratio > 1 else None

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        n, length, wide = x.shape
        q = self.q(x).reshape(n, length, self.heads, -1).permute(0, 2, 1, 3)
        if self.reduce is not None and self.norm is not None:
            x = self.norm(sequence(self.reduce(image(x, height, width))))
        kv = self.kv(x).reshape(n, -1, 2, self.heads, wide // self.heads).permute(2, 0, 3, 1, 4)
        k, v = kv[0], kv[1]
        scores = ((q @ k.transpose(-2, -1)) * self.scale).softmax(dim=-1)
        return self.last((scores @ v).transpose(1, 2).reshape(n, length, wide))


class Block(nn.Module):
    """Attention, then two linear layers with a depthwise convolution between them."""

    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.attention = Reduced(width, heads, ratio)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.depthwise = nn.Conv2d(4 * width, 4 * width, 3, 1, 1, groups=4 * width)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = x + self.attention(self.norm1(x), height, width)
        y = self.depthwise(image(self.fc1(self.norm2(x)), height, width))
        return x + self.fc2(F.gelu(sequence(y)))


class Stage(nn.Module):
    """Patches that overlap, and blocks over them."""

    def __init__(self, ins: int, outs: int, kernel: int, stride: int, heads: int, ratio: int):
        super().__init__()
        self.patches = nn.Conv2d(ins, outs, kernel, stride, kernel // 2)
        self.norm1, self.norm2 = nn.LayerNorm(outs), nn.LayerNorm(outs)
        self.blocks = nn.ModuleList(Block(outs, heads, ratio) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x)
        height, width = x.shape[2:]
        x = self.norm1(sequence(x))
        for block in self.blocks:
            x = block(x, height, width)
        return image(self.norm2(x), height, width)


class Segformer(nn.Module):
    """The whole; scores at a quarter of the image's size."""

    def __init__(self, classes: int = 19, width: int = 128) -> None:
        super().__init__()
        widths, heads, ratios = (32, 64, 160, 256), (1, 2, 5, 8), (8, 4, 2, 1)
        ins = (3, *widths[:3])
        self.stages = nn.ModuleList(
            Stage(a, b, *((7, 4) if i == 0 else (3, 2)), heads[i], ratios[i])
            for i, (a, b) in enumerate(zip(ins, widths, strict=True))
        )
        self.linears = nn.ModuleList(nn.Linear(w, width) for w in widths)
        self.fuse = nn.Sequential(
            nn.Conv2d(4 * width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.last = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for stage, linear in zip(self.stages, self.linears, strict=True):
            x = stage(x)
            level = image(linear(sequence(x)), *x.shape[2:])
            size = found[0].shape[2:] if found else level.shape[2:]
            found.append(F.interpolate(level, size=size, mode="bilinear", align_corners=False))
        return self.last(self.fuse(torch.cat(found[::-1], dim=1)))
