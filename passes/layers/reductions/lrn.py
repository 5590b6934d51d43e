"""LRN: the squares' sums by a convolution or a pooling, their power, the product."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from xdsl.ir import Operation, SSAValue

from dialects.constant import ConstantAttr
from dialects.quant import compute, movement, types
from dialects.quant.base import i64s, int_attr
from dialects.ufw import ops as ufw
from passes.layers.binary import power_of
from passes.layers.converter import Converter
from passes.layers.reductions.reduce import square

BLOCK = 512
"""Most channels whose sums one convolution makes: its weights are a square matrix."""

PRODUCT = compute.EltwiseKindAttr(compute.EltwiseKind.PRODUCT)


def _window_sums(
    c: Converter, squares: SSAValue, size: int, factor: float, addend: float
) -> SSAValue:
    """``addend + factor * sum`` over ``size`` channels around each one of [N, C, H, W]."""
    shape, half = types.shape_of(squares), size // 2
    channels, parts = shape[1], list[SSAValue]()
    cuts = [(at, min(BLOCK, channels - at)) for at in range(0, channels, BLOCK)]
    for begin, count in cuts:
        first, last = max(0, begin - half), min(channels, begin + count + half)
        part, mark = squares, "" if len(cuts) == 1 else f"{begin}"
        if len(cuts) > 1:
            kind = types.float_tensor((shape[0], last - first, *shape[2:]))
            settings = {"axis": int_attr(1), "begin": int_attr(first)}
            part = c.add(movement.SliceOp, [squares], kind, f"channels{mark}", **settings)
        apart = np.arange(begin, begin + count)[:, None] - np.arange(first, last)[None]
        weight = np.where(np.abs(apart) <= half, np.float32(factor), np.float32(0))
        sums = c.add(
            compute.ConvOp,
            [part],
            types.float_tensor((shape[0], count, *shape[2:])),
            f"sums{mark}",
            weight=ConstantAttr.of(weight.reshape(*weight.shape, 1, 1)),
            bias=ConstantAttr.of(np.full(count, addend, np.float32)),
        )
        parts.append(sums)
    if len(parts) == 1:
        return parts[0]
    kind = types.float_tensor(shape)
    return c.add(movement.ConcatOp, parts, kind, "sums", axis=int_attr(1))


def lower_lrn(c: Converter, op: ufw.LRNOp) -> None:
    x, size = c.as_float(c.value(op.bottom)), op.size.value.data
    alpha, beta, k = (float(each.value.data) for each in (op.alpha, op.beta, op.k))
    shape = types.shape_of(x)
    four = shape if len(shape) == 4 else (shape[0], shape[1], prod(shape[2:]), 1)
    x = c.reshape(x, four, "channels")
    plain = types.float_tensor(four)
    squares = square(c, x, "squares")
    if op.within.value.data:
        window = {"kernel": [size] * 2, "stride": [1, 1], "pad": [size // 2] * 4}
        settings = {name: i64s(values) for name, values in window.items()}
        means = c.add(compute.AveragePoolOp, [squares], plain, "means", **settings)
        factors = power_of(c, means, "factors", scale=alpha, shift=k, power=-beta)
    else:
        sums = _window_sums(c, squares, size, alpha / size, k)
        factors = power_of(c, sums, "factors", power=-beta)
    step = "" if four == shape else "product"
    value = c.add(
        compute.EltwiseOp, [x, factors], types.float_like(op.top, four), step, kind=PRODUCT
    )
    c.finish(op, c.reshape(value, shape))


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {ufw.LRNOp: lower_lrn}
