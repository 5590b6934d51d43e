"""Nets with deconvolutions, resizing, crops and unpooling: calibrated, they are close to the float
net, and their umodel reads as Caffe stores them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bmnetu.frontend.weights.blobs import shape_of
from tests.calibration.harness import Files, batch, cosine, data_layer, layer

CONV = "convolution_param { num_output: 8 kernel_size: 3 pad: 1 }"


def net(deconvolution: str) -> str:
    """Down, a deconvolution with a BatchNorm behind it, cropped to and added to what was before."""
    return (
        data_layer(2, 4, 8, 8)
        + layer("Convolution", "data", "a", CONV)
        + layer("ReLU", "a", "b")
        + layer("Pooling", "b", "down", "pooling_param { kernel_size: 2 stride: 2 }")
        + layer("Deconvolution", "down", "up", f"convolution_param {{ {deconvolution} }}")
        + layer("BatchNorm", "up", "n")
        + layer("ReLU", "n", "p")
        + layer("Crop", "p b", "c", "crop_param { axis: 2 }")
        + layer("Eltwise", "c b", "sum")
        + layer("Interp", "sum", "wide", "interp_param { zoom_factor: 2 }")
        + layer("Convolution", "wide", "last", CONV)
    )


@pytest.mark.parametrize(
    ("deconvolution", "stored"),
    [
        ("num_output: 8 kernel_size: 4 stride: 2 pad: 1", (8, 8, 4, 4)),
        ("num_output: 8 group: 8 kernel_size: 4 stride: 2 bias_term: false", (8, 1, 4, 4)),
        ("num_output: 8 group: 2 kernel_size: 2 stride: 2", (8, 4, 2, 2)),
    ],
)
def test_deconvolutions(tmp_path: Path, deconvolution: str, stored: tuple[int, ...]) -> None:
    files = Files.of(tmp_path, net(deconvolution))
    samples = files.samples(4)
    made = files.calibrate(samples, equalize=True, adaptive_rounding=True)
    one = batch(samples, 0, 2)
    (real,), (held,) = (
        list(outputs.values())
        for outputs in (made.float_outputs(one), made.int8_outputs(one))
    )
    assert cosine(real, held) > 0.98
    blobs = made.layers()["Deconvolution_up"].blobs
    assert shape_of(blobs[0], 0) == stored
    assert len(blobs) == 2  # the BatchNorm's addend is the bias
    assert np.any(blobs[0].int32_data)


def test_masks_stay_float(tmp_path: Path) -> None:
    """A pooling with a mask and the unpooling between 8-bit layers."""
    text = (
        data_layer(2, 4, 8, 8)
        + layer("Convolution", "data", "a", CONV)
        + layer("Pooling", "a", "p m", "pooling_param { kernel_size: 2 stride: 2 }")
        + layer("Convolution", "p", "c", CONV)
        + layer("Upsample", "c m", "u", "upsample_param { scale: 2 }")
        + layer("Convolution", "u", "last", CONV)
    )
    files = Files.of(tmp_path, text)
    samples = files.samples(4)
    made = files.calibrate(samples)
    one = batch(samples, 0, 2)
    (real,), (held,) = (
        list(outputs.values())
        for outputs in (made.float_outputs(one), made.int8_outputs(one))
    )
    assert cosine(real, held) > 0.9


@pytest.mark.parametrize("bias", ["true", "false"])
def test_a_convolution_over_time(tmp_path: Path, bias: str) -> None:
    """The int8umodel says itself whether a Convolution3D has a bias."""
    settings = f"num_output: 4 kernel_size: 3 kernel_depth: 3 pad: 1 bias_term: {bias}"
    text = (
        data_layer(1, 3, 4, 6, 6)
        + layer("Convolution3D", "data", "a", f"convolution3d_param {{ {settings} }}")
        + layer("BatchNorm", "a", "n")
        + layer("ReLU", "n", "last")
    )
    files = Files.of(tmp_path, text)
    samples = files.samples(4)
    made = files.calibrate(samples)
    one = batch(samples, 0, 1)
    (real,), (held,) = (
        list(outputs.values())
        for outputs in (made.float_outputs(one), made.int8_outputs(one))
    )
    assert cosine(real, held) > 0.98
