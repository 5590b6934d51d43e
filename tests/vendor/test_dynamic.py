"""Random networks at shapes that are chosen at run time: the vendor's runtime computes what the
network means at each of them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

from tests.calibration.harness import data_layer, layer
from tests.dynamic_nets import random_net
from tests.vendor.dynamic import Dynamic, compiled, differences
from tests.vendor.runtime import Array, VendorError, run_bmodel

SEEDS = [4, 8, 10, 12, 13, 19]
"""Networks of which all layers can be computed at run-time shapes."""


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_net(seed: int, precision: str, tmp_path: Path) -> None:
    dynamic = compiled(tmp_path, random_net(seed, layers=4), precision, seed)
    rng = Random(seed)
    shapes = [dynamic.largest, dynamic.smaller(rng), dynamic.smaller(rng)]
    assert not differences(dynamic, shapes, seed)


MOVES = {
    "shuffle": layer("ShuffleChannel", "data", "y", "shuffle_channel_param { group: 2 }"),
    "pixels": layer("PixelShuffle", "data", "y", "pixel_shuffle_param { upscale_factor: 2 }"),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_leave_every_dimension_free(name: str, tmp_path: Path) -> None:
    dynamic = compiled(tmp_path, data_layer(5, 4, 7, 6) + MOVES[name], "INT8", 1)
    assert {*dynamic.result.free} == {"batch", "height", "width"}
    assert not differences(dynamic, [dynamic.largest, dynamic.smaller(Random(1))], 1)


EDGES = (
    data_layer(3, 1, 6, 5)
    + layer("Convolution", "data", "c", "convolution_param { num_output: 2 kernel_size: 1 pad: 2 }")
    + layer("InnerProduct", "data", "f", "inner_product_param { num_output: 3 }")
    + layer("Pooling", "data", "p", "pooling_param { pool: AVE global_pooling: true }")
    + layer("MVN", "p", "m")
)
"""Windows in the pads alone, a matrix behind a map of one channel, a deviation of 0."""


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
def test_what_the_firmware_was_wrong_with(precision: str, tmp_path: Path) -> None:
    dynamic = compiled(tmp_path, EDGES, precision, 1)
    assert {*dynamic.result.free} == {"batch"}
    assert not differences(dynamic, [dynamic.largest, [(2, 1, 6, 5)]], 1)


NET = (
    data_layer(3, 4, 12, 10)
    + layer("Convolution", "data", "c", "convolution_param { num_output: 8 kernel_size: 3 }")
    + layer("ReLU", "c", "c")
    + layer("Pooling", "c", "p", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Dynamic:
    """A network whose batch, height and width are all free."""
    return compiled(tmp_path_factory.mktemp("small"), NET, "FP32", 1)


def on_the_runtime(dynamic: Dynamic, *shape: int) -> Array:
    """The network's result for an input of this shape."""
    assert dynamic.result.bmodel is not None
    x = np.ones(shape, np.float32)
    (y,) = run_bmodel(dynamic.result.bmodel, {"data": x}).values()
    return y


def test_all_three_dimensions_are_free(small: Dynamic) -> None:
    assert {*small.result.free} == {"batch", "height", "width"}
    assert on_the_runtime(small, 2, 4, 7, 9).shape == (2, 8, 3, 4)


@pytest.mark.parametrize(
    "shape", [(4, 4, 12, 10), (3, 4, 13, 10), (3, 4, 12), (0, 4, 12, 10)]
)
def test_a_shape_that_the_runtime_refuses(small: Dynamic, shape: tuple[int, ...]) -> None:
    with pytest.raises(VendorError, match=r"ended with 1: [\s\S]*launching failed"):
        on_the_runtime(small, *shape)
