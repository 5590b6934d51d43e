"""A layer that gives only zeros on the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from bmnetu.frontend import write_umodel
from tests.networks import random_weights

NET = """
name: "zeros"
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
layer {
  name: "c" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 2 kernel_size: 2 bias_term: false }
}
layer { name: "r" type: "ReLU" bottom: "c" top: "r" }
"""


@pytest.mark.parametrize("method", ["MAX", "AUTO"])
def test_no_warning_and_a_network(method: str, tmp_path: Path) -> None:
    """Its rounding weighs nothing, whatever it costs: products with infinity are no numbers."""
    model, weights = tmp_path / "net.prototxt", tmp_path / "net.fp32umodel"
    model.write_text(NET)
    made = random_weights(model, 1)
    for layer in made.layer:
        for blob in layer.blobs:
            blob.data[:] = [-abs(number) for number in blob.data]
    write_umodel(weights, made)
    data = np.random.default_rng(0).integers(0, 256, (3, 3, 9, 9)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=data)
    found = bmnetu.calibrate(
        model, weights, tmp_path / "data.npz", tmp_path, th_method=method, equalize=False
    )
    compiled = bmnetu.compile(found.prototxt, found.umodel, tmp_path / "out", opt=2)
    assert all(layer.ok for layer in compiled.layers)
