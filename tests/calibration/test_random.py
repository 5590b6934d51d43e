"""Random nets of all layer types: calibrated, loaded, and run in integers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bmnetu
from bmnetu.calibration.int8.int8_module import int8_module
from bmnetu.calibration.int8.int8_net import Int8Net
from tests.calibration.harness import Files, batch, data_layer, layer

FLOATS = ("fpfwd_inputs", "fpfwd_outputs", "fpfwd_blocks")
Choose = Callable[[int], int]
"""A number from 0 to below the count."""
SHAPE = (2, 6, 5, 7)

UNARY = {
    "Convolution": ("convolution_param { num_output: 6 kernel_size: 3 pad: 1 }",
                    "convolution_param { num_output: 6 kernel_size: 1 group: 3 }"),
    "DepthwiseConvolution": (
        "convolution_param { num_output: 6 kernel_size: 3 pad: 1 bias_term: false }",
    ),
    "BatchNorm": ("",),
    "Scale": ("scale_param { bias_term: true }", "scale_param { axis: 2 num_axes: 2 }"),
    "Bias": ("",),
    "ReLU": ("", "relu_param { negative_slope: 0.1 }"),
    "PReLU": ("",),
    "Pooling": ("pooling_param { kernel_size: 3 pad: 1 }",
                "pooling_param { pool: AVE kernel_size: 3 pad: 1 }"),
    "Softmax": ("",),
    "Sigmoid": ("",),
    "TanH": ("",),
    "Power": ("power_param { power: 2 }", "power_param { scale: -0.5 shift: 1 }"),
    "Dropout": ("",),
}  # fmt: skip
"""Layers that keep the shape, with some settings."""

PAIRS = (
    ("Eltwise", ""),
    ("Eltwise", "eltwise_param { coeff: 1 coeff: -2 }"),
    ("Eltwise", "eltwise_param { operation: PROD }"),
    ("Eltwise", "eltwise_param { operation: MAX }"),
    ("Scale", "scale_param { axis: 0 }"),
    ("Scale", "scale_param { axis: 0 bias_term: true }"),
    ("Bias", "bias_param { axis: 0 }"),
)


@dataclass
class Builder:
    """A prototxt that grows; ``blobs`` all have the shape of the input."""

    choose: Choose
    text: str = field(default_factory=lambda: data_layer(*SHAPE))
    blobs: list[str] = field(default_factory=lambda: ["data"])

    def blob(self) -> str:
        """A blob to read, the last one more often."""
        return self.blobs[-1 - min(self.choose(2 * len(self.blobs)), len(self.blobs) - 1)]

    def add(self) -> None:
        top = f"t{len(self.blobs)}"
        kind = self.choose(4)
        if kind < 2:
            name = list(UNARY)[self.choose(len(UNARY))]
            chosen = UNARY[name][self.choose(len(UNARY[name]))]
            self.text += layer(name, self.blob(), top, chosen)
        elif kind == 2:
            name, chosen = PAIRS[self.choose(len(PAIRS))]
            self.text += layer(name, f"{self.blob()} {self.blob()}", top, chosen)
        else:
            self.text += layer("Slice", self.blob(), f"{top}a {top}b")
            self.text += layer("Concat", f"{top}b {top}a", top)
        self.blobs.append(top)


@st.composite
def nets(draw: st.DrawFn) -> str:
    builder = Builder(lambda count: draw(st.integers(0, count - 1)))
    for _ in range(draw(st.integers(1, 9))):
        builder.add()
    return builder.text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=nets(), keep_bn=st.booleans(), method=st.sampled_from(["KL", "MAX"]))
def test_a_random_net_runs_in_integers(
    tmp_path_factory: pytest.TempPathFactory, text: str, keep_bn: bool, method: str
) -> None:
    files = Files.of(tmp_path_factory.mktemp("net"), text)
    data = files.samples(4)
    calibrated = files.calibrate(data, keep_bn=keep_bn, th_method=method)
    one = batch(data, 1, SHAPE[0])
    expected, found = calibrated.float_outputs(one), calibrated.int8_outputs(one)
    assert {name: array.shape for name, array in found.items()} == {
        name: array.shape for name, array in expected.items()
    }
    assert all(np.isfinite(array).all() for array in found.values())


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=nets(), opt=st.sampled_from([0, 1]), data=st.data())
def test_a_random_net_compiles(
    tmp_path_factory: pytest.TempPathFactory, text: str, opt: int, data: st.DataObject
) -> None:
    folder: Path = tmp_path_factory.mktemp("net")
    files = Files.of(folder, text)
    layers = st.sampled_from(re.findall(r'name: "(\w+)"', text))
    floats = {name: data.draw(st.lists(layers, max_size=1), name) for name in FLOATS}
    result = files.calibrate(files.samples(2), **floats).result
    compiled = bmnetu.compile(result.prototxt, result.umodel, folder, prec="INT8", opt=opt)
    assert compiled.bmodel is not None


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=nets(), keep_bn=st.booleans())
def test_the_net_that_is_refined_is_the_one_that_is_written(
    tmp_path_factory: pytest.TempPathFactory, text: str, keep_bn: bool
) -> None:
    files = Files.of(tmp_path_factory.mktemp("net"), text)
    with mock.patch("bmnetu.calibration.int8.quantizer.refine") as refine:
        calibrated = files.calibrate(files.samples(2), keep_bn=keep_bn)
    net, quantized, sample = refine.call_args.args
    found = Int8Net(int8_module(net, quantized)).run(sample[1])
    for name, array in calibrated.int8_outputs(sample[1]).items():
        assert np.array_equal(found[name], array)
