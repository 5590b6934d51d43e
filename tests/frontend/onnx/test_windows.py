"""Convolutions and pooling of any geometry: equal to the onnx package's, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.frontend.onnx.graphs import (
    Array,
    Net,
    by_bmnetu,
    check,
    inputs_of,
    kinds,
    loaded,
    node,
    numbers,
)

LAWS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SIDES = st.tuples(st.integers(3, 9), st.integers(3, 9))
SMALL = st.tuples(st.integers(1, 3), st.integers(1, 3))
ENDS = st.lists(st.integers(0, 2), min_size=4, max_size=4)


def padded(sides: Sequence[int], pads: Sequence[int]) -> list[int]:
    return [side + pads[i] + pads[i + 2] for i, side in enumerate(sides)]


@LAWS
@given(
    sides=SIDES,
    kernel=SMALL,
    strides=SMALL,
    dilations=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    pads=ENDS,
    auto=st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]),
    group=st.sampled_from([1, 2, 4]),
)
def test_convolutions(
    tmp_path: Path, sides: tuple[int, int], kernel: tuple[int, int], strides: tuple[int, int],
    dilations: tuple[int, int], pads: list[int], auto: str, group: int,
) -> None:  # fmt: skip
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    setting: dict[str, Any] = {"pads": pads} if auto == "NOTSET" else {"auto_pad": auto}
    space = padded(sides, pads if auto == "NOTSET" else [0] * 4)
    assume(all(extent <= size for extent, size in zip(extents, space, strict=True)))
    conv = node("Conv", "x w b", "y", strides=strides, dilations=dilations, group=group, **setting)
    weights = {"w": numbers(8, 4 // group, *kernel), "b": numbers(8)}
    net = Net([conv], weights, {"x": (2, 4, *sides)})
    uneven = pads[0] != pads[2] or pads[1] != pads[3] or auto.startswith("SAME")
    refusal = loaded(tmp_path, net)
    if not isinstance(refusal, str):
        check(tmp_path, net)
        return
    assert "differ" in refusal
    assert uneven
    assert 2 in dilations


def spans(
    side: int, kernel: int, stride: int, before: int, after: int, ceil: bool
) -> list[tuple[range, int]]:
    """The windows along one axis: what each has of the input, and its size with the pads."""
    found: list[tuple[range, int]] = []
    start, end = -before, side + after
    while start + kernel <= end or (ceil and start < min(side, end)):
        last = min(start + kernel, end)
        found.append((range(max(start, 0), min(last, side)), last - start))
        if start + kernel >= end:
            break
        start += stride
    return found


def pooled(x: Array, windows: Any, largest: bool, counted: bool) -> Array:
    """The pooling as its definition reads, window by window. (The evaluator of the onnx package
    shifts the windows of an average with ceil_mode.)
    """
    rows, columns = windows
    found = np.zeros((len(rows), len(columns)))
    for i, (high, height) in enumerate(rows):
        for j, (wide, width) in enumerate(columns):
            part = x[np.ix_(high, wide)]
            average = part.sum() / (height * width if counted else part.size)
            found[i, j] = part.max() if largest else average
    return found


@LAWS
@given(
    op=st.sampled_from(["MaxPool", "AveragePool"]),
    sides=SIDES,
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=SMALL,
    pads=ENDS,
    ceil=st.booleans(),
    counted=st.booleans(),
)
def test_poolings(
    tmp_path: Path, op: str, sides: tuple[int, int], kernel: tuple[int, int],
    strides: tuple[int, int], pads: list[int], ceil: bool, counted: bool,
) -> None:  # fmt: skip
    assume(all(pad < k for k, pad in zip((*kernel, *kernel), pads, strict=True)))
    assume(all(k <= size for k, size in zip(kernel, padded(sides, pads), strict=True)))
    setting = {"count_include_pad": int(counted)} if op == "AveragePool" else {}
    pool = node(op, "x", "y", kernel_shape=kernel, strides=strides, pads=pads,
                ceil_mode=int(ceil), **setting)  # fmt: skip
    net = Net([pool], inputs={"x": (1, 1, *sides)}, opset=19)
    network = loaded(tmp_path, net)
    if isinstance(network, str):
        assert "Caffe has no rounding" in network
        assert max(pads) or any(s > k for s, k in zip(strides, kernel, strict=True))
        return
    inputs = inputs_of(net)
    windows = [
        spans(side, k, s, before, after, ceil)
        for side, k, s, before, after in zip(
            sides, kernel, strides, pads[:2], pads[2:], strict=True
        )
    ]
    expected = pooled(inputs["x"][0, 0], windows, op == "MaxPool", counted)
    found = by_bmnetu(network, inputs)["y"][0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "setting", "expected"),
    [
        (8, {"pads": [1, 1, 1, 1]}, "Pooling"),
        (7, {"pads": [0, 0, 1, 1]}, "Pooling"),
        (8, {"auto_pad": "SAME_UPPER"}, "Pooling"),
        (7, {"ceil_mode": 1}, "Pooling"),
    ],
)
def test_poolings_that_networks_have(
    tmp_path: Path, size: int, setting: dict[str, Any], expected: str
) -> None:
    """A kernel of 3 with strides of 2, as in ResNet, TensorFlow and Caffe2."""
    for op in ("MaxPool", "AveragePool"):
        pool = node(op, "x", "y", kernel_shape=[3, 3], strides=[2, 2], **setting)
        check(tmp_path, Net([pool], inputs={"x": (1, 2, size, size)}))


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pads_of_one_side(tmp_path: Path, op: str, auto_pad: str) -> None:
    """A pooling of 2x2 that keeps the size, as detectors have it."""
    pool = node(op, "x", "y", kernel_shape=[2, 2], auto_pad=auto_pad)
    layer = check(tmp_path, Net([pool])).net.layer[1].pooling_param
    sides = [layer.pad_t, layer.pad_b, layer.pad_l, layer.pad_r]
    assert sides == ([0, 1, 0, 1] if auto_pad == "SAME_UPPER" else [1, 0, 1, 0])


def test_an_average_without_its_pads_is_scaled(tmp_path: Path) -> None:
    pool = node("AveragePool", "x", "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    assert kinds(check(tmp_path, Net([pool]))) == ["Pooling", "Scale"]
    pool = node("AveragePool", "x", "y", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)
    assert kinds(check(tmp_path, Net([pool]))) == ["Pooling"]


def test_uneven_pads_widen_the_kernel(tmp_path: Path) -> None:
    """TensorFlow's padding of a stride of 2."""
    conv = node("Conv", "x w", "y", strides=[2, 2], auto_pad="SAME_UPPER")
    net = Net([conv], {"w": numbers(4, 3, 3, 3)}, {"x": (1, 3, 8, 8)})
    layer = check(tmp_path, net).net.layer[1].convolution_param
    assert list(layer.kernel_size) == [4]
    assert list(layer.pad) == [1]
    assert np.prod(layer.stride) == 2
