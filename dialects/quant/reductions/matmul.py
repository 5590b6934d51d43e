"""The product of two matrices, of which one may be weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import BoolAttr
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, result_def, traits_def
from xdsl.traits import Pure

from dialects.quant import types
from dialects.quant.base import AnyTensor, Array, QuantOp, require, require_floats

FALSE = BoolAttr.from_bool(False)


@irdl_op_definition
class MatMulOp(QuantOp):
    """``y = a b`` of the last two dimensions, float32; those before are a batch and repeat as in
    numpy. ``transpose_a``: a is [..., K, M] in place of [..., M, K]; ``transpose_b``: b is
    [..., N, K]. All have one rank of at least 2.

    ``bias``: a last row of b, which is plain then, is added to every row of the product: it is
    [..., K + 1, N]. ``relu``: ``max(y, 0)``."""

    name = "quant.matmul"
    a = operand_def(AnyTensor)
    b = operand_def(AnyTensor)
    transpose_a = prop_def(BoolAttr, default_value=FALSE)
    transpose_b = prop_def(BoolAttr, default_value=FALSE)
    bias = prop_def(BoolAttr, default_value=FALSE)
    relu = prop_def(BoolAttr, default_value=FALSE)
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = (
        "$a `,` $b (`transpose_a` $transpose_a^)? (`transpose_b` $transpose_b^)? (`bias` $bias^)?"
        " (`relu` $relu^)?"
        " `tops` $tops attr-dict `:` type($a) `,` type($b) `->` type($y)"
    )

    @property
    def sizes(self) -> tuple[int, int, int]:
        """M, K and N."""
        a, b = types.shape_of(self.a)[-2:], types.shape_of(self.b)[-2:]
        m, k = reversed(a) if self.transpose_a.value.data else a
        return m, k, b[0] if self.transpose_b.value.data else b[1]

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, True, True, True)
        a, b = types.shape_of(self.a), types.shape_of(self.b)
        require(len(a) == len(b) >= 2, self, "operands must have one rank of at least 2")
        m, k, n = self.sizes
        inner = b[-1] if self.transpose_b.value.data else b[-2]
        bias = int(bool(self.bias.value.data))
        plain = not (bias and self.transpose_b.value.data)
        require(plain, self, "b with a bias is not transposed")
        require(k + bias == inner, self, f"{k} columns of a meet {inner} rows of b")
        pairs = list(zip(a[:-2], b[:-2], strict=True))
        require(all(x == y or 1 in (x, y) for x, y in pairs), self, f"{a} and {b} do not broadcast")
        expected = (*(max(pair) for pair in pairs), m, n)
        require(types.shape_of(self.y) == expected, self, f"the result must be {expected}")

    def is_image_by_image(self) -> bool:
        shapes = {types.shape_of(x)[0] for x in (self.a, self.b, self.y)}
        return len(types.shape_of(self.y)) > 2 and len(shapes) == 1

    def meaning(self, inputs: Sequence[Array]) -> Array:
        a, b = (x.astype(np.float64) for x in inputs)
        a = a.swapaxes(-1, -2) if self.transpose_a.value.data else a
        b = b.swapaxes(-1, -2) if self.transpose_b.value.data else b
        y = np.matmul(a, b[..., :-1, :]) + b[..., -1:, :] if self.bias.value.data else a @ b
        return (np.maximum(y, 0) if self.relu.value.data else y).astype(np.float32)
