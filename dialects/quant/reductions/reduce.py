"""Reductions of float32 tensors over any axes."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.utils.enum_attribute import EnumAttribute
from xdsl.ir import SpacedOpaqueSyntaxAttribute
from xdsl.irdl import irdl_attr_definition, irdl_op_definition, prop_def
from xdsl.utils.str_enum import StrEnum

from dialects.quant import types
from dialects.quant.base import I64S, Array, UnaryOp, ints, require, require_floats
from dialects.quant.windows import RowWindow


class ReduceKind(StrEnum):
    """What becomes of the numbers."""

    SUM = "sum"
    MAX = "max"
    MIN = "min"


@irdl_attr_definition
class ReduceKindAttr(EnumAttribute[ReduceKind], SpacedOpaqueSyntaxAttribute):
    name = "quant.reduce_kind"


@irdl_op_definition
class ReduceOp(UnaryOp):
    """Sum, maximum or minimum over ``axes``, in ascending order, which stay with extent 1;
    float32."""

    name = "quant.reduce"
    kind = prop_def(ReduceKindAttr)
    axes = prop_def(I64S)
    assembly_format = "$kind $x `axes` $axes `tops` $tops attr-dict `:` type($x) `->` type($y)"

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, True, True)
        x, axes = types.shape_of(self.x), ints(self.axes)
        known = bool(axes) and sorted(set(axes)) == list(axes) and set(axes) <= {*range(len(x))}
        require(known, self, f"{list(axes)} are no axes of a tensor of rank {len(x)}")
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(x))
        require(types.shape_of(self.y) == kept, self, f"the result must be {kept}")

    def rows_needed(self) -> RowWindow | None:
        return self.rows_alike() if not {0, 2} & {*ints(self.axes)} else None

    def is_image_by_image(self) -> bool:
        return 0 not in ints(self.axes)

    def result_of(self, x: Array) -> Array:
        axes = ints(self.axes)
        if self.kind.data is ReduceKind.SUM:
            return x.sum(axis=axes, keepdims=True, dtype=np.float64).astype(np.float32)
        pick = np.max if self.kind.data is ReduceKind.MAX else np.min
        return pick(x, axis=axes, keepdims=True)
