"""Conv and ConvTranspose of any geometry: equal to onnxruntime's, or refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.frontend.onnx.graphs import (
    Net,
    by_npu,
    by_onnx,
    by_runtime,
    check,
    equal,
    inputs_of,
    kinds,
    loaded,
    node,
    numbers,
)

LAWS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
AUTO = ("NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


@dataclass(frozen=True)
class Geometry:
    """Of a convolution of one to three axes; ``setting`` are the node's attributes."""

    sizes: list[int]
    kernel: list[int]
    setting: dict[str, Any]
    bias: bool
    opt: int

    @property
    def group(self) -> int:
        return int(self.setting["group"])


def several(low: int, high: int, axes: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(low, high), min_size=axes, max_size=axes)


@st.composite
def geometries(draw: st.DrawFn, *, transposed: bool) -> Geometry:
    axes = draw(st.sampled_from([1, 2, 2, 3]))
    kernel, strides = draw(several(1, 4, axes)), draw(several(1, 4, axes))
    auto = draw(st.sampled_from(AUTO))
    dilated = draw(st.booleans()) and (transposed or auto in ("NOTSET", "VALID"))
    dilations = draw(several(1, 3, axes)) if dilated else [1] * axes
    setting: dict[str, Any] = {"strides": strides, "dilations": dilations}
    setting["group"] = draw(st.sampled_from([1, 2, 4]))
    setting |= {"pads": draw(several(0, 4, 2 * axes))} if auto == "NOTSET" else {"auto_pad": auto}
    if transposed and draw(st.booleans()):
        setting["output_padding"] = [draw(st.integers(0, stride - 1)) for stride in strides]
    sizes = draw(several(1, 8, axes))
    return Geometry(sizes, kernel, setting, draw(st.booleans()), draw(st.integers(0, 2)))


