"""The meaning of the quant ops in numpy: each op states its own."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Operation

from dialects.quant.base import Array, QuantOp


def evaluate(op: Operation, inputs: Sequence[Array]) -> list[Array]:
    """The results of one quant op. Arrays have the dtype and shape of the op's types."""
    if not isinstance(op, QuantOp):
        raise TypeError(f"{op.name} is no op of the quant level")
    return [op.meaning(inputs)]
