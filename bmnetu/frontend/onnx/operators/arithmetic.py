"""Sums, products and maxima: of tensors by Eltwise, Scale and Bias, with constants by Power,
Scale and Bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob, Site
from bmnetu.frontend.onnx.node import Refusal
from bmnetu.frontend.onnx.operators.functions import clamped, power_layer
from dialects.constant import Array
from dialects.ufw.shapes import Shape, show


def add(site: Site) -> Blob:
    return _weighted_sum(site, 1.0, 1.0)


def subtract(site: Site) -> Blob:
    return _weighted_sum(site, 1.0, -1.0)


def _weighted_sum(site: Site, first: float, second: float) -> Blob:
    """``first a + second b``."""
    a, b = _operands(site)
    if not isinstance(a, Blob):
        assert isinstance(b, Blob)
        return _linear(site, b, np.float32(second), a * np.float32(first))
    if not isinstance(b, Blob):
        return _linear(site, a, np.float32(first), b * np.float32(second))
    if a.shape == b.shape:
        uneven = [first, second] if (first, second) != (1.0, 1.0) else []
        return site.layer("Eltwise", [a, b], eltwise_param={"operation": "SUM", "coeff": uneven})
    if _block(a, b) is None:
        return _binary(site, a, b, "SUB" if second < 0 else "ADD")
    if first != 1.0:
        a = power_layer(site, a, "first", scale=first)
    if second != 1.0:
        b = power_layer(site, b, "second", scale=second)
    found = _broadcast(site, a, b)
    assert found is not None
    large, small, axis = found
    return site.layer("Bias", [large, small], bias_param={"axis": axis})


def multiply(site: Site) -> Blob:
    a, b = _operands(site)
    if not isinstance(a, Blob):
        assert isinstance(b, Blob)
        return _linear(site, b, a, np.float32(0))
    if not isinstance(b, Blob):
        return _linear(site, a, b, np.float32(0))
    if a.shape == b.shape:
        return site.layer("Eltwise", [a, b], eltwise_param={"operation": "PROD"})
    found = _broadcast(site, a, b)
    if found is None:
        return _binary(site, a, b, "MUL")
    large, small, axis = found
    return site.layer("Scale", [large, small], scale_param={"axis": axis})


def divide(site: Site) -> Blob:
    a, b = _operands(site)
    if not isinstance(a, Blob):
        assert isinstance(b, Blob)
        if a.size != 1:
            param = {"operation": "DIV", "inversed": True}
            return site.layer("ConstBinary", b, a, const_binary_param=param)
        inverse = power_layer(site, b, "inverse", power=-1.0)
        return power_layer(site, inverse, scale=float(a.ravel()[0]))
    if isinstance(b, Blob):
        return _binary(site, a, b, "DIV")
    with np.errstate(divide="ignore"):
        inverse = site.floats(np.float32(1) / b, site.node.inputs[1])
    return _linear(site, a, inverse, np.float32(0))


def power(site: Site) -> Blob:
    exponent = site.weights(1)
    if exponent.size != 1:
        raise Refusal("its exponent is not one number")
    return power_layer(site, site.blob(0), power=float(exponent.ravel()[0]))


def _binary(site: Site, a: Blob, b: Blob, operation: str) -> Blob:
    """Two tensors that repeat as in numpy."""
    return site.layer("BroadcastBinary", [a, b], broadcast_binary_param={"operation": operation})


def total(site: Site) -> Blob:
    return _of_all(site, {"operation": "SUM"})


def mean(site: Site) -> Blob:
    count = len(site.node.inputs)
    return _of_all(site, {"operation": "SUM", "coeff": [1 / count] * count})


def maximum(site: Site) -> Blob:
    x, bound = _bounded(site)
    if bound is not None:
        return clamped(site, x, bound, np.inf)
    return _of_all(site, {"operation": "MAX"})


def minimum(site: Site) -> Blob:
    x, bound = _bounded(site)
    if bound is None:
        return _of_all(site, {"operation": "MIN"})
    return clamped(site, x, -np.inf, bound)


def _bounded(site: Site) -> tuple[Blob, float | None]:
    """A tensor and the one number that it is compared with; None where there is no such number."""
    inputs = [site.either(i) for i in range(len(site.node.inputs))]
    blobs = [x for x in inputs if isinstance(x, Blob)]
    numbers = [x for x in inputs if not isinstance(x, Blob)]
    if not blobs:
        raise Refusal("its inputs are constants")
    single = len(blobs) == len(numbers) == 1 and numbers[0].size == 1
    if single and numbers[0].ndim <= len(blobs[0].shape):
        return blobs[0], float(numbers[0].ravel()[0])
    return blobs[0], None


def _of_all(site: Site, settings: dict[str, object]) -> Blob:
    blobs = site.blobs()
    if len(blobs) == 1:
        return blobs[0]
    if len({blob.shape for blob in blobs}) > 1:
        raise Refusal("its inputs have different shapes")
    return site.layer("Eltwise", blobs, eltwise_param=settings)


def _operands(site: Site) -> tuple[Blob | Array, Blob | Array]:
    """Both operands: blobs, and constants as float32."""
    a, b = (_operand(site, i) for i in (0, 1))
    if not isinstance(a, Blob) and not isinstance(b, Blob):
        raise Refusal("both its inputs are constants")
    axis = site.node.integer("axis", -1)
    if site.node.opset >= 7 or not site.node.integer("broadcast", 0) or axis < 0:
        return a, b
    if isinstance(b, Blob) or not isinstance(a, Blob):
        raise Refusal("broadcast and axis")
    behind = len(a.shape) - axis - b.ndim
    if behind < 0:
        raise InputFileError(site.node.fault(f"axis {axis} does not fit {show(b.shape)}"))
    return a, b.reshape(*b.shape, *(1,) * behind)


def _operand(site: Site, index: int) -> Blob | Array:
    found = site.either(index)
    return found if isinstance(found, Blob) else site.floats(found, site.node.inputs[index])


def _linear(site: Site, x: Blob, factor: Array | np.float32, addend: Array | np.float32) -> Blob:
    """``factor x + addend``: one number each by Power, else by Scale or Bias."""
    if factor.size == 1 and addend.size == 1 and max(factor.ndim, addend.ndim) <= len(x.shape):
        scale, shift = float(factor.ravel()[0]), float(addend.ravel()[0])
        return power_layer(site, x, scale=scale, shift=shift)
    axis, block = _covered(x.shape, np.broadcast_shapes(factor.shape, addend.shape))
    add, multiply = (np.any(addend), np.any(factor != 1))
    span = {"axis": axis, "num_axes": len(block)}
    values = _spread(addend, x.shape, axis, block)
    if add and not multiply:
        return site.layer("Bias", x, values, bias_param=span)
    bias = values if add else None
    factors = _spread(factor, x.shape, axis, block)
    span = {**span, "bias_term": bias is not None}
    return site.layer("Scale", x, factors, bias, scale_param=span)


def _covered(shape: Shape, operand: Sequence[int]) -> tuple[int, Shape]:
    """The axes of a tensor that an operand of another shape has numbers for: the first one and
    their sizes.
    """
    ones = len(shape) - len(operand)
    padded = (1,) * ones + tuple(operand)
    if ones < 0 or any(n not in (1, m) for n, m in zip(padded, shape, strict=True)):
        raise Refusal(f"a constant of {show(operand)} makes {show(shape)} larger")
    wide = [axis for axis, size in enumerate(padded) if size > 1] or [len(shape) - 1]
    return wide[0], shape[wide[0] : wide[-1] + 1]


def _spread(array: Array | np.float32, shape: Shape, axis: int, block: Shape) -> Array:
    """The array's numbers for that block of the tensor's axes."""
    padded = np.reshape(array, (1,) * (len(shape) - array.ndim) + array.shape)
    inner = padded.reshape(padded.shape[axis : axis + len(block)])
    return np.ascontiguousarray(np.broadcast_to(inner, block), np.float32)


def _ordered(a: Blob, b: Blob) -> tuple[Blob, Blob]:
    """The larger tensor, and the smaller one."""
    return (a, b) if np.prod(a.shape) >= np.prod(b.shape) else (b, a)


def _block(a: Blob, b: Blob) -> tuple[int, Shape] | None:
    """The first of the axes that the smaller tensor has, and its shape in them; None where it is
    no block of the larger one's."""
    large, small = _ordered(a, b)
    shape = large.shape
    padded = (1,) * (len(shape) - len(small.shape)) + small.shape
    last = max((axis for axis, size in enumerate(padded) if size > 1), default=0)
    for first in range(last + 1):
        ones = all(size == 1 for size in padded[:first])
        block = padded[first : last + 1]
        if ones and len(padded) == len(shape) and block == shape[first : last + 1]:
            return first, block
    return None


def _broadcast(site: Site, a: Blob, b: Blob) -> tuple[Blob, Blob, int] | None:
    """The larger tensor, the smaller one in the shape of the axes it has, and their first one."""
    found = _block(a, b)
    if found is None:
        return None
    large, small = _ordered(a, b)
    return large, site.reshaped(small, found[1], "operand"), found[0]
