"""The nets of examples/fashion, calibrated and compiled, on the real BMRuntime. The images are made
up; ``python -m tests.vendor.fashion`` takes the real ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.fashion import run
from tests.examples.synthetic import images
from tests.vendor.fashion import scores


@pytest.mark.parametrize("opt", [1, 2])
@pytest.mark.parametrize("name", run.NETS)
def test_the_runtime_computes_the_integers_of_the_reference(
    name: str, opt: int, tmp_path: Path
) -> None:
    found, expected = scores(name, images(64, seed=1), images(64, seed=2), opt, tmp_path)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected.argmax(axis=1))) > 2
