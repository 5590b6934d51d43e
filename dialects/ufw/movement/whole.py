"""UFW layers that only move or rename data: Concat, Slice, Split, Flatten, Reshape, Permute,
Dropout, Silence."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import I64, DenseArrayBase, IntegerAttr, TensorType, i64
from xdsl.ir import SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import Pure

from dialects.composed import Step
from dialects.ufw import shapes
from dialects.ufw.facts import CarriesOn, FloatArray, JoinsOperands, MovesData
from dialects.ufw.layer import LayerOp, Top, UnaryLayerOp, shape_of
from dialects.ufw.shapes import Shape

ONE = IntegerAttr(1, i64)


class MovementOp(LayerOp, ABC):
    """A layer with one bottom whose numbers it puts elsewhere: all facts follow."""

    bottom = operand_def(TensorType)

    @property
    def has_integers(self) -> bool:
        return True

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        return True

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0]


def _keeps_channels_apart(op: LayerOp, batch: int, channels: int) -> bool:
    shape = shape_of(op.results[0])
    return len(shape) > 1 and shape[0] == batch and shape[1] % channels == 0


@irdl_op_definition
class ConcatOp(LayerOp):
    """The inputs one after the other along ``axis``; all other dimensions are alike."""

    name = "ufw.concat"

    bottoms = var_operand_def(TensorType)
    axis = prop_def(IntegerAttr[I64], default_value=ONE)
    top = result_def(TensorType)

    traits = traits_def(Pure(), JoinsOperands())
    assembly_format = (
        "$tops $bottoms (`axis` $axis^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, bottoms: Sequence[SSAValue], top: Top, axis: int = 1) -> None:
        self.setup([bottoms], [top], {"axis": axis})

    def infer_shapes(self) -> list[Shape]:
        bottoms = [shape_of(bottom) for bottom in self.bottoms]
        return [shapes.concat(bottoms, self.axis.value.data)]

    @property
    def has_integers(self) -> bool:
        return True

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return all(nonnegative)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        return [np.concatenate(inputs, axis=self.axis.value.data)]


@irdl_op_definition
class SliceOp(MovementOp):
    """The input cut along ``axis``; the results' sizes along it, in order, give the cuts."""

    name = "ufw.slice"

    axis = prop_def(IntegerAttr[I64], default_value=ONE)
    pieces = var_result_def(TensorType)

    traits = traits_def(Pure(), MovesData(), CarriesOn())
    assembly_format = (
        "$tops $bottom (`axis` $axis^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self, bottom: SSAValue, tops: Sequence[Top], sizes: Sequence[int], axis: int = 1
    ) -> None:
        pieces = shapes.slices(shape_of(bottom), axis, sizes)
        self.setup([bottom], tops, {"axis": axis}, variadic=True, shapes=pieces)

    def infer_shapes(self) -> list[Shape]:
        axis = self.axis.value.data
        bottom = shape_of(self.bottom)
        shapes.check_axis(axis, len(bottom))
        pieces = [shape_of(piece) for piece in self.pieces]
        return shapes.slices(bottom, axis, [piece[axis : axis + 1][0] for piece in pieces])

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        axis = self.axis.value.data
        cuts = np.cumsum([shape_of(piece)[axis] for piece in self.pieces])[:-1]
        return np.split(inputs[0], cuts, axis=axis)


@irdl_op_definition
class SplitOp(MovementOp):
    """Every result is the input."""

    name = "ufw.split"

    copies = var_result_def(TensorType)

    traits = traits_def(Pure(), MovesData(), CarriesOn())
    assembly_format = "$tops $bottom attr-dict `:` functional-type(operands, results)"

    def __init__(self, bottom: SSAValue, tops: Sequence[Top]) -> None:
        self.setup([bottom], tops, {}, variadic=True)

    def infer_shapes(self) -> list[Shape]:
        return [shape_of(self.bottom)] * len(self.copies)

    def keeps_channel_factors(self, batch: int, channels: int) -> bool:
        return True

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        return [inputs[0]] * len(self.copies)


