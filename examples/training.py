"""Trains a chain of layers and gives its weights as a umodel."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from bmnetu.frontend.ufw_pb2 import NetParameter
from bmnetu.frontend.weights.blobs import float_blob
from examples.layers import Array, Layer, Parameter

LARGEST_PIXEL = 255
BATCH = 64

Network = dict[str, Layer]
"""Layers in their order, by the names that the prototxt gives them."""


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


def forward(network: Network, x: Array, training: bool) -> Array:
    for layer in network.values():
        x = layer.forward(x, training)
    return x


def backward(network: Network, gradient: Array) -> None:
    """The gradients of all parameters; the net's input needs none."""
    first, *others = network.values()
    for layer in reversed(others):
        layer.learn(gradient)
        gradient = layer.backward(gradient)
    first.learn(gradient)


def train(
    network: Network, pixels: Array, labels: Array, random: np.random.Generator, *,
    epochs: int, augment: Callable[[Array, np.random.Generator], Array],
    rate: float = 0.01, report: Callable[[str], None] = print,
) -> None:  # fmt: skip
    """Trains in place, with softmax and cross-entropy.

    pixels: N x C x H x W, uint8; the net sees them from 0 to 1. ``augment`` changes a batch of
    such images before it is used. One thread computes, so that sums have one order.
    """
    parameters = [parameter for layer in network.values() for parameter in layer.parameters]
    optimizer = Adam(parameters, epochs * (len(pixels) // BATCH), rate)
    with threadpool_limits(1, "blas"):
        for epoch in range(epochs):
            losses: list[float] = []
            for chosen in batches(len(pixels), random):
                x = augment(pixels[chosen] / np.float32(LARGEST_PIXEL), random)
                losses.append(learn(network, x, labels[chosen]))
                optimizer.step()
            report(f"epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.4f}")


def learn(network: Network, x: Array, labels: Array) -> float:
    """Sets the gradients of all parameters; gives the mean loss of the batch."""
    gradient = probabilities(forward(network, x, training=True))
    right = np.arange(len(x)), labels
    loss = -np.log(gradient[right] + 1e-9).mean()
    gradient[right] -= 1
    backward(network, gradient / len(x))
    return float(loss)


def probabilities(scores: Array) -> Array:
    power = np.exp(scores - scores.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def batches(count: int, random: np.random.Generator) -> Iterator[Array]:
    """The indices of one epoch's batches, all of the same size."""
    order = random.permutation(count)
    for start in range(0, count - BATCH + 1, BATCH):
        yield order[start : start + BATCH]


def accuracy(network: Network, pixels: Array, labels: Array) -> float:
    """The share of images whose label gets the largest score."""
    right = 0
    for start in range(0, len(pixels), BATCH):
        x = pixels[start : start + BATCH] / np.float32(LARGEST_PIXEL)
        guesses = forward(network, x, training=False).argmax(axis=1)
        right += int(np.sum(guesses == labels[start : start + BATCH]))
    return right / len(pixels)


def umodel(name: str, network: Network) -> NetParameter:
    """The weights by layer name; the first layer takes pixels up to 255 instead of 1."""
    net = NetParameter(name=name)
    divisor = LARGEST_PIXEL
    for key, layer in network.items():
        if blobs := layer.blobs():
            net.layer.add(name=key, blobs=map(float_blob, [blobs[0] / divisor, *blobs[1:]]))
            divisor = 1
    return net
