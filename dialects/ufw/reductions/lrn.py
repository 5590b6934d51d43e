"""Local response normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import (
    I64,
    BoolAttr,
    Float32Type,
    FloatAttr,
    IntegerAttr,
    f32,
    i64,
)
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, prop_def, traits_def
from xdsl.traits import Pure

from dialects.ufw.facts import FloatArray
from dialects.ufw.layer import Top, UnaryLayerOp, shape_of
from dialects.ufw.shapes import require
from dialects.ufw.windows import pool


@irdl_op_definition
class LRNOp(UnaryLayerOp):
    """``y = x * (k + alpha / n * sum x^2) ^ -beta``, the sum over n numbers around each one.

    Across channels these are those of ``size`` channels of the same pixel (n = size); with
    ``within``, those of a window of size x size of the same channel (n = size^2). What lies outside
    counts as 0.
    """

    name = "ufw.lrn"

    size = prop_def(IntegerAttr[I64], default_value=IntegerAttr(5, i64))
    alpha = prop_def(FloatAttr[Float32Type], default_value=FloatAttr(1.0, f32))
    beta = prop_def(FloatAttr[Float32Type], default_value=FloatAttr(0.75, f32))
    k = prop_def(FloatAttr[Float32Type], default_value=FloatAttr(1.0, f32))
    within = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $bottom (`size` $size^)? (`alpha` $alpha^)? (`beta` $beta^)? (`k` $k^)? "
        "(`within` $within^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        *,
        size: int = 5,
        alpha: float = 1.0,
        beta: float = 0.75,
        k: float = 1.0,
        within: bool = False,
    ) -> None:
        floats = {"alpha": float(alpha), "beta": float(beta), "k": float(k)}
        within_channel = BoolAttr.from_bool(within)
        self.setup([bottom], [top], {"size": size, **floats, "within": within_channel})

    def verify_layer(self) -> None:
        size, rank = self.size.value.data, len(shape_of(self.bottom))
        require(size >= 1 and size % 2 == 1, f"the size {size} of an LRN is not odd")
        require(rank >= 2, "an LRN needs a tensor with channels")
        within = bool(self.within.value.data)
        require(rank == 4 or not within, "an LRN within channels needs 4 dimensions")

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0]

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        x, size = inputs[0], self.size.value.data
        squares = x * x
        half = size // 2
        if self.within.value.data:
            pads = (half,) * 4
            sums = pool(squares, np.add, 0.0, x.shape[2:], (size, size), (1, 1), pads)
            count = size * size
        else:
            channels = x.shape[1]
            flat = squares.reshape(x.shape[0], channels, -1, 1)
            around = (channels, flat.shape[2])
            turned = flat.transpose(0, 3, 1, 2)
            sums = pool(turned, np.add, 0.0, around, (size, 1), (1, 1), (half, half, 0, 0))
            sums = sums.transpose(0, 2, 3, 1).reshape(x.shape)
            count = size
        alpha, beta, k = (float(each.value.data) for each in (self.alpha, self.beta, self.k))
        return [x * np.power(np.float32(k) + np.float32(alpha / count) * sums, np.float32(-beta))]
