"""Host layers that sort."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition

from dialects.c_struct import BOOL, INT, CStruct, Values
from dialects.host.base import Array, HostLayer, HostOp
from dialects.ufw.shapes import Shape, require, show

INDICES, VALUES, BOTH, MASK = range(4)
"""``ret_type`` of the MXNet layer: what it returns."""
INDEX_TYPES = {0: f32, 6: i32, 7: i32}
"""``dtype`` of the MXNet layer: how it writes indices."""


def order(x: Array, axis: int, descending: bool) -> Array:
    """The indices along an axis that sort, equal numbers in their order."""
    return np.argsort(-x if descending else x, axis=axis, kind="stable")


def check_axis(name: str, axis: int, shape: Shape) -> None:
    """Raises unless an axis counts from the front and exists."""
    require(0 <= axis < len(shape),
            f"{name} is {axis}, the input is {show(shape)}; the host library counts axes from 0")


@irdl_op_definition
class TopKOp(HostOp):
    """The k largest numbers along an axis, and where they are.

    input of any shape; k is the field, or a second input of one integer, which wins (the field is
    then the largest k, -1: the whole axis). ``axis`` -1 is the last one. The results are values
    (f32) and indices (i32), ``dim[axis]`` = k: largest first, of equal ones the lower index first;
    without ``sorted`` in the order of the indices. With a single result that is the indices, or
    the values where ``values_used_only``.
    """

    name = "host.top_k"
    LAYER: ClassVar = HostLayer(
        number=17,
        struct=CStruct(k=INT, axis=INT, sorted=BOOL, descending=BOOL, values_used_only=BOOL),
        inputs=("input", "k"),
        optional=1,
        outputs=("values", "indices"),
        optional_outputs=1,
        integers=(1,),
    )

    @classmethod
    def kinds(cls, p: Values, results: int) -> list[Attribute]:
        if results == 1:
            return [f32 if p["values_used_only"] else i32]
        return [f32, i32]

    @classmethod
    def check(cls, p: Values) -> None:
        require(p["descending"], "descending is false: the host library finds the largest"
                " all the same; negate the input, or use host.top_k_mxnet")
        require(p["axis"] >= -1, f"axis is {p['axis']}, the host library knows -1 and those from 0")

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        shape, *others = inputs
        axis = len(shape) - 1 if p["axis"] == -1 else p["axis"]
        check_axis("axis", axis, shape)
        k = p["k"]
        if others:
            require(prod(others[0]) == 1, f"k is {show(others[0])}, one number is required")
            k = shape[axis] if k == -1 else k
        require(1 <= k <= shape[axis], f"k is {k}, the axis has {shape[axis]} numbers")
        found = (*shape[:axis], k, *shape[axis + 1 :])
        return [found, found]

    def infer_shapes(self) -> list[Shape]:
        require(len(self.operands) == 1 or len(self.results) == 2,
                "with k as an input, values and indices are required: the host library makes room"
                " for the other one after the k of the run before")
        return super().infer_shapes()

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        x, *others = inputs
        axis = x.ndim - 1 if p["axis"] == -1 else p["axis"]
        k = int(others[0].reshape(-1)[0]) if others else p["k"]
        if not 0 < k <= x.shape[axis]:
            raise ValueError(f"k is {k}, the axis has {x.shape[axis]} numbers")
        indices = np.take(order(x, axis, True), range(k), axis)
        if not p["sorted"]:
            indices = np.sort(indices, axis=axis)
        values = np.take_along_axis(x, indices, axis)
        if results == 1:
            return [values if p["values_used_only"] else indices]
        return [values, indices]


@irdl_op_definition
class TopKMxnetOp(HostOp):
    """The first k numbers of a sorted axis (topk of MXNet).

    input of any shape; ``k`` 0 or less is the whole axis. ``axis`` may count from the end; one
    beyond the last is the input as one row. Descending unless ``is_ascend``; equal numbers come
    in any order. ``ret_type``: 0 the indices, 1 the values, 2 values and indices, 3 a mask of the
    input's shape, 1 where a number is among the k. Indices are f32 with ``dtype`` 0, i32 with 6
    or 7.
    """

    name = "host.top_k_mxnet"
    LAYER: ClassVar = HostLayer(
        number=25,
        struct=CStruct(k=INT, axis=INT, ret_type=INT, is_ascend=INT, dtype=INT),
        inputs=("input",),
        outputs=("output", "indices"),
        optional_outputs=1,
    )

    @classmethod
    def kinds(cls, p: Values, results: int) -> list[Attribute]:
        cls.check(p)
        index = INDEX_TYPES[p["dtype"]]
        found: list[Attribute] = [f32, index] if p["ret_type"] == BOTH else [f32]
        if p["ret_type"] == INDICES:
            found = [index]
        require(len(found) == results,
                f"{results} results, ret_type {p['ret_type']} makes {len(found)}")
        return found

    @classmethod
    def check(cls, p: Values) -> None:
        require(p["ret_type"] in range(4), f"there is no ret_type {p['ret_type']}")
        require(p["dtype"] in INDEX_TYPES, f"dtype is {p['dtype']}; 0 (f32), 6 (i32) and 7 exist")

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        (shape,) = inputs
        axis: int = p["axis"] + len(shape) if p["axis"] < 0 else p["axis"]
        require(axis >= 0, f"axis {p['axis']} is outside the input, {show(shape)}")
        length = shape[axis] if axis < len(shape) else prod(shape)
        k = p["k"] if p["k"] > 0 else length
        require(k <= length, f"k is {k}, the axis has {length} numbers")
        if p["ret_type"] == MASK:
            return [shape]
        found = (*shape[:axis], k, *shape[axis + 1 :]) if axis < len(shape) else (k,)
        return [found, found] if p["ret_type"] == BOTH else [found]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        (x,) = inputs
        flat = p["axis"] >= x.ndim
        rows = x.reshape(-1) if flat else x
        axis = 0 if flat else p["axis"]
        k = p["k"] if p["k"] > 0 else rows.shape[axis]
        indices = np.take(order(rows, axis, not p["is_ascend"]), range(k), axis)
        values = np.take_along_axis(rows, indices, axis)
        if p["ret_type"] == MASK:
            mask = np.zeros_like(rows)
            np.put_along_axis(mask, indices, np.float32(1), axis)
            return [mask.reshape(x.shape)]
        return {INDICES: [indices], VALUES: [values], BOTH: [values, indices]}[p["ret_type"]]


@irdl_op_definition
class ArgsortOp(HostOp):
    """The indices that sort an axis, as f32.

    input of any shape, the result has the same; ``axis`` counts from 0. Descending unless
    ``is_ascend``; equal numbers come in any order.
    """

    name = "host.argsort"
    LAYER: ClassVar = HostLayer(
        number=11, struct=CStruct(axis=INT, is_ascend=BOOL), inputs=("input",),
        outputs=("indices",),
    )  # fmt: skip

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        check_axis("axis", p["axis"], inputs[0])
        return [inputs[0]]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        return [order(inputs[0], p["axis"], not p["is_ascend"])]


@irdl_op_definition
class SortOp(HostOp):
    """An axis, sorted (sort of PyTorch).

    input of any shape, the results have the same: indices (i32), and values (f32) unless
    ``is_argsort``. ``dim`` counts from 0. Ascending unless ``descending``; equal numbers keep
    their order with ``stable``, otherwise they come in any.
    """

    name = "host.sort"
    LAYER: ClassVar = HostLayer(
        number=20,
        struct=CStruct(dim=INT, is_argsort=BOOL, stable=BOOL, descending=BOOL),
        inputs=("input",),
        outputs=("indices", "values"),
        optional_outputs=1,
    )

    @classmethod
    def kinds(cls, p: Values, results: int) -> list[Attribute]:
        found: list[Attribute] = [i32] if p["is_argsort"] else [i32, f32]
        require(len(found) == results, f"{results} results, is_argsort is"
                f" {bool(p['is_argsort'])}: it makes {len(found)}")
        return found

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        check_axis("dim", p["dim"], inputs[0])
        return [inputs[0], inputs[0]]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        indices = order(inputs[0], p["dim"], p["descending"])
        return [indices, np.take_along_axis(inputs[0], indices, p["dim"])][:results]
