"""Trains the net of ssd.prototxt as SSD is trained, in plain numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from examples.detect.boxes import match, prior_boxes
from examples.detect.draw import Picture
from examples.detect.net import Detector
from examples.layers import Array
from examples.training import LARGEST_PIXEL, Adam, probabilities

BATCH = 32
NEGATIVES = 3
"""How many boxes without a shape are learnt for each box with one: those that look most like it."""


def train(
    detector: Detector, pictures: Sequence[Picture], random: np.random.Generator, *,
    steps: int, rate: float = 0.01, report: Callable[[str], None] = print,
) -> None:  # fmt: skip
    """Trains in place; the net sees pixels from 0 to 1, and every second picture mirrored.

    One thread computes, so that sums have one order.
    """
    priors = prior_boxes()
    optimizer = Adam(detector.parameters, steps, rate)
    losses: list[float] = []
    with threadpool_limits(1, "blas"):
        for step in range(1, steps + 1):
            chosen: list[int] = random.choice(len(pictures), BATCH, replace=False).tolist()
            some = [pictures[i].mirrored() if random.random() < 0.5 else pictures[i]
                    for i in chosen]  # fmt: skip
            losses.append(learn(detector, some, priors))
            optimizer.step()
            if not step % 100 or step == steps:
                report(f"step {step} of {steps}: loss {np.mean(losses[-100:]):.3f}")


def learn(detector: Detector, pictures: Sequence[Picture], priors: Array) -> float:
    """Sets the gradients of all parameters; gives the loss of the pictures."""
    pairs = [match(picture.labels, picture.boxes, priors) for picture in pictures]
    labels, targets = (np.stack(some) for some in zip(*pairs, strict=True))
    pixels = np.stack([picture.pixels for picture in pictures]) / np.float32(LARGEST_PIXEL)
    value, *gradients = loss(*detector.forward(pixels, training=True), labels, targets)
    detector.backward(*gradients)
    return value


def loss(loc: Array, conf: Array, labels: Array, targets: Array) -> tuple[float, Array, Array]:
    """The loss of locations [N, P, 4] and confidences [N, P, classes], and its gradients by both.

    labels [N, P] and targets [N, P, 4] are what they should say. Smooth L1 of the locations of
    boxes with a shape; cross-entropy of their confidences and of those of hard negatives; both over
    the number of boxes with a shape.
    """
    shapes = labels > 0
    count = np.float32(max(shapes.sum(), 1))
    away = (loc - targets) * shapes[..., None]
    near = np.abs(away) < 1
    smooth = np.where(near, away**2 / 2, np.abs(away) - 0.5).sum()

    found = probabilities(conf.reshape(-1, conf.shape[-1])).reshape(conf.shape)
    at = (*np.indices(labels.shape), labels)
    entropy = -np.log(found[at] + 1e-9)
    taken = shapes | hard_negatives(entropy, shapes)
    found[at] -= 1
    value = (smooth + (entropy * taken).sum()) / count
    return (float(value), np.where(near, away, np.sign(away)) / count,
            found * taken[..., None] / count)  # fmt: skip


def hard_negatives(entropy: Array, shapes: Array) -> Array:
    """N x P: of each picture's boxes without a shape, those with the largest loss."""
    candidates = np.where(shapes, -np.inf, entropy)
    rank = np.argsort(np.argsort(-candidates, axis=1, kind="stable"), axis=1)
    return (rank < NEGATIVES * shapes.sum(axis=1, keepdims=True)) & ~shapes
