"""Random networks: the vendor's runtime and simulator compute what our NPU model computes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from bmnetu.bmodel import write
from bmnetu.emit.static import bmodel_of
from bmnetu.pipeline import parse_pipeline, run_pipeline
from bmnetu.ways.static import OPT_LEVELS
from passes.slices import plan_rows
from passes.verify_layers import VerifyLayersPass
from tests.compiled import random_findings
from tests.passes.slices import compared, observed_parts
from tests.passes.test_winograd import network, winograd_commands
from tests.pipelines import static_text
from tests.random_nets import random_image_module
from tests.vendor.runtime import Array, replay, run_bmodel

PRECISIONS = {False: "FP32", True: "INT8"}
FLOAT_TOLERANCE = 1e-3
"""Allowed |vendor - ours| / max(1, |ours|) of float outputs."""


def compare(got: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    """INT8 outputs are equal; float ones differ by what the order of additions does."""
    assert got.keys() == expected.keys()
    for name, ours in expected.items():
        if ours.dtype != np.float32:
            np.testing.assert_array_equal(got[name], ours, err_msg=name)
            continue
        error = np.abs(got[name].astype(np.float64) - ours) / np.maximum(1, np.abs(ours))
        assert np.all((error < FLOAT_TOLERANCE) | (got[name] == ours)), name


@pytest.mark.parametrize("opt", OPT_LEVELS)
@pytest.mark.parametrize("precision", ["FP32", "INT8"])
@pytest.mark.parametrize("seed", range(3))
def test_a_random_net(seed: int, precision: str, opt: int, tmp_path: Path) -> None:
    module, findings = random_findings(seed, opt, precision)
    assert findings.ok, findings.verdict()
    path = tmp_path / "compilation.bmodel"
    path.write_bytes(write(bmodel_of(module)))
    compare(run_bmodel(path, findings.inputs), findings.outputs)
    compare(replay(path, findings.inputs, seed, seed + 1), findings.outputs)


@pytest.mark.parametrize("opt", [0, 2])
@pytest.mark.parametrize("integer", [False, True])
def test_winograd(integer: bool, opt: int, tmp_path: Path) -> None:
    for batch in (1, 5):
        module = network((batch, 64, 13, 30), integer)
        text = static_text(opt, PRECISIONS[integer], use_wino=True, verify=True)
        passes = parse_pipeline(text)
        verify = passes[-1]
        assert isinstance(verify, VerifyLayersPass)
        run_pipeline(module, passes, lambda item: None)
        assert winograd_commands(module)
        path = tmp_path / f"{batch}.bmodel"
        path.write_bytes(write(bmodel_of(module)))
        compare(run_bmodel(path, verify.findings.inputs), verify.findings.outputs)


@pytest.mark.parametrize("integer", [False, True])
def test_slices_of_rows(integer: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_rows, "SLICE_CYCLES", 0)
    parts = 0
    for seed in range(96):
        module = random_image_module(seed, integer)
        findings = compared(module, integer, "quant-slice-rows", "quant-slice-rows{space=3000}")
        found = len(observed_parts(module))
        if not found:
            continue
        parts += found
        path = tmp_path / f"{seed}.bmodel"
        path.write_bytes(write(bmodel_of(module)))
        compare(run_bmodel(path, findings.inputs), findings.outputs)
        compare(replay(path, findings.inputs, seed, seed + 1), findings.outputs)
        if parts > 4:
            break
    assert parts > 4
