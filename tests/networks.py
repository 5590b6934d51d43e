"""Nets for tests: seeded random weights for any prototxt."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bmnetu.frontend.importer import build_module
from bmnetu.frontend.network import as_compiled
from bmnetu.frontend.prototxt.inputs import reshaped
from bmnetu.frontend.prototxt.topology import Layer, read_topology
from bmnetu.frontend.ufw_pb2 import BlobProto, NetParameter
from bmnetu.frontend.weights.blobs import Coefficients, Required, Role, float_blob
from bmnetu.plugins import plugins
from dialects.constant import Array
from dialects.ufw.ops import Top
from dialects.ufw.shapes import Shape

STATISTICS_FACTOR = 2.0
"""What BatchNorm's third blob holds: mean and variance are stored multiplied by it."""


def random_weights(
    prototxt: Path | str, seed: int, *, shapes: Sequence[Sequence[int]] | None = None
) -> NetParameter:
    """A net with He-initialised weights, from a prototxt's path or its text.

    ``SerializeToString()`` gives the bytes of an fp32umodel. The same seed gives the same weights.
    """
    if isinstance(prototxt, str):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "net.prototxt"
            path.write_text(prototxt)
            return random_weights(path, seed, shapes=shapes)
    plugins()
    topology = read_topology(prototxt)
    inputs = reshaped(topology.inputs, shapes, None)
    source = RandomBlobs(seed)
    name = topology.net.name or prototxt.stem
    build_module(topology, inputs, source, Top, name)
    net = as_compiled(topology, inputs, name)
    for layer in net.layer:
        layer.blobs.extend(source.made.get(layer.name, []))
    return net


class RandomBlobs:
    """A source of coefficients that makes them up as the layers ask; see BlobSource."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.made: dict[str, list[BlobProto]] = {}

    def is_integer(self, layer: Layer) -> bool:
        return False

    def shapes(self, layer: Layer) -> Sequence[Shape] | None:
        return None

    def take(self, layer: Layer, required: tuple[Required, ...]) -> Coefficients:
        arrays = tuple(self.draw(each.role, each.shape).astype(np.float32) for each in required)
        self.made[layer.name] = [float_blob(array) for array in arrays]
        return Coefficients(arrays)

    def draw(self, role: Role, shape: Shape) -> Array:
        random = self.generator
        match role:
            case Role.WEIGHT:
                return random.normal(0.0, np.sqrt(2.0 / prod(shape[1:])), shape)
            case Role.BIAS | Role.OPERAND:
                return random.normal(0.0, 0.1, shape)
            case Role.FACTOR:
                return random.uniform(0.4, 1.0, shape)
            case Role.SLOPE:
                return random.uniform(0.0, 0.5, shape)
            case Role.MEAN:
                return random.normal(0.0, 0.2 * STATISTICS_FACTOR, shape)
            case Role.VARIANCE:
                return random.uniform(0.5, 1.5, shape) * STATISTICS_FACTOR
            case Role.SCALE_FACTOR:
                return np.full(shape, STATISTICS_FACTOR)
