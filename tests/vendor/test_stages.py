"""Several stages and several nets in one file: the real BMRuntime chooses, each is right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bmnetu
from bmnetu.bmodel import write
from bmnetu.emit.combine import combined
from bmnetu.report.result import CompileResult
from tests.broken import FILES
from tests.frontend.samples import written
from tests.test_stages import BATCHES, CONVOLUTION, compiled
from tests.vendor.runtime import replay, run_bmodel, run_bmodel_often
from tests.vendor.test_random_nets import compare

Array = NDArray[Any]


def data_of(result: CompileResult) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
    """The inputs and outputs of the compare."""
    assert result.findings is not None
    return result.findings.inputs, result.findings.outputs


def path_of(result: CompileResult) -> Path:
    assert result.bmodel is not None
    return result.bmodel


@pytest.mark.parametrize("opt", [0, 1, 2])
@pytest.mark.parametrize("precision", FILES)
def test_the_runtime_chooses_a_stage(precision: str, opt: int, tmp_path: Path) -> None:
    result = compiled(tmp_path, precision, max_n=BATCHES, opt=opt)
    order = [*range(len(BATCHES)), *reversed(range(len(BATCHES)))]
    given = [data_of(result.stages[i]) for i in order]
    found = run_bmodel_often(path_of(result), [inputs for inputs, _ in given])
    for outputs, (_, expected) in zip(found, given, strict=True):
        compare(outputs, expected)


def test_shapes_that_share_few_weights(tmp_path: Path) -> None:
    """Each shape is folded in its own way at opt 2."""
    model, weight = written(tmp_path, CONVOLUTION)
    sets = [[[1, 3, 9, 9]], [[2, 3, 130, 11]], [[1, 3, 64, 200]]]
    result = bmnetu.compile(model, weight, tmp_path, shapes=sets, opt=2)
    given = [data_of(stage) for stage in result.stages]
    found = run_bmodel_often(path_of(result), [inputs for inputs, _ in given])
    for outputs, (inputs, expected) in zip(found, given, strict=True):
        compare(outputs, expected)
        compare(replay(path_of(result), inputs, 1, 2), expected)


def test_two_nets(tmp_path: Path) -> None:
    results = {p: compiled(tmp_path / p, p, net_name=p, max_n=(1, 4), opt=2) for p in FILES}
    files: list[tuple[str, Any]] = [(name, result.contents) for name, result in results.items()]
    path = tmp_path / "both.bmodel"
    path.write_bytes(write(combined(files)))
    for name, result in results.items():
        for stage in result.stages:
            inputs, expected = data_of(stage)
            compare(run_bmodel(path, inputs, net=name), expected)
            assert all(np.isfinite(array).all() for array in expected.values())
