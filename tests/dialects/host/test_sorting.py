"""Host layers that sort and select."""

from __future__ import annotations

import numpy as np
import pytest

from dialects.host import ops
from tests.dialects.host.host_layers import TOP_K, TOP_K_MXNET, computed, floats, integers

X = floats([1, 5, 3, 5], [7, -2, 0, 4])
NOWHERE = -(2**31)


def test_top_k() -> None:
    values, indices = computed(ops.TopKOp, {**TOP_K, "k": 3}, X, results=2)
    assert values.tolist() == [[5, 5, 3], [7, 4, 0]]
    assert indices.tolist() == [[1, 3, 2], [0, 3, 2]]
    (indices,) = computed(ops.TopKOp, {**TOP_K, "k": 3, "sorted": False}, X)
    assert indices.tolist() == [[1, 2, 3], [0, 2, 3]]
    (values,) = computed(ops.TopKOp, {**TOP_K, "k": 1, "axis": 0, "values_used_only": True}, X)
    assert values.tolist() == [[7, 5, 3, 5]]


def test_k_as_an_input() -> None:
    values, indices = computed(ops.TopKOp, {**TOP_K, "k": 3}, X, integers(1), results=2)
    assert indices.tolist() == [[1, NOWHERE, NOWHERE], [0, NOWHERE, NOWHERE]]
    assert np.isnan(values[:, 1:]).all()
    with pytest.raises(ValueError, match="k is 5, the axis has 4 numbers"):
        computed(ops.TopKOp, {**TOP_K, "k": -1}, X, integers(5), results=2)
    with pytest.raises(ValueError, match="a result of 2x4 where 2x3"):
        computed(ops.TopKOp, {**TOP_K, "k": 3}, X, integers(4), results=2)


def test_top_k_mxnet() -> None:
    values, indices = computed(ops.TopKMxnetOp, {**TOP_K_MXNET, "is_ascend": 1}, X, results=2)
    assert values.tolist() == [[1, 3], [-2, 0]]
    assert indices.tolist() == [[0, 2], [1, 2]]
    (indices,) = computed(ops.TopKMxnetOp, {**TOP_K_MXNET, "ret_type": 0, "dtype": 0}, X)
    assert indices.dtype == np.float32
    (mask,) = computed(ops.TopKMxnetOp, {**TOP_K_MXNET, "ret_type": 3}, X)
    assert mask.tolist() == [[0, 1, 0, 1], [1, 0, 0, 1]]
    (values,) = computed(ops.TopKMxnetOp, {**TOP_K_MXNET, "ret_type": 1, "axis": 2, "k": 3}, X)
    assert values.tolist() == [7, 5, 5]


def test_sorted_axes() -> None:
    (indices,) = computed(ops.ArgsortOp, {"axis": 1, "is_ascend": False}, X[1:])
    assert indices.tolist() == [[0, 3, 2, 1]]
    assert indices.dtype == np.float32
    p = {"dim": 1, "is_argsort": False, "stable": True, "descending": True}
    indices, values = computed(ops.SortOp, p, X, results=2)
    assert indices.tolist() == [[1, 3, 2, 0], [0, 3, 2, 1]]
    assert values.tolist() == [[5, 5, 3, 1], [7, 4, 0, -2]]
    (indices,) = computed(ops.SortOp, {**p, "is_argsort": True, "descending": False}, X)
    assert indices.tolist() == [[0, 2, 1, 3], [1, 2, 3, 0]]


def test_gather() -> None:
    (found,) = computed(ops.GatherOp, {"axis": 0}, X, integers([1, 1], [0, 1]))
    assert np.array_equal(found, X[[[1, 1], [0, 1]]])
    (found,) = computed(ops.GatherOp, {"axis": -1}, X[:1], integers(3, 0, NOWHERE))
    assert found[0, :2].tolist() == [5, 1]
    assert np.isnan(found[0, 2])
    with pytest.raises(ValueError, match="index 2, the axis has 2 elements"):
        computed(ops.GatherOp, {"axis": 0}, X, integers(0, 2))


def test_gather_elements() -> None:
    (found,) = computed(ops.GatherElementsOp, {"axis": 1}, X, integers([[3, 0, 2]])[0])
    assert found.tolist() == [[5, 1, 3]]
    (found,) = computed(ops.GatherElementsOp, {"axis": 0}, X, integers([1, 0], [0, 0], [1, 1]))
    assert found.tolist() == [[7, 5], [1, 5], [7, -2]]
    with pytest.raises(ValueError, match="index -1, the axis has 2 elements"):
        computed(ops.GatherElementsOp, {"axis": 0}, X, integers([-1]))


def test_where() -> None:
    (found,) = computed(ops.WhereOp, {}, floats([0, 2], [-1, 0]))
    assert found.tolist() == [[0, 1], [1, 0], [NOWHERE] * 2, [NOWHERE] * 2]


@pytest.mark.parametrize(("function", "values"), [
    (0, [0.4794255, -0.9974950]), (1, [0.8775826, 0.0707372]), (2, [1, 1]), (3, [1, -1]),
    (4, [0, -2]), (5, [1, -2]),
])
def test_unary(function: int, values: list[float]) -> None:
    (found,) = computed(ops.UnaryOp, {"unary_op": function}, floats(0.5, -1.5))
    assert np.allclose(found, values, atol=1e-6)
