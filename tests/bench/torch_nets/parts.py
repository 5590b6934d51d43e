# pyright: basic, reportMissingImports=false
"""What the networks of this folder are built of; it needs PyTorch, which bmnetu never imports."""

from __future__ import annotations

import torch
from torch import nn


def conv(
    ins: int, outs: int, kernel: int = 3, stride: int = 1, groups: int = 1,
    act: type | None = nn.ReLU,
) -> nn.Sequential:
    """A convolution that keeps the size at stride 1, BatchNorm and an activation."""
    parts: list[nn.Module] = [
        nn.Conv2d(ins, outs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outs),
    ]
    return nn.Sequential(*parts, *([act()] if act else []))


class Bottleneck(nn.Module):
    """YOLO's: two convolutions, added to the input."""

    def __init__(self, width: int, act: type = nn.SiLU) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width, 1, act=act), conv(width, width, act=act))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class Csp(nn.Module):
    """A cross-stage partial block: half of the channels through bottlenecks."""

    def __init__(self, ins: int, outs: int, depth: int = 1) -> None:
        super().__init__()
        half = outs // 2
        self.left = conv(ins, half, 1, act=nn.SiLU)
        self.right = conv(ins, half, 1, act=nn.SiLU)
        self.body = nn.Sequential(*(Bottleneck(half) for _ in range(depth)))
        self.last = conv(2 * half, outs, 1, act=nn.SiLU)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.cat((self.body(self.left(x)), self.right(x)), dim=1))


class Spp(nn.Module):
    """Poolings of 5, 9 and 13 beside each other."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        self.first = conv(ins, ins // 2, 1, act=nn.SiLU)
        self.pools = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (5, 9, 13))
        self.last = conv(2 * ins, outs, 1, act=nn.SiLU)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.last(torch.cat([x, *(pool(x) for pool in self.pools)], dim=1))


class Attention(nn.Module):
    """Self-attention as most implementations write it: one matrix for q, k and v."""

    def __init__(self, width: int, heads: int, mask: torch.Tensor | None = None) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.qkv = nn.Linear(width, 3 * width)
        self.last = nn.Linear(width, width)
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, length, width = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = (q * self.scale) @ k.transpose(-2, -1)
        if self.mask is not None:
            scores = scores + self.mask
        mixed = scores.softmax(dim=-1) @ v
        return self.last(mixed.transpose(1, 2).reshape(n, length, width))


def mlp(width: int, ratio: int = 4) -> nn.Sequential:
    """The two linear layers of a transformer."""
    wide = ratio * width
    return nn.Sequential(nn.Linear(width, wide), nn.GELU(), nn.Linear(wide, width))


class Block(nn.Module):
    """A transformer's block, normalised first."""

    def __init__(self, width: int, heads: int, mask: torch.Tensor | None = None) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mlp = Attention(width, heads, mask), mlp(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))