def net_of(op: str, geometry: Geometry) -> Net:
    """Four channels to eight."""
    first, second = (8, 4) if op == "Conv" else (4, 8)
    weights = {"w": numbers(first, second // geometry.group, *geometry.kernel)}
    if geometry.bias:
        weights["b"] = numbers(8)
    conv = node(op, " ".join(["x", *weights]), "y", **geometry.setting)
    return Net([conv], weights, {"x": (2, 4, *geometry.sizes)})


@LAWS
@given(geometry=geometries(transposed=False))
def test_convolutions(tmp_path: Path, geometry: Geometry) -> None:
    net = net_of("Conv", geometry)
    inputs = inputs_of(net)
    try:
        expected = by_runtime(net, inputs)
    except RuntimeError:
        assume(False)
        return
    refusal = loaded(tmp_path, net)
    if not isinstance(refusal, str):
        equal(by_npu(tmp_path, net, inputs, geometry.opt), expected)
        return
    assert "runtimes do not agree where windows of auto_pad" in refusal
    strides = geometry.setting["strides"]
    assert any(s > k + 1 for s, k in zip(strides, geometry.kernel, strict=True))


@LAWS
@given(geometry=geometries(transposed=True))
def test_transposed_convolutions(tmp_path: Path, geometry: Geometry) -> None:
    net = net_of("ConvTranspose", geometry)
    inputs = inputs_of(net)
    try:
        expected = by_runtime(net, inputs)
    except RuntimeError:
        assume(False)
        return
    assume(expected["y"].size)
    equal(by_npu(tmp_path, net, inputs, geometry.opt), expected)


@LAWS
@given(
    geometry=geometries(transposed=True), more=st.integers(-3, 3), mode=st.sampled_from(AUTO)
)
def test_an_output_shape_sets_the_pads(
    tmp_path: Path, geometry: Geometry, more: int, mode: str
) -> None:
    """Larger ones, of which onnxruntime takes some, have zeros at their end."""
    setting = geometry.setting
    extents = [
        d * (k - 1) + 1 for k, d in zip(geometry.kernel, setting["dilations"], strict=True)
    ]
    shape = [
        s * (n - 1) + e + more
        for n, s, e in zip(geometry.sizes, setting["strides"], extents, strict=True)
    ]
    assume(min(shape) > 0)
    setting.pop("pads", None)
    setting.update(output_shape=shape, auto_pad=mode)
    net = net_of("ConvTranspose", geometry)
    inputs = inputs_of(net)
    try:
        expected = by_runtime(net, inputs)
    except RuntimeError:
        assert more > 0
        network = loaded(tmp_path, net)
        assert not isinstance(network, str)
        return
    equal(by_npu(tmp_path, net, inputs, geometry.opt), expected)


@pytest.mark.parametrize("pads", [[-1, 0, 2, -2], [-2, -3, -1, 0]])
def test_negative_pads_cut(tmp_path: Path, pads: list[int]) -> None:
    """As a Slice before the Conv does."""
    weights = {"w": numbers(4, 3, 2, 3)}
    net = Net([node("Conv", "x w", "y", pads=pads)], weights, {"x": (2, 3, 8, 9)})
    inputs = inputs_of(net)
    top, left, bottom, right = (max(-pad, 0) for pad in pads)
    cut = inputs["x"][:, :, top : 8 - bottom, left : 9 - right]
    plain = Net([node("Conv", "x w", "y", pads=[max(pad, 0) for pad in pads])], weights,
                {"x": cut.shape})  # fmt: skip
    equal(by_npu(tmp_path, net, inputs), by_onnx(plain.model(), {"x": cut}))


@pytest.mark.parametrize(
    ("op", "sizes", "kernel", "setting", "expected"),
    [
        ("Conv", [9], [3], {"pads": [1, 1]}, "Convolution"),
        ("Conv", [9], [3], {"pads": [4, 0], "dilations": [2]}, "Pad Convolution"),
        ("Conv", [9, 9], [3, 3], {"pads": [0, 0, 1, 1], "dilations": [2, 2]}, "Convolution"),
        ("Conv", [5, 6, 7], [3, 3, 3], {"pads": [1] * 6}, "Convolution"),
        ("Conv", [5, 6, 7], [2, 3, 3], {"pads": [1, 1, 1, 0, 1, 1]}, "Pad Convolution"),
        ("ConvTranspose", [9], [3], {}, "Reshape Deconvolution Reshape"),
        ("ConvTranspose", [9, 9], [2, 2], {"strides": [2, 2]}, "Deconvolution"),
        ("ConvTranspose", [9, 9], [4, 4], {"strides": [2, 2], "pads": [1] * 4}, "Deconvolution"),
        ("ConvTranspose", [3, 3, 3], [2, 2, 2], {"strides": [2, 2, 2]},
         "Permute Reshape Deconvolution Reshape Permute Deconvolution Reshape"),
    ],
)  # fmt: skip
def test_layers(
    tmp_path: Path, op: str, sizes: list[int], kernel: list[int], setting: dict[str, Any],
    expected: str,
) -> None:  # fmt: skip
    net = net_of(op, Geometry(sizes, kernel, {"group": 1, **setting}, bias=True, opt=1))
    assert " ".join(kinds(check(tmp_path, net))) == expected


def test_uneven_pads_leave_the_kernel_alone(tmp_path: Path) -> None:
    """TensorFlow's padding of a stride of 2."""
    conv = node("Conv", "x w", "y", strides=[2, 2], auto_pad="SAME_UPPER")
    net = Net([conv], {"w": numbers(4, 3, 3, 3)}, {"x": (1, 3, 8, 8)})
    layer = check(tmp_path, net).net.layer[1].convolution_param
    assert list(layer.kernel_size) == [3]
    assert [layer.pad_t, layer.pad_l, layer.pad_b, layer.pad_r] == [0, 0, 1, 1]


def test_a_pad_in_front_is_part_of_the_convolution(tmp_path: Path) -> None:
    """Also where the Conv's own pads take some of its zeros away."""
    nodes = [node("Pad", "x p", "q"), node("Conv", "q w", "y", pads=[1, -1, 0, -2])]
    constants = {"p": np.array([0, 0, 1, 2, 0, 0, 2, 1]), "w": numbers(4, 3, 3, 3)}
    net = Net(nodes, constants)
    network = loaded(tmp_path, net)
    assert not isinstance(network, str)
    assert kinds(network) == ["StrideSlice", "Convolution"]
    inputs = inputs_of(net)
    padded = np.pad(inputs["x"], ((0, 0), (0, 0), (2, 2), (1, 0)))[..., :-1]
    plain = Net([node("Conv", "x w", "y")], {"w": constants["w"]}, {"x": padded.shape})
    equal(by_npu(tmp_path, net, inputs), by_onnx(plain.model(), {"x": padded}))
