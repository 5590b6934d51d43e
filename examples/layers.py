"""The layers of the examples' nets, forward and backward, in plain numpy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
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
    """One layer. After ``forward``, ``learn`` takes the gradient of the result and sets those of
    the parameters; then ``backward`` takes the same and gives the gradient of the input.
    """

    def __init__(self, *parameters: Parameter) -> None:
        self.parameters = parameters

    @abstractmethod
    def forward(self, x: Array, training: bool) -> Array: ...

    def learn(self, gradient: Array) -> None:  # noqa: B027  some layers have nothing to learn
        """Nothing, where there are no parameters."""

    @abstractmethod
    def backward(self, gradient: Array) -> Array: ...

    def blobs(self) -> list[Array]:
        """What the umodel holds of this layer."""
        return [parameter.value for parameter in self.parameters]


class Convolution(Layer):
    """Square kernel, stride and zero padding; no bias unless asked for."""

    def __init__(
        self, random: np.random.Generator, inputs: int, outputs: int, *,
        kernel: int = 3, stride: int = 1, pad: int = 0, bias: bool = False,
    ) -> None:  # fmt: skip
        self.kernel, self.stride, self.pad = kernel, stride, pad
        deviation = np.sqrt(2 / (kernel * kernel * inputs))
        self.weight = normal(random, deviation, (outputs, inputs, kernel, kernel))
        self.bias = Parameter(zeros(outputs)) if bias else None
        super().__init__(self.weight, *([self.bias] if self.bias else []))

    def forward(self, x: Array, training: bool) -> Array:
        padded = _padded(x, self.pad)
        self.shape = padded.shape
        seen = sliding_window_view(padded, (self.kernel, self.kernel), axis=(2, 3))
        seen = seen[:, :, :: self.stride, :: self.stride].transpose(0, 2, 3, 1, 4, 5)
        n, h, w = seen.shape[:3]
        self.columns = seen.reshape(n * h * w, -1)
        rows = self.columns @ self.weight.value.reshape(len(self.weight.value), -1).T
        if self.bias:
            rows += self.bias.value
        return rows.reshape(n, h, w, -1).transpose(0, 3, 1, 2)

    def learn(self, gradient: Array) -> None:
        rows = gradient.transpose(1, 0, 2, 3).reshape(gradient.shape[1], -1)
        self.weight.gradient = (rows @ self.columns).reshape(self.weight.value.shape)
        if self.bias:
            self.bias.gradient = rows.sum(axis=1)

    def backward(self, gradient: Array) -> Array:
        wide = _canvas(self.shape)
        pixels = gradient.transpose(0, 2, 3, 1)
        for i, j, tap in _taps(wide, gradient, self.kernel, self.stride):
            tap += (pixels @ self.weight.value[:, :, i, j]).transpose(0, 3, 1, 2)
        return _without_pad(wide, self.pad)


class DepthwiseConvolution(Layer):
    """3x3, pad 1, a filter of its own for every channel, no bias."""

    def __init__(self, random: np.random.Generator, channels: int, *, stride: int = 1) -> None:
        self.stride = stride
        self.weight = normal(random, np.sqrt(2 / 9), (channels, 1, 3, 3))
        super().__init__(self.weight)

    def forward(self, x: Array, training: bool) -> Array:
        self.padded = _padded(x, 1)
        n, c, h, w = x.shape
        rows, columns = -(-h // self.stride), -(-w // self.stride)
        result = _canvas((n, c, rows, columns))
        for i, j, tap in _taps(self.padded, result, 3, self.stride):
            result += tap * self.weight.value[:, :, i, j, None]
        return result

    def learn(self, gradient: Array) -> None:
        self.weight.gradient = np.empty_like(self.weight.value)
        for i, j, tap in _taps(self.padded, gradient, 3, self.stride):
            self.weight.gradient[:, 0, i, j] = _by_channel(gradient, tap)

    def backward(self, gradient: Array) -> Array:
        wide = _canvas(self.padded.shape)
        for i, j, tap in _taps(wide, gradient, 3, self.stride):
            tap += gradient * self.weight.value[:, :, i, j, None]
        return _without_pad(wide, 1)


def _by_channel(a: Array, b: Array) -> Array:
    """The sum of the products, channel by channel."""
    return np.einsum("nchw,nchw->c", a, b)


def _canvas(shape: tuple[int, ...]) -> Array:
    """N x C x H x W zeros; the channels are adjacent in memory, which is faster here."""
    n, c, h, w = shape
    return np.zeros((n, h, w, c), np.float32).transpose(0, 3, 1, 2)


def _padded(x: Array, pad: int) -> Array:
    n, c, h, w = x.shape
    wide = _canvas((n, c, h + 2 * pad, w + 2 * pad))
    _without_pad(wide, pad)[:] = x
    return wide


def _without_pad(wide: Array, pad: int) -> Array:
    return wide[:, :, pad : wide.shape[2] - pad, pad : wide.shape[3] - pad]


def _taps(
    padded: Array, result: Array, kernel: int, stride: int
) -> Iterator[tuple[int, int, Array]]:
    """For each place in the kernel: row, column, and the pixels of ``padded`` that it meets."""
    height, width = ((size - 1) * stride + 1 for size in result.shape[2:])
    for i in range(kernel):
        for j in range(kernel):
            yield i, j, padded[:, :, i : i + height : stride, j : j + width : stride]


class BatchNorm(Layer):
    """Normalisation by the batch, or by the running statistics when not training."""

    def __init__(self, channels: int) -> None:
        self.mean, self.variance = zeros(channels), zeros(channels) + 1
        super().__init__()

    def forward(self, x: Array, training: bool) -> Array:
        mean, variance = self.mean, self.variance
        if training:
            mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
            self.mean += 0.1 * (mean - self.mean)
            self.variance += 0.1 * (variance - self.variance)
        self.deviation = np.sqrt(variance + np.float32(EPS))[:, None, None]
        self.normal = (x - mean[:, None, None]) / self.deviation
        return self.normal

    def backward(self, gradient: Array) -> Array:
        mean = gradient.mean(axis=(0, 2, 3), keepdims=True)
        along = _by_channel(gradient, self.normal) / (gradient.size // gradient.shape[1])
        inner = gradient - mean - self.normal * along.astype(np.float32)[:, None, None]
        return inner / self.deviation

    def blobs(self) -> list[Array]:
        return [self.mean, self.variance, np.ones(1, np.float32)]


class Scale(Layer):
    """A factor and an addend for every channel."""

    def __init__(self, channels: int) -> None:
        self.factor = Parameter(zeros(channels) + 1)
        self.addend = Parameter(zeros(channels))
        super().__init__(self.factor, self.addend)

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        return x * self.factor.value[:, None, None] + self.addend.value[:, None, None]

    def learn(self, gradient: Array) -> None:
        self.factor.gradient = _by_channel(gradient, self.x)
        self.addend.gradient = gradient.sum(axis=(0, 2, 3))

    def backward(self, gradient: Array) -> Array:
        return gradient * self.factor.value[:, None, None]


class ReLU(Layer):
    def forward(self, x: Array, training: bool) -> Array:
        self.positive = x > 0
        return x * self.positive

    def backward(self, gradient: Array) -> Array:
        return gradient * self.positive


class MaxPool(Layer):
    """2x2, stride 2; of equal pixels the first one gets the gradient."""

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        self.largest = x[:, :, ::2, ::2]
        for _, _, tap in _taps(x, self.largest, 2, 2):
            self.largest = np.maximum(self.largest, tap)
        return self.largest

    def backward(self, gradient: Array) -> Array:
        wide = np.zeros_like(self.x)
        left = gradient
        for i, j, tap in _taps(self.x, gradient, 2, 2):
            wide[:, :, i::2, j::2] = left * (tap == self.largest)
            left = left - wide[:, :, i::2, j::2]
        return wide


class GlobalAveragePool(Layer):
    def forward(self, x: Array, training: bool) -> Array:
        self.shape = x.shape
        return x.mean(axis=(2, 3), keepdims=True)

    def backward(self, gradient: Array) -> Array:
        pixels = np.float32(self.shape[2] * self.shape[3])
        return np.broadcast_to(gradient / pixels, self.shape)


class InnerProduct(Layer):
    def __init__(self, random: np.random.Generator, inputs: int, outputs: int) -> None:
        self.weight = normal(random, np.sqrt(1 / inputs), (outputs, inputs))
        self.bias = Parameter(zeros(outputs))
        super().__init__(self.weight, self.bias)

    def forward(self, x: Array, training: bool) -> Array:
        self.shape, self.rows = x.shape, x.reshape(len(x), -1)
        return self.rows @ self.weight.value.T + self.bias.value

    def learn(self, gradient: Array) -> None:
        self.weight.gradient = gradient.T @ self.rows
        self.bias.gradient = gradient.sum(axis=0)

    def backward(self, gradient: Array) -> Array:
        return (gradient @ self.weight.value).reshape(self.shape)
