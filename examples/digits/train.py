"""Trains the net of digits.prototxt on scikit-learn's handwritten digits, in plain numpy.

``python examples/digits/train.py`` (needs scikit-learn; takes half a minute) writes, beside
itself, digits.fp32umodel, calibration/*.png and test.npz. The same seed gives the same files on
the same machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
from layers import Adam, Array, BatchNorm, Convolution, InnerProduct, MaxPool, Parameter, ReLU
from PIL import Image
from sklearn.datasets import load_digits  # pyright: ignore[reportMissingTypeStubs]

from bmnetu.frontend import write_umodel
from bmnetu.frontend.blobs import float_blob
from bmnetu.frontend.ufw_pb2 import NetParameter

HERE = Path(__file__).parent
LARGEST_PIXEL = 255
TEST_IMAGES = 500
CALIBRATION_IMAGES = 64
EPOCHS = 15
BATCH = 64


class Network:
    """The layers of digits.prototxt; BatchNorm here is BatchNorm and Scale there."""

    def __init__(self, random: np.random.Generator) -> None:
        self.conv1, self.bn1 = Convolution(random, 1, 16), BatchNorm(16)
        self.conv2, self.bn2 = Convolution(random, 16, 24), BatchNorm(24)
        self.conv3, self.bn3 = Convolution(random, 24, 32), BatchNorm(32)
        self.fc = InnerProduct(random, 32 * 2 * 2, 10)
        self.layers = [
            self.conv1, self.bn1, ReLU(),
            self.conv2, self.bn2, ReLU(), MaxPool(),
            self.conv3, self.bn3, ReLU(), MaxPool(),
            self.fc,
        ]  # fmt: skip

    def parameters(self) -> list[Parameter]:
        return [parameter for layer in self.layers for parameter in layer.parameters]

    def forward(self, x: Array, training: bool) -> Array:
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, gradient: Array) -> None:
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)


def probabilities(scores: Array) -> Array:
    power = np.exp(scores - scores.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def shifted(images: Array, random: np.random.Generator) -> Array:
    """Every image moved by up to one pixel; zeros come in."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    moves = random.integers(0, 3, (len(images), 2))
    return np.stack([p[:, y : y + 8, x : x + 8] for p, (y, x) in zip(padded, moves, strict=True)])


def batches(count: int, random: np.random.Generator) -> Iterator[Array]:
    """The indices of one epoch's batches, all of the same size."""
    order = random.permutation(count)
    for start in range(0, count - BATCH + 1, BATCH):
        yield order[start : start + BATCH]


def train(images: Array, labels: Array, random: np.random.Generator) -> Network:
    """images: N x 1 x 8 x 8 from 0 to 1."""
    network = Network(random)
    optimizer = Adam(network.parameters(), steps=EPOCHS * (len(images) // BATCH))
    for _ in range(EPOCHS):
        for chosen in batches(len(images), random):
            x = shifted(images[chosen], random)
            gradient = probabilities(network.forward(x, training=True))
            gradient[np.arange(BATCH), labels[chosen]] -= 1
            network.backward(gradient / BATCH)
            optimizer.step()
    return network


def umodel(network: Network) -> NetParameter:
    """The weights by layer name; the first convolution takes pixels up to 255 instead of 1."""
    net = NetParameter(name="digits")

    def add(name: str, *arrays: Array) -> None:
        blobs = [float_blob(array) for array in arrays]
        net.layer.add(name=name, blobs=blobs)

    pairs = [
        ("conv1", network.conv1, network.bn1, LARGEST_PIXEL),
        ("conv2", network.conv2, network.bn2, 1),
        ("conv3", network.conv3, network.bn3, 1),
    ]
    for name, convolution, norm, divisor in pairs:
        add(name, convolution.weight.value / divisor)
        add(f"{name}/bn", norm.mean, norm.variance, np.ones(1))
        add(f"{name}/scale", norm.factor.value, norm.addend.value)
    add("fc", network.fc.weight.value, network.fc.bias.value)
    return net


def save_images(folder: Path, images: Array) -> None:
    """N x 8 x 8 uint8 as small grey PNGs."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i:03}.png", optimize=True)


def load() -> tuple[Array, Array]:
    """All digits: N x 8 x 8 pixels, uint8, and their labels."""
    levels, labels = cast(tuple[Array, Array], load_digits(return_X_y=True))
    pixels = np.rint(levels * (LARGEST_PIXEL / 16)).astype(np.uint8).reshape(-1, 8, 8)
    return pixels, labels.astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the example's network.")
    parser.add_argument("--seed", type=int, default=0)
    random = np.random.default_rng(parser.parse_args().seed)
    pixels, labels = load()
    order = random.permutation(len(pixels))
    test, rest = order[:TEST_IMAGES], order[TEST_IMAGES:]
    real = (pixels / np.float32(LARGEST_PIXEL))[:, None]
    network = train(real[rest], labels[rest], random)
    guesses = network.forward(real[test], training=False).argmax(axis=1)
    print(f"accuracy on {len(test)} test images: {np.mean(guesses == labels[test]):.1%}")
    write_umodel(HERE / "digits.fp32umodel", umodel(network))
    save_images(HERE / "calibration", pixels[rest[:CALIBRATION_IMAGES]])
    np.savez_compressed(HERE / "test.npz", images=pixels[test], labels=labels[test])


if __name__ == "__main__":
    main()
