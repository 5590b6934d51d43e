"""The nets of examples, calibrated and compiled, on the real BMRuntime. The images are made
up; ``python -m tests.vendor.fashion`` takes the real ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.detect import run as detect
from examples.detect.draw import pictures
from examples.fashion import run
from examples.measure import Array
from tests.examples.synthetic import images
from tests.vendor.fashion import scores
from tests.vendor.runtime import run_bmodel


@pytest.mark.parametrize("opt", [1, 2])
@pytest.mark.parametrize("name", run.NETS)
def test_the_runtime_computes_the_integers_of_the_reference(
    name: str, opt: int, tmp_path: Path
) -> None:
    found, expected = scores(name, images(64, seed=1), images(64, seed=2), opt, tmp_path)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected.argmax(axis=1))) > 2


def test_the_runtime_detects_what_the_reference_detects(tmp_path: Path) -> None:
    """The SSD of examples/detect, hardly trained: its heads on the NPU, its DetectionOutput in the
    runtime's host library."""
    real = detect.trained(0, 60, tmp_path / "ssd.fp32umodel")
    test = detect.inputs(pictures(84, seed=1))
    net = detect.compiled(real, test[:64], test[64:], tmp_path)
    integers = net.quantized(test[64:])

    def on_the_runtime(some: Array) -> Array:
        (found,) = run_bmodel(net.bmodel, {net.stage().inputs[0].name: some}).values()
        return found

    found, expected = (
        detect.detections(integers, net.batch, run) for run in (on_the_runtime, net.cpu_run())
    )
    assert sum(len(some.labels) for some in expected) > 20
    assert all(map(detect.alike, found, expected))
