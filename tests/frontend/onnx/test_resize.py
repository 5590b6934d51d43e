"""Resize and Upsample with all their rules: equal to onnxruntime's, or refused."""

from __future__ import annotations

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
    by_npu,
    by_onnx,
    by_runtime,
    equal,
    inputs_of,
    kinds,
    loaded,
    node,
)

LAWS = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TRANSFORMATIONS = (
    "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "tf_crop_and_resize",
    "half_pixel_symmetric",
)  # fmt: skip
ROUNDINGS = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
SCALES = st.one_of(st.sampled_from([0.5, 1, 1.5, 2, 3, 4]), st.floats(0.3, 3))


def floats(*values: float) -> Array:
    return np.array(values, np.float32)


def resize(
    shape: tuple[int, ...],
    scales: Array | None = None,
    sizes: Array | None = None,
    roi: Array | None = None,
    opset: int = 19,
    **setting: Any,
) -> Net:
    given = {"roi": roi, "scales": scales, "sizes": sizes}
    constants = {name: array for name, array in given.items() if array is not None}
    names = " ".join(name if name in constants else "-" for name in given)
    return Net([node("Resize", f"x {names}", "y", **setting)], constants, {"x": shape}, opset=opset)


@st.composite
def resizes(draw: st.DrawFn) -> Net:
    """Of one to three axes behind the channels, all or some of them named."""
    axes, opset = draw(st.sampled_from([1, 2, 2, 2, 3])), draw(st.sampled_from([11, 13, 18, 19]))
    shape = (1, draw(st.integers(1, 3)), *(draw(st.integers(1, 8)) for _ in range(axes)))
    mode = draw(st.sampled_from(["nearest", "linear", "cubic"]))
    setting: dict[str, Any] = {
        "mode": mode,
        "coordinate_transformation_mode": draw(
            st.sampled_from(TRANSFORMATIONS if opset >= 19 else TRANSFORMATIONS[:5])
        ),
        "nearest_mode": draw(st.sampled_from(ROUNDINGS)),
        "extrapolation_value": draw(st.sampled_from([0.0, 2.5])),
    }
    if mode == "cubic":
        setting |= {"cubic_coeff_a": draw(st.sampled_from([-0.75, -0.5])),
                    "exclude_outside": draw(st.integers(0, 1))}  # fmt: skip
    changed = list(range(2, 2 + axes))
    named = list(range(2 + axes))
    if opset >= 18 and draw(st.booleans()):
        named = changed = draw(st.permutations(changed))
        setting["axes"] = named
        setting["antialias"] = draw(st.integers(0, 1)) if mode != "nearest" else 0
    roi = None
    if setting["coordinate_transformation_mode"] == "tf_crop_and_resize":
        begins = [draw(st.floats(-0.25, 0.5)) if axis in changed else 0 for axis in named]
        ends = [draw(st.floats(0.5, 1.25)) if axis in changed else 1 for axis in named]
        roi = floats(*begins, *ends)
    if draw(st.booleans()):
        scales = floats(*(draw(SCALES) if axis in changed else 1 for axis in named))
        return resize(shape, scales, roi=roi, opset=opset, **setting)
    sizes = [draw(st.integers(1, 16)) if axis in changed else shape[axis] for axis in named]
    policy = st.sampled_from(["stretch", "not_larger", "not_smaller"])
    if "axes" in setting:
        setting["keep_aspect_ratio_policy"] = draw(policy)
    return resize(shape, None, np.array(sizes), roi, opset, **setting)


@LAWS
@given(net=resizes(), opt=st.integers(0, 2))
def test_resizes(tmp_path: Path, net: Net, opt: int) -> None:
    """By onnxruntime: the onnx package reads the wrong element where rounding puts a position just
    above a whole number."""
    inputs = inputs_of(net)
    refusal = loaded(tmp_path, net)
    if isinstance(refusal, str):
        assert "runtimes do not agree" in refusal or "it makes 0 elements" in refusal, refusal
        return
    try:
        expected = by_runtime(net, inputs)
    except RuntimeError:
        assume(False)
        return
    equal(by_npu(tmp_path, net, inputs, opt), expected)


@settings(LAWS, max_examples=200)
@given(
    size=st.integers(2, 40),
    scale=st.one_of(
        st.tuples(st.integers(1, 12), st.integers(1, 8)).map(lambda pair: pair[0] / pair[1]),
        st.floats(0.3, 3),
    ),
    transformation=st.sampled_from(TRANSFORMATIONS[:4] + TRANSFORMATIONS[5:]),
    rounding=st.sampled_from(ROUNDINGS),
)
def test_the_nearest_element_is_a_matter_of_rounding(
    tmp_path: Path, size: int, scale: float, transformation: str, rounding: str
) -> None:
    """Many positions lie in the middle of two elements."""
    net = resize((1, 1, 2, size), floats(1, 1, 1, scale), nearest_mode=rounding,
                 coordinate_transformation_mode=transformation)  # fmt: skip
    network = loaded(tmp_path, net)
    assume(not isinstance(network, str))
    assert not isinstance(network, str)
    inputs = inputs_of(net)
    equal(by_bmnetu(network, inputs), by_runtime(net, inputs))


