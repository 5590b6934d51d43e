"""The product of two tensors as matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import BoolAttr, TensorType
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, result_def, traits_def
from xdsl.traits import Pure

from dialects.ufw.facts import Array, FloatArray
from dialects.ufw.layer import LayerOp, Top, shape_of
from dialects.ufw.shapes import Shape, checked, require, show

FALSE = BoolAttr.from_bool(False)


@irdl_op_definition
class MatMulOp(LayerOp):
    """``y = a b`` of the last two dimensions of two tensors; those before are a batch, and repeat
    as in numpy where one has 1 or has none. With ``transpose_a`` a is [..., K, M], with
    ``transpose_b`` b is [..., N, K]."""

    name = "ufw.matmul"

    a = operand_def(TensorType)
    b = operand_def(TensorType)
    transpose_a = prop_def(BoolAttr, default_value=FALSE)
    transpose_b = prop_def(BoolAttr, default_value=FALSE)
    top = result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $a `,` $b (`transpose_a` $transpose_a^)? (`transpose_b` $transpose_b^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        a: SSAValue,
        b: SSAValue,
        top: Top,
        *,
        transpose_a: bool = False,
        transpose_b: bool = False,
    ) -> None:
        flags = {"transpose_a": transpose_a, "transpose_b": transpose_b}
        settings = {name: BoolAttr.from_bool(flag) for name, flag in flags.items()}
        self.setup([a, b], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        a, b = shape_of(self.a), shape_of(self.b)
        both = f"a product of {show(a)} and {show(b)}"
        require(min(len(a), len(b)) >= 2, f"{both}: both need two dimensions")
        m, k = reversed(a[-2:]) if self.transpose_a.value.data else a[-2:]
        inner, n = reversed(b[-2:]) if self.transpose_b.value.data else b[-2:]
        require(k == inner, f"{both}: {k} columns meet {inner} rows")
        try:
            batch = np.broadcast_shapes(a[:-2], b[:-2])
        except ValueError:
            require(False, f"{both}: their batches do not fit each other")
            raise
        return [checked((*batch, m, n))]

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return all(nonnegative)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[Array]:
        a, b = (x.astype(np.float64) for x in inputs)
        a = a.swapaxes(-1, -2) if self.transpose_a.value.data else a
        b = b.swapaxes(-1, -2) if self.transpose_b.value.data else b
        return [np.matmul(a, b).astype(np.float32)]
