"""Trains the two nets on Fashion-MNIST, in plain numpy.

``python examples/fashion/train.py`` (needs Debian's package dataset-fashion-mnist; takes
about ten minutes on one core) writes lenet.fp32umodel and mobilenet.fp32umodel beside itself. The
same seed gives the same files on the same machine.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[2]))

from bmnetu.frontend import write_umodel
from examples.fashion import data, nets
from examples.layers import Array
from examples.training import accuracy, train, umodel

HERE = Path(__file__).parent
NETS = {"lenet": nets.lenet, "mobilenet": nets.mobilenet}
EPOCHS = 8


def mirrored(images: Array, random: np.random.Generator) -> Array:
    """Every second image, by chance, left to right."""
    chosen = random.random(len(images)) < 0.5
    return np.where(chosen[:, None, None, None], images[:, :, :, ::-1], images)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the example's networks.")
    parser.add_argument("--data", type=Path, default=data.FOLDER)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        learnt, test = (data.load(arguments.data, part) for part in ("train", "t10k"))
    except data.DataError as error:
        sys.exit(f"train.py: {error}")
    for name, layers in NETS.items():
        random = np.random.default_rng(arguments.seed)
        network = layers(random)
        train(network, *learnt, random, epochs=EPOCHS, augment=mirrored, rate=0.003)
        print(f"{name}: accuracy on {len(test[0])} test images: {accuracy(network, *test):.2%}")
        write_umodel(HERE / f"{name}.fp32umodel", umodel(name, network))


if __name__ == "__main__":
    main()
