"""The op: its shape, its meaning and its facts stand together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import I64, IntegerAttr, TensorType, i64
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, result_def, traits_def
from xdsl.traits import Pure

from dialects.ufw.facts import CarriesOn, FloatArray, FollowsOperand
from dialects.ufw.layer import LayerOp, Top, shape_of
from dialects.ufw.shapes import Shape, require, show


@irdl_op_definition
class MaxFeatureMapOp(LayerOp):
    """``y[:, c] = max over k of x[:, k * C / pieces + c]``: [N, C, ...] to [N, C / pieces, ...]."""

    name = "light.max_feature_map"
    bottom = operand_def(TensorType)
    pieces = prop_def(IntegerAttr[I64], default_value=IntegerAttr(2, i64))
    top = result_def(TensorType)
    traits = traits_def(Pure(), FollowsOperand(), CarriesOn())
    assembly_format = (
        "$tops $bottom (`pieces` $pieces^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, bottom: SSAValue, top: Top, pieces: int = 2) -> None:
        self.setup([bottom], [top], {"pieces": pieces})

    def infer_shapes(self) -> list[Shape]:
        batch, *rest = shape_of(self.bottom)
        pieces = self.pieces.value.data
        require(bool(rest) and pieces >= 1 and rest[0] % pieces == 0,
                f"{show(shape_of(self.bottom))} has no channels that {pieces} pieces can share")
        return [(batch, rest[0] // pieces, *rest[1:])]

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        return [np.maximum.reduce(np.split(inputs[0], self.pieces.value.data, axis=1))]

    @property
    def has_integers(self) -> bool:
        return True

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        return True

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0]
