"""The gradients of the examples' layers are those of their results."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from examples import layers
from examples.layers import Array, Layer

Random = np.random.Generator
STEP = 1e-3

CASES: dict[str, tuple[Callable[[Random], Layer], tuple[int, ...]]] = {
    "bias": (lambda r: layers.Convolution(r, 3, 4, kernel=5, pad=2, bias=True), (2, 3, 8, 8)),
    "stride": (lambda r: layers.Convolution(r, 3, 4, stride=2, pad=1), (2, 3, 8, 6)),
    "1x1": (lambda r: layers.Convolution(r, 3, 4, kernel=1), (2, 3, 5, 6)),
    "depthwise": (lambda r: layers.DepthwiseConvolution(r, 3), (2, 3, 7, 8)),
    "depthwise, even": (lambda r: layers.DepthwiseConvolution(r, 3, stride=2), (2, 3, 8, 6)),
    "depthwise, odd": (lambda r: layers.DepthwiseConvolution(r, 3, stride=2), (2, 3, 7, 5)),
    "BatchNorm": (lambda r: layers.BatchNorm(3), (2, 3, 7, 5)),
    "Scale": (lambda r: layers.Scale(3), (2, 3, 7, 5)),
    "ReLU": (lambda r: layers.ReLU(), (2, 3, 7, 5)),
    "MaxPool": (lambda r: layers.MaxPool(), (2, 3, 8, 6)),
    "GlobalAveragePool": (lambda r: layers.GlobalAveragePool(), (2, 3, 7, 5)),
    "InnerProduct": (lambda r: layers.InnerProduct(r, 12, 5), (3, 3, 2, 2)),
}


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_slopes(case: str) -> None:
    """For the input and each parameter, along random directions. No two pixels are close, so that
    no maximum and no sign changes on the way.
    """
    random = np.random.default_rng(0)
    make, shape = CASES[case]
    layer = make(random)
    x = random.permutation(np.linspace(-1, 1, np.prod(shape))).reshape(shape)
    weights = random.normal(size=layer.forward(x, training=True).shape)
    layer.learn(weights)
    gradients = [(x, layer.backward(weights))]
    for parameter in layer.parameters:
        parameter.value = parameter.value.astype(np.float64)
        gradients.append((parameter.value, parameter.gradient))
    for array, gradient in gradients:
        for _ in range(5):
            way = random.uniform(-1, 1, array.shape)
            slope = _slope(array, way, lambda: np.sum(layer.forward(x, training=True) * weights))
            expected = float(np.sum(gradient * way))
            assert slope == pytest.approx(expected, rel=1e-2, abs=1e-2)


def test_of_equal_pixels_one_gets_the_gradient() -> None:
    pool = layers.MaxPool()
    pool.forward(np.ones((1, 1, 2, 2), np.float32), training=True)
    gradient = pool.backward(np.full((1, 1, 1, 1), 3, np.float32))
    np.testing.assert_array_equal(gradient[0, 0], [[3, 0], [0, 0]])


def _slope(array: Array, way: Array, result: Callable[[], float]) -> float:
    """How fast the result grows as the array moves that way."""
    found: list[float] = []
    for step in (STEP, -2 * STEP):
        array += step * way
        found.append(result())
    array += STEP * way
    return (found[0] - found[1]) / (2 * STEP)
