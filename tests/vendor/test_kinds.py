"""Kinds of networks and layers at opt 2: the vendor's simulator computes what our NPU model
computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from xdsl.dialects.builtin import ModuleOp

from bmnetu.bmodel import write
from bmnetu.emit.static import bmodel_of
from passes.kernels import window
from passes.verification.findings import Findings
from tests import branch_cases
from tests.compiled import compiled
from tests.one_layer import one_layer
from tests.passes import test_batches, test_fuse_sums, test_lanes
from tests.passes.kernels import (
    test_bands,
    test_float_islands,
    test_float_strips,
    test_packed,
    test_prelu,
    test_strip_input,
)
from tests.passes.layers import test_wide_dilation
from tests.passes.test_merge_loads import LATE, NETWORKS, merged
from tests.passes.test_spread_rows import spread
from tests.spread_nets import NETWORKS as NARROW
from tests.vendor.runtime import replay, run_bmodel
from tests.vendor.test_random_nets import compare

KINDS: dict[str, Callable[[bool], ModuleOp]] = {
    **branch_cases.CASES,
    **{
        f"wide dilation {i}": lambda integer, case=case: one_layer(
            case.build(integer), case.shape, integer=integer
        )
        for i, case in enumerate(test_wide_dilation.CASES)
    },
    **{
        f"PReLU {name}": lambda integer, slopes=slopes: one_layer(
            test_prelu.layer(slopes, integer), (3, 6, 9, 11), integer=integer
        )
        for name, (slopes, _) in test_prelu.SLOPES.items()
    },
    **{
        f"normalised {shape}": lambda integer, shape=shape: test_float_islands.normalised(
            shape, 2, integer
        )
        for shape in ((1, 6, 20, 26), (3, 70, 6, 5), (1, 130, 7, 9))
    },
    **{
        f"residual {shape}": lambda integer, shape=shape: test_fuse_sums.residual(
            shape, 130, 16, integer=integer
        )
        for shape in test_fuse_sums.SHAPES
    },
    "parts of a batch": lambda integer: test_batches.layers(8 if integer else 3, integer),
    "sums side by side": lambda integer: test_lanes.sums(5, 150, integer),
    "poolings side by side": lambda integer: test_lanes.poolings(1, 72, integer),
}
FIRST = test_strip_input.CASES


def agrees(module: ModuleOp, integer: bool, tmp_path: Path, **options: Any) -> None:
    """Compiles it at opt 2 and runs it. ``options`` are of PassOptions."""
    ran(module, compiled(module, 2, "INT8" if integer else "FP32", **options), tmp_path)


def ran(module: ModuleOp, findings: Findings, tmp_path: Path) -> None:
    """Runs a compiled one once, and replays it in random order on noise."""
    assert findings.ok, findings.verdict()
    path = tmp_path / "compilation.bmodel"
    path.write_bytes(write(bmodel_of(module)))
    compare(run_bmodel(path, findings.inputs), findings.outputs)
    compare(replay(path, findings.inputs, 1, 2), findings.outputs)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_a_kind(name: str, integer: bool, tmp_path: Path) -> None:
    agrees(KINDS[name](integer), integer, tmp_path)


@pytest.mark.parametrize(("shape", "kernel", "stride", "pad"), FIRST)
def test_a_first_layer(
    shape: tuple[int, ...], kernel: tuple[int, int], stride: int, pad: tuple[int, ...],
    tmp_path: Path,
) -> None:  # fmt: skip
    layer = test_strip_input.convolution(shape[1], kernel, stride, pad)
    agrees(one_layer(layer, shape, integer=True), True, tmp_path)


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "pad"),
    [*FIRST, test_float_strips.FEW, test_float_strips.COLUMNS],
)
def test_a_first_layer_of_floats(
    shape: tuple[int, ...], kernel: tuple[int, int], stride: int, pad: tuple[int, ...],
    tmp_path: Path,
) -> None:  # fmt: skip
    layer = test_float_strips.layer(shape, kernel, stride, pad, signed=True)
    agrees(layer, True, tmp_path, **test_float_strips.BORDER)


@pytest.mark.parametrize(
    ("form", "case"), [(1, 0), (3, 1), (5, 2), (4, 1)]
)
def test_a_first_layer_of_pixels(
    form: int, case: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four pixels a word, taps of rows or of both axes as channels."""
    shape, pad = test_packed.SHAPES[case]
    agrees(test_packed.folded(test_packed.FORMS[form], shape, pad, monkeypatch), True, tmp_path)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("outputs", [24, 70])
def test_bands_of_an_odd_width(
    integer: bool, outputs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "LOAD_CYCLES", 0)  # or else small images stay whole
    module = test_bands.two_layers(integer, 4 if integer else 1, outputs, 2, 1, 25)
    agrees(module, integer, tmp_path)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("build", NETWORKS)
def test_merged_loads(
    build: Callable[[bool], ModuleOp], integer: bool, tmp_path: Path
) -> None:
    module = build(integer)
    ran(module, merged(module, "INT8" if integer else "FP32", LATE), tmp_path)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("build", NARROW)
def test_pieces_side_by_side(
    build: Callable[[bool], ModuleOp], integer: bool, tmp_path: Path
) -> None:
    module = build(integer)
    ran(module, spread(module, "INT8" if integer else "FP32"), tmp_path)
