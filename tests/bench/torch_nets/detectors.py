# pyright: basic, reportMissingImports=false
"""Detectors that no library here has: like YOLOv6 and YOLOX."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_nets.parts import Csp, Spp, conv

STRIDES = (8, 16, 32)
CLASSES = 80


def grid(side: int) -> tuple[Tensor, Tensor]:
    """The cells' corners and strides of all levels, one row a cell."""
    corners, strides = [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(*[torch.arange(side // stride)] * 2, indexing="ij")
        corners.append(torch.stack((x, y), dim=2).reshape(1, -1, 2))
        strides.append(torch.full((1, corners[-1].shape[1], 1), stride))
    return torch.cat(corners, dim=1).float(), torch.cat(strides, dim=1).float()


class Neck(nn.Module):
    """A pyramid down and up again, over three levels of the backbone.

    ``up`` and ``mix`` make the modules that enlarge, and that compute behind a concat.
    """

    def __init__(self, widths: tuple[int, int, int], up, mix, act: type) -> None:
        super().__init__()
        a, b, c = widths
        self.down1, self.down2 = conv(c, b, 1, act=act), conv(b, a, 1, act=act)
        self.up1, self.up2 = up(b), up(a)
        self.mix1, self.mix2 = mix(2 * b, b), mix(2 * a, a)
        self.back1, self.back2 = conv(a, a, 3, 2, act=act), conv(b, b, 3, 2, act=act)
        self.mix3, self.mix4 = mix(2 * a, b), mix(2 * b, c)

    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        small = self.down1(c)
        middle = self.down2(self.mix1(torch.cat([self.up1(small), b], dim=1)))
        large = self.mix2(torch.cat([self.up2(middle), a], dim=1))
        found = self.mix3(torch.cat([self.back1(large), middle], dim=1))
        return large, found, self.mix4(torch.cat([self.back2(found), small], dim=1))


class Head(nn.Module):
    """Boxes and classes of one level, decoupled; ``objects``: also whether there is one."""

    def __init__(self, ins: int, width: int, act: type, objects: bool) -> None:
        super().__init__()
        self.stem = conv(ins, width, 1, act=act)
        self.classes = nn.Sequential(conv(width, width, act=act), nn.Conv2d(width, CLASSES, 1))
        self.boxes = conv(width, width, act=act)
        self.box = nn.Conv2d(width, 4, 1)
        self.object = nn.Conv2d(width, 1, 1) if objects else None

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x)
        boxes = self.boxes(x)
        object_ = (self.object(boxes),) if self.object is not None else ()
        return self.box(boxes), *object_, self.classes(x)


class Focus(nn.Module):
    """Four pictures of half the size, beside each other as channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = conv(12, width, act=nn.SiLU)

    def forward(self, x: Tensor) -> Tensor:
        parts = (x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2])
        return self.conv(torch.cat(parts, dim=1))


class Yolox(nn.Module):
    """Like YOLOX-nano in its structure: Focus, CSP blocks, SPP, nearest upsampling, a grid."""

    def __init__(self, side: int = 320) -> None:
        super().__init__()
        act = nn.SiLU
        self.stem = Focus(16)
        self.a = nn.Sequential(conv(16, 32, 3, 2, act=act), Csp(32, 32),
                               conv(32, 64, 3, 2, act=act), Csp(64, 64, 3))  # fmt: skip
        self.b = nn.Sequential(conv(64, 128, 3, 2, act=act), Csp(128, 128, 3))
        self.c = nn.Sequential(conv(128, 256, 3, 2, act=act), Spp(256, 256), Csp(256, 256))
        self.neck = Neck((64, 128, 256), lambda _: nn.Upsample(scale_factor=2), Csp, act)
        self.heads = nn.ModuleList(Head(ins, 64, act, True) for ins in (64, 128, 256))
        corners, strides = grid(side)
        self.register_buffer("corners", corners)
        self.register_buffer("strides", strides)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(self.stem(x))
        b = self.b(a)
        levels = self.neck(a, b, self.c(b))
        found = []
        for head, level in zip(self.heads, levels, strict=True):
            box, object_, classes = head(level)
            parts = [box, object_.sigmoid(), classes.sigmoid()]
            found.append(torch.cat(parts, dim=1).flatten(start_dim=2))
        rows = torch.cat(found, dim=2).permute(0, 2, 1)
        middles = (rows[..., 0:2] + self.corners) * self.strides
        sizes = torch.exp(rows[..., 2:4]) * self.strides
        return torch.cat([middles, sizes, rows[..., 4:]], dim=-1)


class Rep(nn.Module):
    """A block of RepVGG as it is deployed."""

    def __init__(self, ins: int, outs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(ins, outs, 3, stride, 1)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))


class Yolov6(nn.Module):
    """Like YOLOv6-nano in its structure: RepVGG blocks, SPPF, ConvTranspose, boxes by sides."""

    def __init__(self, side: int = 320) -> None:
        super().__init__()

        def stage(ins: int, outs: int, depth: int = 1) -> nn.Sequential:
            return nn.Sequential(Rep(ins, outs, 2), *(Rep(outs, outs) for _ in range(depth)))

        def up(width: int) -> nn.Module:
            return nn.ConvTranspose2d(width, width, 2, 2, bias=True)

        def mix(ins: int, outs: int) -> nn.Module:
            return nn.Sequential(Rep(ins, outs), Rep(outs, outs))

        self.a = nn.Sequential(Rep(3, 16, 2), stage(16, 32), stage(32, 64, 2))
        self.b, self.c = stage(64, 128, 2), stage(128, 256)
        self.before, self.after = conv(256, 128, 1), conv(512, 256, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.neck = Neck((64, 128, 256), up, mix, nn.ReLU)
        self.heads = nn.ModuleList(Head(ins, 64, nn.SiLU, False) for ins in (64, 128, 256))
        corners, strides = grid(side)
        self.register_buffer("middles", corners + 0.5)
        self.register_buffer("strides", strides)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(a)
        pooled = [self.before(self.c(b))]
        for _ in range(3):
            pooled.append(self.pool(pooled[-1]))
        boxes, classes = [], []
        levels = self.neck(a, b, self.after(torch.cat(pooled, dim=1)))
        for head, level in zip(self.heads, levels, strict=True):
            box, scores = head(level)
            n, _, h, w = box.shape
            boxes.append(box.reshape([n, 4, h * w]))
            classes.append(scores.sigmoid().reshape([n, CLASSES, h * w]))
        sides = torch.cat(boxes, dim=-1).permute(0, 2, 1)
        before, after = torch.split(sides, 2, -1)
        first, last = self.middles - before, self.middles + after
        box = torch.cat([(first + last) / 2, last - first], -1) * self.strides
        sure = torch.ones((box.shape[0], box.shape[1], 1), device=box.device, dtype=box.dtype)
        return torch.cat([box, sure, torch.cat(classes, dim=-1).permute(0, 2, 1)], dim=-1)
