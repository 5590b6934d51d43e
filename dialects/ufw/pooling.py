"""Pooling."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import BoolAttr, DenseArrayBase, i64
from xdsl.dialects.utils.enum_attribute import EnumAttribute
from xdsl.ir import SpacedOpaqueSyntaxAttribute, SSAValue
from xdsl.irdl import irdl_attr_definition, irdl_op_definition, prop_def, traits_def
from xdsl.traits import Pure
from xdsl.utils.str_enum import StrEnum

from dialects.ufw import shapes
from dialects.ufw.facts import CarriesOn, FloatArray, FollowsOperand
from dialects.ufw.layer import Top, UnaryLayerOp, pairs, shape_of
from dialects.ufw.shapes import Shape, four_pads, sides
from dialects.ufw.windows import average_divisors, pool


class PoolingKind(StrEnum):
    MAX = "max"
    AVERAGE = "average"


@irdl_attr_definition
class PoolingKindAttr(EnumAttribute[PoolingKind], SpacedOpaqueSyntaxAttribute):
    name = "ufw.pooling_kind"


@irdl_op_definition
class PoolingOp(UnaryLayerOp):
    """Maximum or average over windows; kernel and stride are (h, w), pad is top, bottom, left,
    right (or h, w).

    Result, with ``ceil_mode`` (Caffe's rule): ``ceil((H + top + bottom - k) / stride) + 1``, less
    one when the last window would begin in the padding at the end. Without it, rounded down.
    Maximum ignores padding. Average divides by the window's size clipped to the padded input
    (H + bottom), so padding at the start and up to ``bottom`` at the end counts; with
    ``exclude_pad`` it divides by the numbers that it adds. Global pooling has the kernel of the
    whole map; a kernel larger than the padded input has one window.
    """

    name = "ufw.pooling"

    kind = prop_def(PoolingKindAttr)
    kernel = prop_def(DenseArrayBase.constr(i64))
    stride = prop_def(DenseArrayBase.constr(i64), default_value=pairs((1, 1)))
    pad = prop_def(DenseArrayBase.constr(i64), default_value=pairs((0, 0, 0, 0)))
    ceil_mode = prop_def(BoolAttr, default_value=BoolAttr.from_bool(True))
    exclude_pad = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))

    traits = traits_def(Pure(), FollowsOperand(), CarriesOn())
    assembly_format = (
        "$kind $tops $bottom `kernel` $kernel (`stride` $stride^)? (`pad` $pad^)? "
        "(`ceil` $ceil_mode^)? (`exclude_pad` $exclude_pad^)? attr-dict "
        "`:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        kind: PoolingKind,
        kernel: Sequence[int],
        *,
        stride: Sequence[int] = (1, 1),
        pad: Sequence[int] = (0, 0),
        ceil_mode: bool = True,
        exclude_pad: bool = False,
    ) -> None:
        settings = {
            "kind": PoolingKindAttr(kind), "kernel": kernel, "stride": stride,
            "pad": four_pads(pad), "ceil_mode": ceil_mode,
            "exclude_pad": BoolAttr.from_bool(exclude_pad),
        }  # fmt: skip
        self.setup([bottom], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        shape = shapes.pooling(
            shape_of(self.bottom),
            self.kernel.get_values(),
            self.stride.get_values(),
            self.pad.get_values(),
            self.ceil_mode.value.data != 0,
        )
        return [shape]

    @property
    def has_integers(self) -> bool:
        return True

    @property
    def averages_map(self) -> bool:
        average = self.kind.data == PoolingKind.AVERAGE
        return average and shape_of(self.top)[2:] == (1, 1) and prod(shape_of(self.bottom)[2:]) > 1

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        return not self.averages_map

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0]

    @property
    def operand_factors(self) -> list[float] | None:
        """Of a mean, whose numbers may be far smaller than those that it is taken of."""
        return [1.0] if self.averages_map else None

    def keeps_channel_factors(self, batch: int, channels: int) -> bool:
        return True

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        x, counts = inputs[0], shape_of(self.top)[2:]
        kernel, stride = self.kernel.get_values(), self.stride.get_values()
        pad = four_pads(self.pad.get_values())
        if self.kind.data == PoolingKind.MAX:
            return [pool(x, np.maximum, -np.inf, counts, kernel, stride, pad)]
        total = pool(x, np.add, 0.0, counts, kernel, stride, pad)
        excluded = bool(self.exclude_pad.value.data)
        rows, columns = (
            average_divisors(*window, excluded)
            for window in zip(x.shape[2:], counts, kernel, stride, sides(pad), strict=True)
        )
        return [total / np.outer(rows, columns)]