@irdl_op_definition
class FlattenOp(MovementOp, UnaryLayerOp):
    """Dimensions ``axis`` to ``end_axis``, both included, become one; both are non-negative."""

    name = "ufw.flatten"

    axis = prop_def(IntegerAttr[I64], default_value=ONE)
    end_axis = prop_def(IntegerAttr[I64])

    traits = traits_def(Pure(), MovesData(), CarriesOn())
    assembly_format = (
        "$tops $bottom (`axis` $axis^)? `end_axis` $end_axis "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, bottom: SSAValue, top: Top, *, axis: int, end_axis: int) -> None:
        self.setup([bottom], [top], {"axis": axis, "end_axis": end_axis})

    def infer_shapes(self) -> list[Shape]:
        bottom = shape_of(self.bottom)
        return [shapes.flatten(bottom, self.axis.value.data, self.end_axis.value.data)]

    def keeps_channel_factors(self, batch: int, channels: int) -> bool:
        return _keeps_channels_apart(self, batch, channels)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        return [inputs[0].reshape(shape_of(self.top))]


@irdl_op_definition
class ReshapeOp(MovementOp, UnaryLayerOp):
    """The same elements, in the same order, in the result's shape."""

    name = "ufw.reshape"

    traits = traits_def(Pure(), MovesData(), CarriesOn())
    assembly_format = "$tops $bottom attr-dict `:` functional-type(operands, results)"

    def __init__(self, bottom: SSAValue, top: Top, shape: Sequence[int]) -> None:
        self.setup([bottom], [top], {}, shapes=[tuple(shape)])

    def infer_shapes(self) -> list[Shape]:
        return [shapes.reshape(shape_of(self.bottom), shape_of(self.top))]

    def keeps_channel_factors(self, batch: int, channels: int) -> bool:
        return _keeps_channels_apart(self, batch, channels)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        return [inputs[0].reshape(shape_of(self.top))]


@irdl_op_definition
class PermuteOp(MovementOp, UnaryLayerOp):
    """Dimensions reordered: result dimension i is input dimension ``order[i]``."""

    name = "ufw.permute"

    order = prop_def(DenseArrayBase.constr(i64))

    traits = traits_def(Pure(), MovesData(), CarriesOn())
    assembly_format = (
        "$tops $bottom `order` $order attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, bottom: SSAValue, top: Top, order: Sequence[int]) -> None:
        self.setup([bottom], [top], {"order": order})

    def infer_shapes(self) -> list[Shape]:
        return [shapes.permute(shape_of(self.bottom), self.order.get_values())]

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        return [np.ascontiguousarray(inputs[0].transpose(self.order.get_values()))]


@irdl_op_definition
class DropoutOp(MovementOp, UnaryLayerOp):
    """``y = x``: at inference a dropout does nothing."""

    name = "ufw.dropout"
    traits = traits_def(Pure(), MovesData(), CarriesOn())
    assembly_format = "$tops $bottom attr-dict `:` functional-type(operands, results)"

    def __init__(self, bottom: SSAValue, top: Top) -> None:
        self.setup([bottom], [top], {})

    def keeps_channel_factors(self, batch: int, channels: int) -> bool:
        return True

    def steps(self, operands: Sequence[str]) -> list[Step]:
        return []

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        return [inputs[0]]


@irdl_op_definition
class SilenceOp(LayerOp):
    """Reads its inputs and makes nothing, so that they are no outputs of the net."""

    name = "ufw.silence"

    bottoms = var_operand_def(TensorType)

    assembly_format = "$tops $bottoms attr-dict `:` type($bottoms)"

    def __init__(self, bottoms: Sequence[SSAValue]) -> None:
        self.setup([bottoms], [], {})

    def infer_shapes(self) -> list[Shape]:
        return []

    @property
    def has_integers(self) -> bool:
        return True

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        return []
