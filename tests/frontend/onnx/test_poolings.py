"""Poolings of any geometry: equal to onnxruntime's, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bmnetu.frontend import load_network
from tests.frontend.onnx.graphs import (
    Net,
    by_bmnetu,
    by_npu,
    by_runtime,
    check,
    equal,
    inputs_of,
    kinds,
    loaded,
    node,
)

LAWS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
AUTO = ("NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
REFUSALS = (
    "runtimes do not agree where windows of auto_pad",
    "a window has no element of the input",
    "is larger than the padded",
)


def several(low: int, high: int, axes: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(low, high), min_size=axes, max_size=axes)


@st.composite
def poolings(draw: st.DrawFn) -> Net:
    """A pooling of one to three axes."""
    axes = draw(st.sampled_from([1, 2, 2, 3]))
    op = draw(st.sampled_from(["MaxPool", "AveragePool", "AveragePool", "LpPool"]))
    kernel, auto = draw(several(1, 5, axes)), draw(st.sampled_from(AUTO))
    setting: dict[str, Any] = {"kernel_shape": kernel, "strides": draw(several(1, 4, axes))}
    if auto == "NOTSET":
        setting["pads"] = [draw(st.integers(0, k - 1)) for k in (*kernel, *kernel)]
    else:
        setting["auto_pad"] = auto
    if not auto.startswith("SAME") and draw(st.booleans()):
        setting["dilations"] = draw(several(1, 4, axes))
    setting["ceil_mode"] = draw(st.integers(0, 1))
    if op == "AveragePool":
        setting["count_include_pad"] = draw(st.integers(0, 1))
    if op == "LpPool":
        setting["p"] = draw(st.integers(1, 3))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 3)), *draw(several(1, 11, axes)))
    return Net([node(op, "x", "y", **setting)], inputs={"x": shape}, opset=19)


@LAWS
@given(net=poolings(), opt=st.integers(0, 2))
def test_poolings(tmp_path: Path, net: Net, opt: int) -> None:
    inputs = inputs_of(net)
    try:
        expected = by_runtime(net, inputs)
    except RuntimeError:
        assume(False)
        return
    assume(expected["y"].size)
    refusal = loaded(tmp_path, net)
    if isinstance(refusal, str):
        assert any(sentence in refusal for sentence in REFUSALS), refusal
        return
    equal(by_npu(tmp_path, net, inputs, opt), expected)


@pytest.mark.parametrize(
    ("size", "setting"),
    [
        (8, {"pads": [1, 1, 1, 1]}),
        (7, {"pads": [0, 0, 1, 1]}),
        (8, {"auto_pad": "SAME_UPPER"}),
        (7, {"ceil_mode": 1}),
        (8, {"ceil_mode": 1}),
        (8, {"ceil_mode": 1, "pads": [1, 1, 1, 1]}),
    ],
)
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_poolings_that_networks_have(
    tmp_path: Path, op: str, size: int, setting: dict[str, Any]
) -> None:
    """A kernel of 3 with strides of 2, as in ResNet, TensorFlow and Caffe2: one layer."""
    pool = node(op, "x", "y", kernel_shape=[3, 3], strides=[2, 2], **setting)
    net = Net([pool], inputs={"x": (1, 2, size, size)}, opset=19)
    inputs = inputs_of(net)
    network = load_network(net.write(tmp_path), None)
    assert kinds(network) == ["Pooling"]
    equal(by_bmnetu(network, inputs), by_runtime(net, inputs))


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pads_of_one_side(tmp_path: Path, op: str, auto_pad: str) -> None:
    """A pooling of 2x2 that keeps the size, as detectors have it."""
    pool = node(op, "x", "y", kernel_shape=[2, 2], auto_pad=auto_pad)
    layer = check(tmp_path, Net([pool])).net.layer[1].pooling_param
    sides = [layer.pad_t, layer.pad_b, layer.pad_l, layer.pad_r]
    assert sides == ([0, 1, 0, 1] if auto_pad == "SAME_UPPER" else [1, 0, 1, 0])


@pytest.mark.parametrize(("counted", "expected"), [(0, "AVE_EXC_PAD"), (1, "AVE")])
def test_an_average_counts_its_pads_or_not(tmp_path: Path, counted: int, expected: str) -> None:
    pool = node("AveragePool", "x", "y", kernel_shape=[3, 3], pads=[1] * 4,
                count_include_pad=counted)  # fmt: skip
    network = check(tmp_path, Net([pool]))
    assert kinds(network) == ["Pooling"]
    param = network.net.layer[1].pooling_param
    assert param.PoolMethod.Name(param.pool) == expected


def test_a_pad_in_front_is_part_of_an_average(tmp_path: Path) -> None:
    """Its zeros count, also where those of the pooling would not."""
    pads = np.array([0, 0, 1, 0, 0, 0, 2, 1])
    nodes = [node("Pad", "x p", "q"), node("AveragePool", "q", "y", kernel_shape=[3, 3])]
    assert kinds(check(tmp_path, Net(nodes, {"p": pads}))) == ["Pooling"]


@pytest.mark.parametrize("dilation", [2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_dilated_maximum_is_one_of_phases(tmp_path: Path, dilation: int, stride: int) -> None:
    pool = node("MaxPool", "x", "y", kernel_shape=[3], dilations=[dilation], strides=[stride],
                pads=[2, 1])  # fmt: skip
    network = check(tmp_path, Net([pool], inputs={"x": (2, 3, 13)}))
    phases = dilation // np.gcd(stride, dilation)
    assert kinds(network).count("Pooling") == phases


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
@pytest.mark.parametrize("sizes", [(5,), (5, 6), (3, 4, 5)])
def test_whole_maps(tmp_path: Path, op: str, sizes: tuple[int, ...]) -> None:
    net = Net([node(op, "x", "y")], inputs={"x": (2, 3, *sizes)})
    inputs = inputs_of(net)
    equal(by_npu(tmp_path, net, inputs), by_runtime(net, inputs))


@pytest.mark.parametrize("p", [1, 2, 3, 4])
def test_a_whole_map_by_its_norm(tmp_path: Path, p: int) -> None:
    net = Net([node("GlobalLpPool", "x", "y", p=p)], inputs={"x": (2, 3, 4, 5)})
    inputs = inputs_of(net)
    equal(by_npu(tmp_path, net, inputs), by_runtime(net, inputs))


def test_a_whole_map_of_four_axes(tmp_path: Path) -> None:
    """Which onnxruntime does not know."""
    net = Net([node("GlobalMaxPool", "x", "y")], inputs={"x": (2, 3, 2, 3, 2, 4)})
    inputs = inputs_of(net)
    expected = inputs["x"].max(axis=(2, 3, 4, 5), keepdims=True)
    equal(by_npu(tmp_path, net, inputs), {"y": expected})


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("shape", [(2, 7), (2, 7, 5), (1, 9, 3, 4), (1, 4, 2, 3, 2)])
def test_lrn(tmp_path: Path, size: int, shape: tuple[int, ...]) -> None:
    """As its definition reads. (onnxruntime knows no even sizes, the onnx package leaves channels
    out.)"""
    lrn = node("LRN", "x", "y", size=size, alpha=0.3, beta=0.6, bias=1.5)
    net = Net([lrn], inputs={"x": shape})
    inputs = inputs_of(net)
    x = inputs["x"]
    sums = np.zeros_like(x)
    for c in range(shape[1]):
        first, last = c - (size - 1) // 2, c + size // 2
        sums[:, c] = (x[:, max(first, 0) : last + 1] ** 2).sum(axis=1)
    expected = x / (1.5 + 0.3 / size * sums) ** 0.6
    equal(by_npu(tmp_path, net, inputs), {"y": expected})


@pytest.mark.parametrize("size", [1, 3, 5])
def test_lrn_of_odd_sizes(tmp_path: Path, size: int) -> None:
    net = Net([node("LRN", "x", "y", size=size)], inputs={"x": (2, 6, 3, 4)})
    inputs = inputs_of(net)
    equal(by_npu(tmp_path, net, inputs), by_runtime(net, inputs))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads"),
    [((6, 8), [2, 2], [2, 2], [0] * 4), ((7, 7), [3, 3], [2, 2], [1] * 4),
     ((5, 6), [2, 2], [1, 1], [0] * 4)],
)  # fmt: skip
def test_a_max_pool_is_undone(
    tmp_path: Path, size: tuple[int, int], kernel: list[int], stride: list[int], pads: list[int]
) -> None:
    windows: dict[str, Any] = {"kernel_shape": kernel, "strides": stride, "pads": pads}
    nodes = [
        node("MaxPool", "x", "p i", **windows), node("Mul", "p two", "q"),
        node("MaxUnpool", "q i", "y", **windows),
    ]  # fmt: skip
    net = Net(nodes, {"two": np.array(2, np.float32)}, {"x": (2, 3, *size)})
    inputs = inputs_of(net)
    equal(by_npu(tmp_path, net, inputs), by_runtime(net, inputs))
