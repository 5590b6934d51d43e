"""The two nets of the example, layer by layer as in their prototxts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from examples.layers import (
    BatchNorm,
    Convolution,
    DepthwiseConvolution,
    GlobalAveragePool,
    InnerProduct,
    MaxPool,
    ReLU,
    Scale,
)
from examples.training import Network

HERE = Path(__file__).parent
BLOCKS = {2: (16, 32, 1), 3: (32, 64, 2), 4: (64, 64, 1), 5: (64, 128, 2)}
"""The depthwise blocks of mobilenet: channels in and out, stride."""


def lenet(random: np.random.Generator) -> Network:
    """LeNet-5's sizes, with ReLU and max pooling."""
    return {
        "conv1": Convolution(random, 1, 6, kernel=5, pad=2, bias=True),
        "relu1": ReLU(),
        "pool1": MaxPool(),
        "conv2": Convolution(random, 6, 16, kernel=5, bias=True),
        "relu2": ReLU(),
        "pool2": MaxPool(),
        "fc3": InnerProduct(random, 16 * 5 * 5, 120),
        "relu3": ReLU(),
        "fc4": InnerProduct(random, 120, 84),
        "relu4": ReLU(),
        "fc5": InnerProduct(random, 84, 10),
    }


def mobilenet(random: np.random.Generator) -> Network:
    """A convolution, then pairs of a depthwise and a 1x1 convolution."""
    network: Network = {"conv1": Convolution(random, 1, 16, stride=2, pad=1), **norm("conv1", 16)}
    for number, (inputs, outputs, stride) in BLOCKS.items():
        depthwise, pointwise = f"conv{number}/dw", f"conv{number}/sep"
        network[depthwise] = DepthwiseConvolution(random, inputs, stride=stride)
        network |= norm(depthwise, inputs)
        network[pointwise] = Convolution(random, inputs, outputs, kernel=1)
        network |= norm(pointwise, outputs)
    return network | {"pool": GlobalAveragePool(), "fc": InnerProduct(random, 128, 10)}


def norm(name: str, channels: int) -> Network:
    """What follows every convolution of mobilenet."""
    return {
        f"{name}/bn": BatchNorm(channels),
        f"{name}/scale": Scale(channels),
        f"{name}/relu": ReLU(),
    }
