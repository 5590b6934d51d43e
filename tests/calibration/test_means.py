"""Means of maps whose numbers cancel: their own scale would be too far from that of the numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from bmnetu.frontend import write_umodel
from tests.networks import random_weights

NET = """
name: "means"
layer {
  name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 4 dim: 128 dim: 128 } }
}
layer {
  name: "p" type: "Pooling" bottom: "x" top: "p"
  pooling_param { pool: AVE global_pooling: true }
}
layer {
  name: "c" type: "Convolution" bottom: "p" top: "c"
  convolution_param { num_output: 3 kernel_size: 1 }
}
"""


@pytest.mark.parametrize("method", ["MAX", "KL"])
def test_numbers_that_cancel(method: str, tmp_path: Path) -> None:
    """16384 of them about 0: their mean is a hundredth of one."""
    model, weights = tmp_path / "net.prototxt", tmp_path / "net.fp32umodel"
    model.write_text(NET)
    write_umodel(weights, random_weights(model, 1))
    data = np.random.default_rng(0).standard_normal((3, 4, 128, 128)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=data)
    made = bmnetu.calibrate(model, weights, tmp_path / "data.npz", tmp_path, th_method=method)
    found = bmnetu.compile(made.prototxt, made.umodel, tmp_path / "out", opt=2)
    assert found.bmodel is not None
