"""The layers of ssd.prototxt that are trained, and how they hang together."""

from __future__ import annotations

import numpy as np

from examples.detect.boxes import BOXES
from examples.detect.draw import CLASSES
from examples.layers import Array, BatchNorm, Convolution, MaxPool, Parameter, ReLU, Scale
from examples.training import Network, forward

LOCATIONS = 4


class Detector:
    """Two stages, one behind the other; a head for locations and one for confidences on each."""

    def __init__(self, random: np.random.Generator) -> None:
        self.stages: list[Network] = [
            {
                **convolution(random, "conv1", 3, 16, stride=2),
                "pool1": MaxPool(),
                **convolution(random, "conv2", 16, 32),
                **convolution(random, "conv3", 32, 32),
                "pool3": MaxPool(),
                **convolution(random, "conv4", 32, 64),
            },
            {"pool4": MaxPool(), **convolution(random, "conv5", 64, 64)},
        ]
        self.heads: list[Network] = [
            {
                f"{name}/loc": head(random, BOXES * LOCATIONS),
                f"{name}/conf": head(random, BOXES * len(CLASSES)),
            }
            for name in ("conv4", "conv5")
        ]

    @property
    def layers(self) -> Network:
        """All layers by their names in the prototxt, the first one first."""
        return {name: layer for part in (*self.stages, *self.heads) for name, layer in part.items()}

    @property
    def parameters(self) -> list[Parameter]:
        return [parameter for layer in self.layers.values() for parameter in layer.parameters]

    def forward(self, x: Array, training: bool) -> tuple[Array, Array]:
        """Locations [N, P, 4] and confidences before the softmax [N, P, classes]."""
        found: list[list[Array]] = []
        self.shapes: list[tuple[int, ...]] = []
        for stage, heads in zip(self.stages, self.heads, strict=True):
            x = forward(stage, x, training)
            self.shapes.append(x.shape)
            found.append([layer.forward(x, training) for layer in heads.values()])
        loc, conf = zip(*found, strict=True)
        return _box_major(loc, LOCATIONS), _box_major(conf, len(CLASSES))

    def backward(self, loc: Array, conf: Array) -> None:
        """Sets the gradients of all parameters, by those of both results."""
        first = next(iter(self.layers.values()))
        given = zip(*(_channel_major(rows, self.shapes) for rows in (loc, conf)), strict=True)
        gradient: Array = np.zeros((), np.float32)
        for stage, heads, pieces in reversed(
            list(zip(self.stages, self.heads, given, strict=True))
        ):
            for layer, piece in zip(heads.values(), pieces, strict=True):
                layer.learn(piece)
                gradient = gradient + layer.backward(piece)
            for layer in reversed(stage.values()):
                layer.learn(gradient)
                if layer is not first:
                    gradient = layer.backward(gradient)


def convolution(
    random: np.random.Generator, name: str, inputs: int, outputs: int, *, stride: int = 1
) -> Network:
    """3x3, with what follows it."""
    return {
        name: Convolution(random, inputs, outputs, stride=stride, pad=1),
        f"{name}/bn": BatchNorm(outputs),
        f"{name}/scale": Scale(outputs),
        f"{name}/relu": ReLU(),
    }


def head(random: np.random.Generator, outputs: int) -> Convolution:
    return Convolution(random, 64, outputs, pad=1, bias=True)


def _box_major(maps: tuple[Array, ...], numbers: int) -> Array:
    """N x P x numbers: cell by cell of each map, box by box of a cell."""
    rows = [one.transpose(0, 2, 3, 1).reshape(len(one), -1, numbers) for one in maps]
    return np.concatenate(rows, axis=1)


def _channel_major(rows: Array, shapes: list[tuple[int, ...]]) -> list[Array]:
    """The inverse of _box_major, for maps of such heights and widths."""
    found: list[Array] = []
    start = 0
    for count, _, height, width in shapes:
        end = start + height * width * BOXES
        piece = rows[:, start:end].reshape(count, height, width, -1)
        found.append(piece.transpose(0, 3, 1, 2))
        start = end
    return found
