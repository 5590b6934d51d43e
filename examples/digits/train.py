"""Trains the net of digits.prototxt on scikit-learn's handwritten digits, in plain numpy.

``python examples/digits/train.py`` (needs scikit-learn; takes half a minute) writes, beside
itself, digits.fp32umodel, calibration/*.png and test.npz. The same seed gives the same files on
the same machine.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits  # pyright: ignore

sys.path.append(str(Path(__file__).parents[2]))

from bmnetu.frontend import write_umodel
from examples.layers import Array, BatchNorm, Convolution, InnerProduct, MaxPool, ReLU, Scale
from examples.training import LARGEST_PIXEL, Network, accuracy, train, umodel

HERE = Path(__file__).parent
TEST_IMAGES = 500
CALIBRATION_IMAGES = 64
EPOCHS = 15


def digits(random: np.random.Generator) -> Network:
    """The layers of digits.prototxt."""
    network: Network = {}
    for number, (inputs, outputs) in enumerate([(1, 16), (16, 24), (24, 32)], start=1):
        name = f"conv{number}"
        network[name] = Convolution(random, inputs, outputs, kernel=3, pad=1)
        network |= {
            f"{name}/bn": BatchNorm(outputs),
            f"{name}/scale": Scale(outputs),
            f"{name}/relu": ReLU(),
        }
        if number > 1:
            network[f"pool{number - 1}"] = MaxPool()
    return network | {"fc": InnerProduct(random, 32 * 2 * 2, 10)}


def shifted(images: Array, random: np.random.Generator) -> Array:
    """Every image moved by up to one pixel; zeros come in."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    moves = random.integers(0, 3, (len(images), 2))
    return np.stack([p[:, y : y + 8, x : x + 8] for p, (y, x) in zip(padded, moves, strict=True)])


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
    network = digits(random)
    train(network, pixels[rest, None], labels[rest], random, epochs=EPOCHS, augment=shifted)
    right = accuracy(network, pixels[test, None], labels[test])
    print(f"accuracy on {len(test)} test images: {right:.1%}")
    write_umodel(HERE / "digits.fp32umodel", umodel("digits", network))
    save_images(HERE / "calibration", pixels[rest[:CALIBRATION_IMAGES]])
    np.savez_compressed(HERE / "test.npz", images=pixels[test], labels=labels[test])


if __name__ == "__main__":
    main()
