"""The layers of the example, forward and backward, in plain numpy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]
EPS = 1e-5


@dataclass
class Parameter:
    """A trained array, float32, and its gradient."""

    value: Array
    gradient: Array = field(default_factory=lambda: np.zeros(1, np.float32))


def zeros(count: int) -> Array:
    return np.zeros(count, np.float32)


def normal(random: np.random.Generator, deviation: float, shape: tuple[int, ...]) -> Parameter:
    """A parameter that starts with normal random numbers."""
    return Parameter(random.normal(0, deviation, shape).astype(np.float32))


class Layer(ABC):
    """One layer; ``backward`` takes the gradient of its result and gives that of its input."""

    def __init__(self, *parameters: Parameter) -> None:
        self.parameters = parameters

    @abstractmethod
    def forward(self, x: Array, training: bool) -> Array: ...

    @abstractmethod
    def backward(self, gradient: Array) -> Array: ...


class Convolution(Layer):
    """3x3, stride 1, pad 1, no bias."""

    def __init__(self, random: np.random.Generator, inputs: int, outputs: int) -> None:
        self.weight = normal(random, np.sqrt(2 / (9 * inputs)), (outputs, inputs, 3, 3))
        super().__init__(self.weight)

    def forward(self, x: Array, training: bool) -> Array:
        self.columns = _columns(x)
        return _convolve(self.columns, self.weight.value)

    def backward(self, gradient: Array) -> Array:
        self.weight.gradient = np.einsum(
            "nohw,nchwij->ocij", gradient, self.columns, optimize=True
        )
        turned = self.weight.value[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
        return _convolve(_columns(gradient), turned)


def _columns(x: Array) -> Array:
    """All 3x3 windows: N x C x H x W x 3 x 3."""
    return sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), axis=(2, 3))


def _convolve(columns: Array, weight: Array) -> Array:
    return np.einsum("nchwij,ocij->nohw", columns, weight, optimize=True)


class BatchNorm(Layer):
    """Normalisation by the batch, or by the running statistics when not training."""

    def __init__(self, channels: int) -> None:
        self.mean, self.variance = zeros(channels), zeros(channels) + 1
        self.factor = Parameter(zeros(channels) + 1)
        self.addend = Parameter(zeros(channels))
        super().__init__(self.factor, self.addend)

    def forward(self, x: Array, training: bool) -> Array:
        mean, variance = self.mean, self.variance
        if training:
            mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
            self.mean += 0.1 * (mean - self.mean)
            self.variance += 0.1 * (variance - self.variance)
        self.deviation = np.sqrt(variance + np.float32(EPS))[:, None, None]
        self.normal = (x - mean[:, None, None]) / self.deviation
        return self.normal * self.factor.value[:, None, None] + self.addend.value[:, None, None]

    def backward(self, gradient: Array) -> Array:
        axes = (0, 2, 3)
        self.addend.gradient = gradient.sum(axis=axes)
        self.factor.gradient = (gradient * self.normal).sum(axis=axes)
        inner = gradient * self.factor.value[:, None, None]
        mean = inner.mean(axis=axes, keepdims=True)
        along = (inner * self.normal).mean(axis=axes, keepdims=True)
        return (inner - mean - self.normal * along) / self.deviation


class ReLU(Layer):
    def forward(self, x: Array, training: bool) -> Array:
        self.positive = x > 0
        return x * self.positive

    def backward(self, gradient: Array) -> Array:
        return gradient * self.positive


class MaxPool(Layer):
    """2x2, stride 2."""

    def forward(self, x: Array, training: bool) -> Array:
        n, c, h, w = x.shape
        self.tiles = x.reshape(n, c, h // 2, 2, w // 2, 2)
        return self.tiles.max(axis=(3, 5))

    def backward(self, gradient: Array) -> Array:
        n, c, h, w = gradient.shape
        wide = gradient[:, :, :, None, :, None]
        chosen = self.tiles == self.tiles.max(axis=(3, 5), keepdims=True)
        shared = wide * chosen / chosen.sum(axis=(3, 5), keepdims=True, dtype=np.float32)
        return shared.reshape(n, c, 2 * h, 2 * w)


class InnerProduct(Layer):
    def __init__(self, random: np.random.Generator, inputs: int, outputs: int) -> None:
        self.weight = normal(random, np.sqrt(1 / inputs), (outputs, inputs))
        self.bias = Parameter(zeros(outputs))
        super().__init__(self.weight, self.bias)

    def forward(self, x: Array, training: bool) -> Array:
        self.shape, self.rows = x.shape, x.reshape(len(x), -1)
        return self.rows @ self.weight.value.T + self.bias.value

    def backward(self, gradient: Array) -> Array:
        self.weight.gradient = gradient.T @ self.rows
        self.bias.gradient = gradient.sum(axis=0)
        return (gradient @ self.weight.value).reshape(self.shape)


class Adam:
    """Adam with a rate that falls to zero along a cosine over ``steps`` steps."""

    def __init__(self, parameters: list[Parameter], steps: int, rate: float = 0.01) -> None:
        self.parameters, self.steps, self.rate = parameters, steps, rate
        self.means = [np.zeros_like(p.value) for p in parameters]
        self.squares = [np.zeros_like(p.value) for p in parameters]
        self.done = 0

    def step(self) -> None:
        self.done += 1
        rate = self.rate * (1 + np.cos(np.pi * self.done / self.steps)) / 2
        for p, mean, square in zip(self.parameters, self.means, self.squares, strict=True):
            mean += 0.1 * (p.gradient - mean)
            square += 0.001 * (p.gradient**2 - square)
            expected = mean / (1 - 0.9**self.done)
            p.value -= rate * expected / (np.sqrt(square / (1 - 0.999**self.done)) + 1e-8)
