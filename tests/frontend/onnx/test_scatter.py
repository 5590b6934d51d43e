"""Writing at known places, on the NPU model beside onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.frontend.onnx.graphs import Array, Net, assert_refused, inputs_of, node
from tests.frontend.onnx.on_npu import check_on_npu

SHAPE = (2, 3, 4, 7)


def scatter_nd(index: tuple[slice | list[int], ...], reduction: str = "none") -> Net:
    """``x[index] = u``, as PyTorch exports it."""
    grids = np.meshgrid(*(np.arange(n)[at] for n, at in zip(SHAPE, index, strict=False)),
                        indexing="ij")  # fmt: skip
    places = np.stack(grids, axis=-1)
    updates = (*places.shape[:-1], *SHAPE[len(index) :])
    attributes = {} if reduction == "none" else {"reduction": reduction}
    nodes = [node("ScatterND", "x i u", "y", **attributes)]
    return Net(nodes, {"i": places}, {"x": SHAPE, "u": updates}, opset=18)


def scatter_elements(places: Array, axis: int, reduction: str = "none") -> Net:
    nodes = [node("ScatterElements", "x i u", "y", axis=axis, reduction=reduction)]
    return Net(nodes, {"i": places}, {"x": SHAPE, "u": places.shape}, opset=18)


def column(axis: int, *places: int) -> Array:
    """These places along an axis of all rows."""
    shape = [len(places) if k == axis else n for k, n in enumerate(SHAPE)]
    line = np.array(places).reshape([-1 if k == axis else 1 for k in range(len(SHAPE))])
    return np.broadcast_to(line, shape).copy()


ALL = slice(None)
NETS = {
    "the last axis": scatter_nd((ALL, ALL, ALL, slice(0, 2))),
    "a box": scatter_nd((slice(1, 2), ALL, slice(1, 3), slice(2, 7, 2))),
    "rows": scatter_nd((ALL, [2, 0])),
    "sums with all": scatter_nd((ALL, ALL), "add"),
    "sums": scatter_nd((ALL, slice(1, 3), ALL, slice(3, 5)), "add"),
    "products": scatter_nd((slice(0, 1), [2]), "mul"),
    "from the end": scatter_nd((ALL, slice(-1, None, -1))),
    "elements": scatter_elements(column(3, 5, 0, -1), 3),
    "elements, sums": scatter_elements(column(1, 2), 1, "add"),
    "elements of some rows": scatter_elements(column(2, 3, 1)[:, :2, :, 0:5], 2),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_a_net(name: str, tmp_path: Path) -> None:
    check_on_npu(tmp_path, NETS[name])


def test_what_is_written_is_a_constant(tmp_path: Path) -> None:
    net = scatter_nd((ALL, [1]))
    updates = np.zeros_like(inputs_of(net)["u"])
    check_on_npu(tmp_path, Net(net.nodes, {**net.constants, "u": updates}, {"x": SHAPE}, opset=18))


REFUSED = {
    "single elements": (
        Net([node("ScatterND", "x i u", "y")], {"i": np.array([[0, 1], [1, 2]])},
            {"x": (3, 4), "u": (2,)}),
        "its indices are no box of places"),
    "other elements a row": (
        scatter_elements(np.random.default_rng(0).integers(0, 7, SHAPE), 3),
        "its indices are no box of places"),
    "computed places": (
        Net([node("ArgMax", "x", "i", axis=3), node("ScatterElements", "x i u", "y", axis=3)], {},
            {"x": SHAPE, "u": (*SHAPE[:3], 1)}),
        'its input "i" is not a constant'),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal(name: str, tmp_path: Path) -> None:
    assert_refused(tmp_path, *REFUSED[name])
