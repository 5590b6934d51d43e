"""Branched networks: the vendor's simulator computes what our NPU model computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bmnetu.bmodel import write
from bmnetu.emit.static import bmodel_of
from tests.branch_cases import CASES
from tests.compiled import compiled
from tests.vendor.runtime import replay, run_bmodel
from tests.vendor.test_random_nets import compare


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_a_branched_net(name: str, integer: bool, tmp_path: Path) -> None:
    module = CASES[name](integer)
    findings = compiled(module, 2, "INT8" if integer else "FP32")
    assert findings.ok, findings.verdict()
    path = tmp_path / "compilation.bmodel"
    path.write_bytes(write(bmodel_of(module)))
    compare(run_bmodel(path, findings.inputs), findings.outputs)
    compare(replay(path, findings.inputs, 1, 2), findings.outputs)
