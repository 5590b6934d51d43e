"""Single quant ops on arrays: built, verified, evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ArrayAttr, StringAttr, TensorType, i32
from xdsl.ir import Attribute, Block

from dialects.quant import compute, movement, types
from dialects.quant.base import QuantOp
from dialects.quant.reductions import RecurrentOp
from dialects.quant.reference import evaluate

Array = NDArray[Any]
SCALE = 0.5
VARIADIC = (compute.EltwiseOp, movement.ConcatOp, movement.InterleaveOp)


def type_of(dtype: Any, shape: Sequence[int], scale: float = SCALE) -> Attribute:
    """The tensor type of an array."""
    if dtype == np.float32:
        return types.float_tensor(shape)
    if dtype == np.int32:
        return TensorType(i32, shape)
    return types.int_tensor(shape, scale, dtype == np.uint8)


def result_of(
    kind: type[QuantOp],
    xs: Sequence[Array],
    shape: Sequence[int],
    dtype: Any,
    /,
    **properties: Attribute | None,
) -> Array:
    """What an op computes from its operands; dtype and shape are those of its result type."""
    block = Block(arg_types=[type_of(x.dtype, x.shape) for x in xs])
    args = list(block.args)
    operands: list[Any] = [args] if kind in VARIADIC else args
    if kind is RecurrentOp:
        operands = [args[0], args[1:]]
    op = kind.build(
        operands=operands,
        result_types=[type_of(dtype, shape)],
        properties={
            "tops": ArrayAttr([StringAttr("t")]),
            **{k: v for k, v in properties.items() if v is not None},
        },
    )
    block.add_op(op)
    op.verify()
    (y,) = evaluate(op, xs)
    assert y.shape == tuple(shape)
    assert y.dtype == dtype
    return y


def noise(seed: int, dtype: Any, shape: Sequence[int]) -> Array:
    """Values over the whole range of an integer type, or standard normal floats."""
    random = np.random.default_rng(seed)
    if dtype == np.float32:
        return random.standard_normal(shape).astype(np.float32)
    low, high = {np.int8: (-128, 128), np.uint8: (0, 256), np.int16: (-32768, 32768)}[dtype]
    values = random.integers(low, high, shape).astype(dtype)
    extreme = random.random(shape) < 0.2
    return np.where(extreme, np.where(random.random(shape) < 0.5, low, high - 1), values).astype(
        dtype
    )


def shifted(value: int, shift: int) -> int:
    """``(value + 2^(shift-1)) >> shift`` in Python's integers."""
    return value if shift == 0 else (value + (1 << (shift - 1))) >> shift


def clamped(value: int, dtype: Any) -> int:
    """The nearest value of an integer type."""
    low, high = {np.int8: (-128, 127), np.uint8: (0, 255), np.int16: (-32768, 32767)}[dtype]
    return max(low, min(high, value))