@pytest.mark.parametrize("scales", [(2, 2), (3, 2), (0.5, 1), (1.5, 2.25), (0.4, 0.7)])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_before_operator_set_11(
    tmp_path: Path, mode: str, scales: tuple[float, float]
) -> None:
    constants = {"s": floats(1, 1, *scales)}
    net = Net([node("Resize", "x s", "y", mode=mode)], constants, {"x": (1, 2, 6, 8)}, opset=10)
    inputs = inputs_of(net)
    equal(by_npu(tmp_path, net, inputs), by_runtime(net, inputs))


@pytest.mark.parametrize("scales", [(1, 1, 2, 2), (1, 1, 3, 1), (1, 1, 1.5, 2.25), (1, 2, 2, 1)])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsample(tmp_path: Path, mode: str, scales: tuple[float, ...]) -> None:
    """Its scales are an attribute in operator set 7. onnxruntime knows no linear one over
    channels."""
    new = Net([node("Upsample", "x s", "y", mode=mode)], {"s": floats(*scales)},
              {"x": (1, 2, 4, 6)}, opset=9)  # fmt: skip
    old = Net([node("Upsample", "x", "y", mode=mode, scales=list(map(float, scales)))],
              inputs={"x": (1, 2, 4, 6)}, opset=7)  # fmt: skip
    inputs = inputs_of(new)
    found = by_npu(tmp_path, new, inputs)
    equal(by_npu(tmp_path, old, inputs), found)
    if mode == "nearest" or scales[1] == 1:
        equal(found, by_runtime(new, inputs))


HALF = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
PYTORCH = {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}
CORNERS = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
BELOW = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


@pytest.mark.parametrize(
    ("shape", "scales", "setting", "expected"),
    [
        ((1, 2, 5, 6), (1, 1, 2, 2), {}, "ResizeNearestNeighbor"),
        ((1, 2, 5, 6), (1, 1, 4, 8), BELOW, "ResizeNearestNeighbor"),
        ((1, 2, 6, 6), (1, 1, 0.5, 0.5), BELOW, "ResizeNearestNeighbor"),
        ((1, 2, 5, 6), (1, 1, 2, 1), {}, "ResizeNearestNeighbor"),
        ((1, 2, 5, 6), (1, 1, 2, 2), HALF, "ResizeBilinear"),
        ((1, 2, 1, 1), (1, 1, 7, 9), HALF, "ResizeBilinear"),
        ((1, 2, 5, 6), (1, 1, 2, 2), PYTORCH, "ResizeBilinear"),
        ((1, 2, 5, 6), (1, 1, 3, 2), CORNERS, "ResizeBilinear"),
        ((1, 2, 5), (1, 1, 2), {}, "Reshape ResizeNearestNeighbor Reshape"),
        ((1, 2, 4, 5, 6), (1, 1, 1, 2, 2), HALF, "Reshape ResizeBilinear Reshape"),
        ((1, 2, 5, 6), (1, 1, 1, 1), HALF, "Split"),
        ((1, 2, 5, 7), (1, 1, 1, 1.5), HALF, "Permute Convolution Permute"),
    ],
)
def test_layers(
    tmp_path: Path,
    shape: tuple[int, ...],
    scales: tuple[float, ...],
    setting: dict[str, Any],
    expected: str,
) -> None:
    """The forms that networks have are one layer."""
    net = resize(shape, floats(*scales), **setting)
    network = loaded(tmp_path, net)
    assert not isinstance(network, str), network
    assert " ".join(kinds(network)) == expected
    inputs = inputs_of(net)
    equal(by_bmnetu(network, inputs), by_runtime(net, inputs))


@pytest.mark.parametrize("shape", [(6,), (4, 6), (3, 4, 5), (2, 1, 3, 2, 2, 3)])
def test_any_axis_of_any_rank(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """The first ones, too: by the onnx package, as onnxruntime resizes some axes only."""
    for mode in ("nearest", "linear", "cubic"):
        sizes = np.array([size + 2 - i % 2 for i, size in enumerate(shape)])
        net = resize(shape, None, sizes, mode=mode, coordinate_transformation_mode="asymmetric")
        inputs = inputs_of(net)
        equal(by_npu(tmp_path, net, inputs), by_onnx(net.model(), inputs))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize(("op", "shape"), [("DepthToSpace", (2, 12, 2, 3)),
                                           ("SpaceToDepth", (2, 3, 4, 6))])  # fmt: skip
def test_blocks(tmp_path: Path, op: str, shape: tuple[int, ...], mode: str) -> None:
    order = {} if op == "SpaceToDepth" and mode == "DCR" else {"mode": mode}
    net = Net([node(op, "x", "y", blocksize=2, **order)], inputs={"x": shape},
              opset=28 if op == "SpaceToDepth" and order else 17)  # fmt: skip
    inputs = inputs_of(net)
    equal(by_npu(tmp_path, net, inputs), by_onnx(net.model(), inputs))
