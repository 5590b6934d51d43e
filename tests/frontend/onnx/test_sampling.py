"""Operators that read between pixels, on the NPU model beside onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.frontend.onnx.graphs import (
    Array,
    Net,
    assert_refused,
    by_onnx,
    inputs_of,
    node,
    numbers,
)
from tests.frontend.onnx.on_npu import check_on_npu, on_npu

IMAGE = (2, 3, 7, 9)
GRID = (2, 4, 5, 2)


def grid_sample(opset: int = 20, **attributes: Any) -> Net:
    nodes = [node("GridSample", "x g", "y", **attributes)]
    return Net(nodes, inputs={"x": IMAGE, "g": GRID}, opset=opset)


@pytest.mark.parametrize("aligned", [0, 1])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize(("mode", "opset"), [
    ("linear", 20), ("nearest", 20), ("bilinear", 16), ("nearest", 16),
])  # fmt: skip
def test_a_grid(mode: str, opset: int, padding: str, aligned: int, tmp_path: Path) -> None:
    net = grid_sample(opset, mode=mode, padding_mode=padding, align_corners=aligned)
    inputs = {"x": numbers(*IMAGE), "g": numbers(*GRID, seed=4) * np.float32(0.8)}
    check_on_npu(tmp_path, net, inputs=inputs)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("size", [(4, 6), (1, 5), (8, 1)])
@pytest.mark.parametrize("aligned", [0, 1])
def test_between_two_pixels_the_even_one_is_the_nearest(
    aligned: int, size: tuple[int, int], padding: str, tmp_path: Path
) -> None:
    """What lies beside a pixel is between two of the grid's other size."""
    wide = [np.arange(-3, 2 * n + 3) / 2 for n in size]
    ends = [(places + 0.5) * 2 / n - 1 for n, places in zip(size, wide, strict=True)]
    if aligned:
        ends = [places * 2 / max(n - 1, 1) - 1 for n, places in zip(size, wide, strict=True)]
    y, x = np.meshgrid(*ends, indexing="ij")
    grid = np.stack([x, y], axis=-1)[None].astype(np.float32)
    attributes = {"mode": "nearest", "padding_mode": padding, "align_corners": aligned}
    inputs = {"x": (1, 2, *size), "g": grid.shape}
    net = Net([node("GridSample", "x g", "y", **attributes)], {}, inputs, opset=20)
    check_on_npu(tmp_path, net, inputs={"x": numbers(1, 2, *size), "g": grid})


def test_a_grid_of_a_network(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "o"), node("Tanh", "o", "t"), node("Transpose", "t", "g",
             perm=[0, 2, 3, 1]), node("GridSample", "x g", "s"), node("Relu", "s", "y")]
    net = Net(nodes, {"w": numbers(2, 3, 3, 3) * np.float32(0.3)}, {"x": (1, 3, 8, 6)})
    check_on_npu(tmp_path, net)


# -- regions ---------------------------------------------------------------------------------------


def regions(count: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(-3, 40, (count, 2, 2)), axis=1)
    return corners.reshape(count, 4).astype(np.float32)


def roi_align(opset: int, images: Array, **attributes: Any) -> Net:
    nodes = [node("RoiAlign", "x r i", "y", **attributes)]
    return Net(nodes, {"i": images}, {"x": IMAGE, "r": (len(images), 4)}, opset=opset)


