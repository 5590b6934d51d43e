"""ONNX nets with layers of the host on the real BMRuntime, beside onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import bmnetu
from tests.frontend.onnx.graphs import Array, Net, by_onnx, inputs_of, numbers
from tests.frontend.onnx.on_npu import by_runtime
from tests.frontend.onnx.test_recurrent import NETS as RECURRENT
from tests.frontend.onnx.test_sampling import DEFORMED, IMAGE, grid_sample, regions, roi_align
from tests.frontend.onnx.test_selection import NETS as SELECTIONS
from tests.frontend.onnx.test_selection import SUPPRESSIONS, boxes_and_scores
from tests.vendor.runtime import run_bmodel

REGIONS = roi_align(16, np.array([0, 1, 1, 0, 1]), output_height=3, output_width=2)
SAMPLED = {
    "regions": (REGIONS, {"x": numbers(*IMAGE), "r": regions(5, 3)}),
    "grid": (grid_sample(padding_mode="border"), None),
    "grid, nearest": (grid_sample(mode="nearest", padding_mode="reflection"), None),
}  # fmt: skip
OPT_LEVELS = pytest.mark.parametrize("opt", [0, 1, 2])


def check(
    folder: Path, net: Net, opt: int, wanted: Mapping[str, Array], inputs: Mapping[str, Array]
) -> None:
    """The runtime's outputs are those that are wanted, with their shapes."""
    path = net.write(folder)
    made = bmnetu.compile(path, None, folder / "out", opt=opt, cmp_data=dict(inputs))
    assert made.bmodel is not None
    got = run_bmodel(made.bmodel, inputs)
    for name, array in wanted.items():
        assert got[name].shape == array.shape, name
        np.testing.assert_allclose(got[name], array, rtol=1e-4, atol=1e-4, err_msg=name)


@OPT_LEVELS
@pytest.mark.parametrize("name", SELECTIONS)
def test_selections(name: str, opt: int, tmp_path: Path) -> None:
    net = SELECTIONS[name]
    inputs = inputs_of(net)
    check(tmp_path, net, opt, by_runtime(net.model(), inputs), inputs)


@OPT_LEVELS
@pytest.mark.parametrize("name", SUPPRESSIONS)
def test_suppressions(name: str, opt: int, tmp_path: Path) -> None:
    net, inputs = SUPPRESSIONS[name], boxes_and_scores()
    check(tmp_path, net, opt, by_runtime(net.model(), inputs), inputs)


@OPT_LEVELS
@pytest.mark.parametrize("name", SAMPLED)
def test_samples(name: str, opt: int, tmp_path: Path) -> None:
    net, given = SAMPLED[name]
    inputs = inputs_of(net) if given is None else given
    check(tmp_path, net, opt, by_runtime(net.model(), inputs), inputs)


@OPT_LEVELS
@pytest.mark.parametrize("name", DEFORMED)
def test_moved_kernels(name: str, opt: int, tmp_path: Path) -> None:
    net = DEFORMED[name]
    inputs = inputs_of(net)
    check(tmp_path, net, opt, by_onnx(net.model(), inputs), inputs)


@OPT_LEVELS
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_operators(name: str, opt: int, tmp_path: Path) -> None:
    net = RECURRENT[name][0].net()
    inputs = inputs_of(net)
    check(tmp_path, net, opt, by_runtime(net.model(), inputs), inputs)
