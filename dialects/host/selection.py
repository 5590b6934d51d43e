"""Host layers that pick elements: by index, by a condition, and boxes that do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import i32
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition

from dialects.c_struct import FLOAT, INT, CStruct, Values
from dialects.host.base import Array, HostLayer, HostOp
from dialects.host.boxes import area, overlap
from dialects.ufw.shapes import Shape, require, show

MOST_GATHERED, MOST_WHERE = 4, 5
"""Dimensions that gather elements and where know."""


def check_indices(indices: Array, length: int) -> None:
    """Raises ValueError for an index outside an axis: the host library ends the process, or reads
    other memory."""
    if indices.size and (indices.min() < 0 or indices.max() >= length):
        odd = indices[(indices < 0) | (indices >= length)].reshape(-1)[0]
        raise ValueError(f"index {odd}, the axis has {length} elements")


@irdl_op_definition
class GatherOp(HostOp):
    """Slices of a tensor by their indices.

    data of any shape, indices (i32) of any shape; the result is data's shape with the indices'
    shape in the place of ``axis``, which may count from the end. Indices count from 0. The host
    library writes the slices of one index after the other, so every dimension before ``axis``
    must be 1: axis 0, or a later one of a single image.
    """

    name = "host.gather"
    LAYER: ClassVar = HostLayer(
        number=9, struct=CStruct(axis=INT), inputs=("data", "indices"), integers=(1,),
        rows={1: 0},
    )  # fmt: skip

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        data, indices = inputs
        axis = p["axis"] + len(data) if p["axis"] < 0 else p["axis"]
        require(0 <= axis < len(data), f"axis {p['axis']} is outside the data, {show(data)}")
        require(prod(data[:axis]) == 1,
                f"axis is {p['axis']} of {show(data)}: the host library of the runtime mixes up"
                " the dimensions before the axis unless they are 1; transpose the data so that"
                " the axis is the first, or use host.gather_elements")
        return [(*data[:axis], *indices, *data[axis + 1 :])]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        data, indices = inputs
        check_indices(indices, data.shape[p["axis"]])
        return [np.take(data, indices, axis=p["axis"])]


@irdl_op_definition
class GatherElementsOp(HostOp):
    """Single elements of a tensor by their indices along an axis (gather of PyTorch).

    data and indices (i32) have the same number of dimensions, 1 to 4, and the result the shape of
    the indices, which may be smaller than data's except along ``axis``: out[i][j][k] =
    data[i][index[i][j][k]][k] for axis 1. ``axis`` and indices count from 0.
    """

    name = "host.gather_elements"
    LAYER: ClassVar = HostLayer(
        number=29, struct=CStruct(axis=INT), inputs=("data", "indices"), integers=(1,),
        rows={1: 0},
    )  # fmt: skip

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        data, indices = inputs
        axis = p["axis"]
        require(len(data) <= MOST_GATHERED,
                f"data is {show(data)}, the host library takes 1 to {MOST_GATHERED} dimensions")
        require(0 <= axis < len(data),
                f"axis is {axis}, data is {show(data)}; the host library counts axes from 0")
        fits = len(data) == len(indices) and all(
            i == axis or a <= b for i, (a, b) in enumerate(zip(indices, data, strict=True))
        )
        require(fits, f"indices are {show(indices)}, outside of axis {axis} they must fit into"
                f" {show(data)}")
        return [indices]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        data, indices = inputs
        check_indices(indices, data.shape[p["axis"]])
        places = list(np.indices(indices.shape, sparse=True))
        places[p["axis"]] = indices
        return [data[tuple(places)]]


@irdl_op_definition
class WhereOp(HostOp):
    """Where a tensor is not 0.

    input of 1 to 5 dimensions; the result [M, dimensions] (i32) has the coordinates of its M
    elements that are not 0, the last dimension fastest.
    """

    name = "host.where"
    LAYER: ClassVar = HostLayer(
        number=14, varies=True, struct=CStruct(), inputs=("input",), outputs=("indices",)
    )

    @classmethod
    def kinds(cls, p: Values, results: int) -> list[Attribute]:
        return [i32] * results

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        (shape,) = inputs
        require(len(shape) <= MOST_WHERE,
                f"the input is {show(shape)}, the host library takes 1 to {MOST_WHERE} dimensions")
        return [(prod(shape), len(shape))]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        return [np.argwhere(inputs[0])]


# -- boxes that do not overlap ---------------------------------------------------------------------


def sorted_corners(boxes: Array) -> Array:
    """Boxes [n, 4] of any two opposite corners with the smaller coordinates first."""
    return np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]),
                           np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)


@irdl_op_definition
class NonMaxSuppressionOp(HostOp):
    """The indices of boxes that do not overlap, best first (TensorFlow).

    boxes [B, 4] (y1, x1, y2, x2, any two opposite corners), scores [B], and the most indices as an
    optional third input (i32; without it B). The result is [M] (i32). Boxes with a score above
    ``score_threshold`` count, the best first, equal scores in any order; one that overlaps a
    better one by ``iou_threshold`` or more falls away. ``max_output_size`` is the value of the
    third input. The host library takes a box without an area again and again, until it has the
    most indices.
    """

    name = "host.non_max_suppression"
    LAYER: ClassVar = HostLayer(
        number=10, varies=True,
        struct=CStruct(iou_threshold=FLOAT, score_threshold=FLOAT, max_output_size=INT),
        inputs=("boxes", "scores", "max_output_size"),
        outputs=("indices",),
        optional=1,
        integers=(2,),
        rows={0: 0, 1: 0},
    )

    @classmethod
    def kinds(cls, p: Values, results: int) -> list[Attribute]:
        return [i32] * results

    @classmethod
    def check(cls, p: Values) -> None:
        require(0 <= p["iou_threshold"] <= 1,
                f"iou_threshold is {p['iou_threshold']}, it must be from 0 to 1")

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        boxes, scores, *others = inputs
        require(boxes == (scores[0], 4) and len(scores) == 1,
                f"boxes are {show(boxes)} and scores {show(scores)}, Bx4 and B are required")
        if not others:
            return [scores]
        require(prod(others[0]) == 1, f"the third input is {show(others[0])}, one number is"
                " required")
        require(p["max_output_size"] > 0,
                f"max_output_size is {p['max_output_size']}, the value of the third input is"
                " required: the host library may return so many")
        return [(p["max_output_size"],)]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        boxes, scores, *others = inputs
        most = int(others[0].reshape(-1)[0]) if others else len(boxes)
        corners, limit = sorted_corners(boxes), np.float32(p["iou_threshold"])
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] > np.float32(p["score_threshold"])]
        kept = list[int]()
        empty = area(corners) <= 0
        for box in order.tolist():
            if len(kept) < most and (overlap(corners[box], corners[kept]) < limit).all():
                again = most - len(kept) if empty[box] and limit > 0 else 1
                kept += [box] * again
        return [np.array(kept, np.int32)]


@irdl_op_definition
class OnnxNonMaxSuppressionOp(HostOp):
    """The boxes of each class that do not overlap (NonMaxSuppression of ONNX).

    boxes [N, B, 4] (y1, x1, y2, x2, any two opposite corners), scores [N, C, B], then each of one
    number: the most boxes of a class (i32; negative: B), and, both optional, the threshold of
    the overlap (0) and of the score (0). The result is [M, 3] (i32): image, class and box, class
    by class, best first, equal scores in any order. Boxes with a score above the threshold count;
    one that overlaps a better one of its class by more than the threshold falls away.
    ``max_output_size`` is the value of the third input, or 0 where that is not known.
    """

    name = "host.onnx_non_max_suppression"
    LAYER: ClassVar = HostLayer(
        number=46, varies=True,
        struct=CStruct(center_point_box=INT, max_output_size=INT),
        inputs=("boxes", "scores", "max_output_boxes_per_class", "iou_threshold",
                "score_threshold"),
        outputs=("selected",),
        optional=2,
        integers=(2,),
    )  # fmt: skip

    @classmethod
    def kinds(cls, p: Values, results: int) -> list[Attribute]:
        return [i32] * results

    @classmethod
    def check(cls, p: Values) -> None:
        require(p["center_point_box"] == 0,
                "center_point_box is not 0: the host library of the runtime knows corners alone;"
                " compute y1, x1, y2, x2 from the centres before")

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        boxes, scores, *others = inputs
        require(len(scores) == 3 and boxes == (scores[0], scores[2], 4),
                f"boxes are {show(boxes)} and scores {show(scores)}, NxBx4 and NxCxB are required")
        for name, shape in zip(cls.LAYER.inputs[2:], others, strict=False):
            require(prod(shape) == 1, f"{name} is {show(shape)}, one number is required")
        count = scores[2]
        each = min(p["max_output_size"], count) if p["max_output_size"] > 0 else count
        return [(scores[0] * scores[1] * each, 3)]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        boxes, scores, most, *thresholds = inputs
        limit, least, *_ = [float(x.reshape(-1)[0]) for x in thresholds] + [0.0, 0.0]
        count = int(most.reshape(-1)[0])
        count = count if count >= 0 else scores.shape[2]
        found = [
            [n, c, box]
            for n, c in np.ndindex(*scores.shape[:2])
            for box in _of_class(sorted_corners(boxes[n]), scores[n, c], limit, least, count)
        ]
        return [np.array(found, np.int32).reshape(-1, 3)]


def _of_class(
    corners: Array, scores: Array, limit: float, least: float, most: int
) -> list[int]:
    """The boxes [B, 4] of one class that are kept, best first."""
    order = np.argsort(-scores, kind="stable")
    kept = list[int]()
    for box in order[scores[order] > least].tolist():
        common = overlap(corners[box], corners[kept])
        if len(kept) < most and not ((common > limit) & (common != 0)).any():
            kept.append(box)
    return kept