@pytest.mark.parametrize("seed", range(6))
def test_regions(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    attributes: dict[str, Any] = {
        "output_height": rng.randint(1, 4), "output_width": rng.randint(1, 4),
        "sampling_ratio": rng.choice([0, 1, 2]), "spatial_scale": rng.choice([0.25, 0.1]),
    }  # fmt: skip
    opset = rng.choice([10, 16])
    if opset >= 16 and rng.random() < 0.5:
        attributes["coordinate_transformation_mode"] = "output_half_pixel"
    images = np.random.default_rng(seed).integers(0, 2, 5)
    net = roi_align(opset, images, **attributes)
    check_on_npu(tmp_path, net, inputs={"x": numbers(*IMAGE), "r": regions(5, seed)})


def test_regions_of_computed_images(tmp_path: Path) -> None:
    nodes = [
        node("Slice", "r zero one axis", "f"), node("Squeeze", "f axis", "s"),
        node("Cast", "s", "i", to=7), node("Slice", "r one five axis", "c"),
        node("RoiAlign", "x c i", "y", output_height=2, output_width=2, spatial_scale=0.2),
    ]  # fmt: skip
    constants = {name: np.array([n]) for name, n in
                 (("zero", 0), ("one", 1), ("five", 5), ("axis", 1))}
    net = Net(nodes, constants, {"x": IMAGE, "r": (6, 5)})
    images = np.arange(6, dtype=np.float32)[:, None] % 2
    rois = np.concatenate([images, regions(6, 2)], axis=1)
    check_on_npu(tmp_path, net, inputs={"x": numbers(*IMAGE), "r": rois})


# -- moved kernels ---------------------------------------------------------------------------------


def deform_conv(
    groups: int = 1, offset_groups: int = 1, *, bias: bool = True, mask: bool = True,
    kernel: tuple[int, int] = (3, 2), **attributes: Any,
) -> Net:  # fmt: skip
    channels, count = 4, 6
    pads = attributes.get("pads", [0] * 4)
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    size = [
        (side + pads[i] + pads[i + 2] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1
        for i, side in enumerate((7, 9))
    ]
    taps = offset_groups * kernel[0] * kernel[1]
    inputs: Mapping[str, tuple[int, ...]] = {
        "x": (2, channels, 7, 9), "o": (2, 2 * taps, size[0], size[1]),
    }  # fmt: skip
    constants = {"w": numbers(count, channels // groups, *kernel), "b": numbers(count, seed=3)}
    words = f"x w o {'b' if bias else '-'}"
    if mask:
        inputs = {**inputs, "m": (2, taps, size[0], size[1])}
        words += " m"
    if not bias:
        del constants["b"]
    given = {"group": groups, "offset_group": offset_groups, **attributes}
    return Net([node("DeformConv", words, "y", **given)], constants, inputs, opset=19)


DEFORMED = {
    "plain": deform_conv(mask=False), "with a mask": deform_conv(),
    "groups": deform_conv(2, 2), "more groups of offsets": deform_conv(1, 4, bias=False),
    "pads, strides, dilations": deform_conv(
        pads=[1, 2, 0, 1], strides=[2, 1], dilations=[1, 2], kernel=(2, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFORMED)
def test_a_moved_kernel(name: str, tmp_path: Path) -> None:
    """Beside the onnx package, as onnxruntime does not have it."""
    net = DEFORMED[name]
    inputs = {name: array * np.float32(1.5) for name, array in inputs_of(net).items()}
    wanted, found = by_onnx(net.model(), inputs)["y"], on_npu(tmp_path, net.model(), inputs)["y"]
    np.testing.assert_allclose(found, wanted, atol=2e-4)


REFUSED = {
    "cubic": (grid_sample(mode="cubic"), "mode cubic with padding_mode zeros"),
    "volumes": (
        Net([node("GridSample", "x g", "y")], {}, {"x": (1, 2, 3, 4, 5), "g": (1, 2, 2, 2, 3)},
            opset=20),
        "2-D images can be sampled"),
    "the largest of a region": (
        roi_align(16, np.zeros(3, np.int64), mode="max"), "(RoiAlign): mode is not avg"),
    "weights that are computed": (
        Net([node("DeformConv", "x w o", "y")], {},
            {"x": (1, 1, 4, 4), "w": (1, 1, 2, 2), "o": (1, 8, 3, 3)}, opset=19),
        'its input "w" is not a constant'),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal(name: str, tmp_path: Path) -> None:
    assert_refused(tmp_path, *REFUSED[name])
