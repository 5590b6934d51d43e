# pyright: basic, reportMissingImports=false
"""Networks that find and read text: like DBNet, EAST, CRNN and PP-OCR's recogniser."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_nets.parts import Block, conv


class Levels(nn.Module):
    """The four levels of a ResNet-18."""

    def __init__(self) -> None:
        super().__init__()
        import torchvision

        net = torchvision.models.resnet18(weights=None)
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.stages = nn.ModuleList([net.layer1, net.layer2, net.layer3, net.layer4])

    def forward(self, x: Tensor) -> list[Tensor]:
        x, found = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


class Dbnet(nn.Module):
    """Like DBNet: ResNet-18, a pyramid by nearest upsampling, ConvTranspose up to the image."""

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.levels = Levels()
        self.inner = nn.ModuleList(nn.Conv2d(w, width, 1, bias=False) for w in (64, 128, 256, 512))
        self.outer = nn.ModuleList(
            nn.Conv2d(width, width // 4, 3, padding=1, bias=False) for _ in range(4)
        )
        self.head = nn.Sequential(
            conv(width, width // 4),
            nn.ConvTranspose2d(width // 4, width // 4, 2, 2),
            nn.BatchNorm2d(width // 4),
            nn.ReLU(),
            nn.ConvTranspose2d(width // 4, 1, 2, 2),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = [f(level) for f, level in zip(self.inner, self.levels(x), strict=True)]
        for i in (2, 1, 0):
            parts[i] = parts[i] + F.interpolate(parts[i + 1], scale_factor=2, mode="nearest")
        size = parts[0].shape[2:]
        found = [f(part) for f, part in zip(self.outer, parts, strict=True)]
        found[1:] = [F.interpolate(part, size=size, mode="nearest") for part in found[1:]]
        return self.head(torch.cat(found[::-1], dim=1))


class East(nn.Module):
    """Like EAST: bilinear upsampling with corners aligned, sides and an angle from a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = Levels()
        self.merges = nn.ModuleList(
            nn.Sequential(conv(ins, outs, 1), conv(outs, outs))
            for ins, outs in ((512 + 256, 128), (128 + 128, 64), (64 + 64, 32))
        )
        self.last = conv(32, 32)
        self.score, self.sides, self.angle = (nn.Conv2d(32, n, 1) for n in (1, 4, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b, c, y = self.levels(x)
        for skip, merge in zip((c, b, a), self.merges, strict=True):
            y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True)
            y = merge(torch.cat((y, skip), 1))
        y = self.last(y)
        sides = torch.sigmoid(self.sides(y)) * 512
        angle = (torch.sigmoid(self.angle(y)) - 0.5) * math.pi
        return torch.sigmoid(self.score(y)), torch.cat((sides, angle), 1)


class Recurrent(nn.Module):
    """An LSTM in both directions, and a linear layer over its rows."""

    def __init__(self, ins: int, hidden: int, outs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(ins, hidden, bidirectional=True)
        self.linear = nn.Linear(2 * hidden, outs)

    def forward(self, x: Tensor) -> Tensor:
        rows, _ = self.lstm(x)
        steps, batch, width = rows.size()
        return self.linear(rows.view(steps * batch, width)).view(steps, batch, -1)


class Crnn(nn.Module):
    """CRNN: a grey image of 32 rows to 37 characters a step."""

    def __init__(self) -> None:
        super().__init__()

        def plain(ins: int, outs: int, kernel: int = 3, pad: int = 1) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(ins, outs, kernel, 1, pad), nn.ReLU(True))

        def normed(ins: int, outs: int, kernel: int = 3, pad: int = 1) -> nn.Sequential:
            layers = nn.Conv2d(ins, outs, kernel, 1, pad), nn.BatchNorm2d(outs), nn.ReLU(True)
            return nn.Sequential(*layers)

        self.cnn = nn.Sequential(
            plain(1, 64), nn.MaxPool2d(2, 2),
            plain(64, 128), nn.MaxPool2d(2, 2),
            normed(128, 256), plain(256, 256), nn.MaxPool2d((2, 2), (2, 1), (0, 1)),
            normed(256, 512), plain(512, 512), nn.MaxPool2d((2, 2), (2, 1), (0, 1)),
            normed(512, 512, 2, 0),
        )  # fmt: skip
        self.rnn = nn.Sequential(Recurrent(512, 256, 256), Recurrent(256, 256, 37))

    def forward(self, x: Tensor) -> Tensor:
        features = self.cnn(x)
        _, _, height, _ = features.size()
        assert height == 1
        return F.log_softmax(self.rnn(features.squeeze(2).permute(2, 0, 1)), dim=2)


def near(height: int, width: int, rows: int = 7, columns: int = 11) -> Tensor:
    """A mask of 0 for pairs of places near each other, minus infinity for others."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    y, x = y.flatten(), x.flatten()
    far = ((y[:, None] - y).abs() > rows // 2) | ((x[:, None] - x).abs() > columns // 2)
    return torch.zeros(far.shape).masked_fill(far, float("-inf"))[None, None]


class Merge(nn.Module):
    """Halves the rows of an image that is held as a sequence."""

    def __init__(self, ins: int, outs: int, height: int, width: int) -> None:
        super().__init__()
        self.size = height, width
        self.conv = nn.Conv2d(ins, outs, 3, (2, 1), 1)
        self.norm = nn.LayerNorm(outs)

    def forward(self, x: Tensor) -> Tensor:
        image = x.permute(0, 2, 1).reshape(x.shape[0], x.shape[2], *self.size)
        return self.norm(self.conv(image).flatten(2).permute(0, 2, 1))


class Svtr(nn.Module):
    """Like SVTR-tiny of PP-OCR: attention near by, then over all places; a CTC head."""

    def __init__(self, side: int = 256, characters: int = 6625) -> None:
        super().__init__()
        height, width = 8, side // 4
        widths, heads = (64, 128, 256), (2, 4, 8)
        self.stem = nn.Sequential(
            conv(3, 32, 3, 2, act=nn.GELU), conv(32, widths[0], 3, 2, act=nn.GELU)
        )
        self.places = nn.Parameter(torch.zeros(1, height * width, widths[0]))
        blocks: list[nn.Module] = []
        for i, (wide, many) in enumerate(zip(widths, heads, strict=True)):
            mask = near(height, width) if i == 0 else None
            blocks += [Block(wide, many, mask), Block(wide, many)]
            if i < 2:
                blocks.append(Merge(wide, widths[i + 1], height, width))
                height //= 2
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(widths[-1])
        self.size = height, width
        self.pool = nn.AdaptiveAvgPool2d((1, width))
        self.last = nn.Sequential(nn.Conv2d(widths[-1], 192, 1, bias=False), nn.Hardswish())
        self.head = nn.Linear(192, characters)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).permute(0, 2, 1) + self.places
        x = self.norm(self.blocks(x))
        image = x.permute(0, 2, 1).reshape(x.shape[0], -1, *self.size)
        rows = self.last(self.pool(image)).squeeze(2).permute(0, 2, 1)
        return self.head(rows).softmax(dim=2)
