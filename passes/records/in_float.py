"""8-bit ops of a dynamic network that are computed in float: the ops around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.ir import Attribute, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from dialects.constant import ConstantAttr
from dialects.function_properties import function_properties
from dialects.quant import types
from dialects.quant.base import QuantOp
from dialects.quant.compute import DequantizeOp, LookupOp, PointwiseFunctionOp, QuantizeOp
from passes.module.functions import npu_functions

OpT = TypeVar("OpT", bound=QuantOp)


def in_all_samples(module: ModuleOp, kind: type[OpT]) -> Iterator[list[OpT]]:
    """The ops of a kind with an 8-bit result, each with the same op of every sample. None where the
    functions differ, which convert-quant-to-record tells."""
    bodies = [list(function.body.block.ops) for function in npu_functions(module)]
    if len({len(body) for body in bodies}) != 1:
        return
    for ops in zip(*bodies, strict=True):
        found = [op for op in ops if isinstance(op, kind)]
        if len(found) == len(ops) and not types.is_float(found[0].results[0]):
            yield found


@dataclass(frozen=True)
class InFloat:
    """Puts ops before an 8-bit op, whose place they take."""

    op: QuantOp

    def integers(self, x: SSAValue) -> SSAValue:
        """8-bit numbers as floats of the same values, without their scale."""
        kind = types.tensor_type(x)
        whole = types.int_tensor(kind.get_shape(), 1.0, kind.element_type == types.ui8)
        x = self.put(LookupOp, x, whole, table=_SAME)
        return self.put(DequantizeOp, x, types.float_tensor(kind.get_shape()))

    def put(
        self, kind: type[QuantOp], x: SSAValue, result: Attribute, **properties: Any
    ) -> SSAValue:
        """The result of an op without a name."""
        op = self._made(kind, x, result, properties | {"tops": ArrayAttr([StringAttr("")])})
        Rewriter.insert_op(op, InsertPoint.before(self.op))
        return op.results[0]

    def function(self, name: str, x: SSAValue, **parameters: float) -> SSAValue:
        """A function of floats."""
        properties = function_properties(name, parameters)
        return self.put(PointwiseFunctionOp, x, types.float_tensor(types.shape_of(x)), **properties)

    def replace(self, y: SSAValue) -> None:
        """Puts floats, rounded to integers of the op's scale, in its place."""
        result = self.op.results[0]
        whole = types.int_tensor(types.shape_of(y), 1.0, types.is_unsigned(result))
        y = self.put(QuantizeOp, y, whole)
        last = self._made(LookupOp, y, result.type, {"table": _SAME, "tops": self.op.tops})
        Rewriter.replace_op(self.op, last)

    def _made(
        self, kind: type[QuantOp], x: SSAValue, result: Attribute, properties: dict[str, Any]
    ) -> QuantOp:
        op = kind.create(operands=[x], result_types=[result], properties=properties)
        op.location = self.op.location
        return op


_SAME = ConstantAttr.of(np.arange(256, dtype=np.uint8))
"""The table that changes nothing but the scale."""
