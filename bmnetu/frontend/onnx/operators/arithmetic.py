"""Sums, products and maxima: of tensors by Eltwise, Scale and Bias, with constants by Power,
Scale and Bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.operators.functions import clamped, power_layer
from bmnetu.frontend.onnx.site import Conversion, Made, Site, bounded, is_mask
from dialects.constant import Array
from dialects.ufw.shapes import Shape, show

HUGE = 1e36
"""Numbers beyond it count as infinite."""
SIGN = "a = gt(x, 0.0); b = lt(x, 0.0); sub(a, b)"
"""1, 0 or -1."""


def add(site: Site) -> Blob:
    return _sum(site, 1.0)


def subtract(site: Site) -> Blob:
    return _sum(site, -1.0)


def _sum(site: Site, factor: float) -> Blob:
    """``a + factor b``."""
    a, b = _operands(site, mask=True)
    if not isinstance(a, Blob):
        assert isinstance(b, Blob)
        return linear(site, b, np.float32(factor), a)
    return add_to(site, a, b, factor)


def add_to(site: Site, a: Blob, b: Blob | Array, factor: float = 1.0) -> Blob:
    """``a + factor b``, the node's result; ``factor`` is 1 or -1."""
    if not isinstance(b, Blob):
        return linear(site, a, np.float32(1), b * np.float32(factor))
    if a.shape == b.shape:
        uneven = [1.0, factor] if factor != 1.0 else []
        return site.layer("Eltwise", [a, b], eltwise_param={"operation": "SUM", "coeff": uneven})
    if _block(a, b) is None:
        return binary(site, a, b, "SUB" if factor < 0 else "ADD")
    if factor != 1.0:
        b = power_layer(site, b, "second", scale=factor)
    found = _broadcast(site, a, b)
    assert found is not None
    large, small, axis = found
    return site.layer("Bias", [large, small], bias_param={"axis": axis})


def multiply(site: Site) -> Blob:
    a, b = _operands(site)
    if not isinstance(a, Blob):
        assert isinstance(b, Blob)
        return linear(site, b, a, np.float32(0))
    if not isinstance(b, Blob):
        return linear(site, a, b, np.float32(0))
    if a.shape == b.shape:
        return site.layer("Eltwise", [a, b], eltwise_param={"operation": "PROD"})
    found = _broadcast(site, a, b)
    if found is None:
        return binary(site, a, b, "MUL")
    large, small, axis = found
    return site.layer("Scale", [large, small], scale_param={"axis": axis})


def divide(site: Site) -> Blob:
    """Of floats; whole numbers only where both are constants."""
    if site.element(0) != TensorProto.FLOAT:
        raise Refusal("it divides whole numbers")
    a, b = _operands(site)
    if not isinstance(a, Blob):
        assert isinstance(b, Blob)
        if a.size != 1:
            param = {"operation": "DIV", "inversed": True}
            return site.layer("ConstBinary", b, a, const_binary_param=param)
        inverse = power_layer(site, b, "inverse", power=-1.0)
        return power_layer(site, inverse, scale=float(a.ravel()[0]))
    if isinstance(b, Blob):
        return binary(site, a, b, "DIV")
    with np.errstate(divide="ignore"):
        inverse = site.floats(np.float32(1) / b, site.node.inputs[1])
    return linear(site, a, inverse, np.float32(0))


def power(site: Site) -> Blob:
    """Of one exponent by Power; of more ``|x|^exponent``, negative where x is and the exponent is
    odd."""
    x, exponent = site.tensor(0), site.given(1)
    if exponent is None or isinstance(exponent, Blob):
        raise Refusal("its exponent is no constant")
    numbers = site.weights(1)
    if numbers.size == 1 and numbers.ndim <= len(x.shape):
        return power_layer(site, x, power=float(numbers.ravel()[0]))
    whole = numbers == np.floor(numbers)
    if not whole.all() and whole.any():
        raise Refusal("some of its exponents are whole numbers, others are not")
    name = site.node.inputs[1]
    size = site.layer("Abs", x, part="size") if whole.all() else x
    odd = (numbers % 2 == 1) & whole
    raised = binary(site, size, site.parameter(numbers, name), "POW", "raised" if odd.any() else "")
    if not odd.any():
        return raised
    sign = site.layer("ComposedFunction", x, part="sign",
                      composed_function_param={"function": SIGN})
    odds = site.parameter(np.asarray(odd, np.float32), f"{name}_odd")
    signs = binary(site, sign, odds, "MUL", "signs_of_odd")
    evens = site.parameter(np.asarray(~odd, np.float32), f"{name}_even")
    return binary(site, raised, binary(site, signs, evens, "ADD", "signs"), "MUL")


def binary(site: Site, a: Blob, b: Blob, operation: str, part: str = "") -> Blob:
    """Two tensors that repeat as in numpy."""
    param = {"operation": operation}
    return site.layer("BroadcastBinary", [a, b], part=part, broadcast_binary_param=param)


def equal(site: Site) -> Made:
    """Being infinite is being as large as a mask's numbers, see :func:`graph.bounded`."""
    for index in (0, 1):
        array = site.given(index)
        if array is None or isinstance(array, Blob) or array.size != 1 or not np.isinf(array).all():
            continue
        settings = {"operation": "LE", "value": -HUGE} if array.ravel()[0] < 0 else \
            {"operation": "GE", "value": HUGE}  # fmt: skip
        return site.layer("ConstBinary", site.blob(1 - index), const_binary_param=settings)
    return of_two("EQ")(site)


def of_two(operation: str) -> Conversion:
    """The conversion of a comparison, or of what is computed of 0 and 1 as one."""

    def convert(site: Site) -> Blob:
        a, b = _operands(site, mask=True)
        for x, y, inversed in ((a, b, False), (b, a, True)):
            if isinstance(x, Blob) and not isinstance(y, Blob) and y.size == 1 \
                    and y.ndim <= len(x.shape):  # fmt: skip
                settings = {"operation": operation, "value": float(y.ravel()[0])}
                if inversed:
                    settings["inversed"] = True
                return site.layer("ConstBinary", x, const_binary_param=settings)
        return binary(site, site.tensor(0), site.tensor(1), operation)

    return convert


def negated(site: Site) -> Blob:
    """Not: ``1 - x`` of 0 and 1."""
    return power_layer(site, site.blob(0), scale=-1.0, shift=1.0)


def is_nan(site: Site) -> Array:
    """Nowhere: there are no such numbers on the chip."""
    return np.zeros(site.blob(0).shape, np.bool_)


def where(site: Site) -> Blob:
    """A choice between two tensors, number by number."""
    condition = site.either(0)
    if not isinstance(condition, Blob) and condition.all() == condition.any():
        chosen = site.bounded(1 if condition.all() else 2)
        if chosen.shape == np.broadcast_shapes(
            condition.shape, *(site.either(i).shape for i in (1, 2))
        ):
            return chosen
    return site.layer("Select", [site.tensor(0), site.bounded(1), site.bounded(2)])


def total(site: Site) -> Blob:
    return _of_all(site, "ADD", {"operation": "SUM"})


def mean(site: Site) -> Blob:
    count = len(site.node.inputs)
    if len({x.shape for x in site.tensors()}) == 1:
        return _of_all(site, "ADD", {"operation": "SUM", "coeff": [1 / count] * count})
    found = _of_all(site, "ADD", {}, "sum")
    return power_layer(site, found, scale=1 / count)


def maximum(site: Site) -> Blob:
    x, bound = _bounded(site)
    if bound is not None:
        return clamped(site, x, bound, np.inf)
    return _of_all(site, "MAX", {"operation": "MAX"})


def minimum(site: Site) -> Blob:
    x, bound = _bounded(site)
    if bound is None:
        return _of_all(site, "MIN", {"operation": "MIN"})
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


def _of_all(site: Site, operation: str, settings: dict[str, object], part: str = "") -> Blob:
    """An Eltwise of tensors of one shape; of other ones two by two."""
    found, *others = site.tensors()
    if not others:
        return found
    if settings and len({x.shape for x in (found, *others)}) == 1:
        return site.layer("Eltwise", [found, *others], eltwise_param=settings)
    for i, other in enumerate(others, 1):
        found = binary(site, found, other, operation, part if i == len(others) else f"of{i}")
    return found


def _operands(site: Site, mask: bool = False) -> tuple[Blob | Array, Blob | Array]:
    """Both operands: blobs, and constants as float32."""
    a, b = (_operand(site, i, mask) for i in (0, 1))
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


def _operand(site: Site, index: int, mask: bool) -> Blob | Array:
    """``mask``: infinite numbers of a constant are very large ones."""
    found = site.either(index)
    if isinstance(found, Blob):
        return found
    return site.floats(bounded(found) if mask else found, site.node.inputs[index])


def linear(
    site: Site, x: Blob, factor: Array | np.float32, addend: Array | np.float32, part: str = ""
) -> Blob:
    """``factor x + addend``: one number each by Power, else by Scale or Bias."""
    if factor.size == 1 and addend.size == 1 and max(factor.ndim, addend.ndim) <= len(x.shape):
        scale, shift = float(factor.ravel()[0]), float(addend.ravel()[0])
        return power_layer(site, x, part, scale=scale, shift=shift)
    operand = np.broadcast_shapes(factor.shape, addend.shape)
    if not fits(x.shape, operand):
        return _enlarged(site, x, factor, addend)
    axis, block = _covered(x.shape, operand)
    add, multiply = (np.any(addend), np.any(factor != 1))
    span = {"axis": axis, "num_axes": len(block)}
    values = _spread(addend, x.shape, axis, block)
    if add and not multiply:
        exact = {"forward_with_float": True} if is_mask(values) else {}
        return site.layer("Bias", x, values, part=part, bias_param=span, **exact)
    bias = values if add else None
    factors = _spread(factor, x.shape, axis, block)
    span = {**span, "bias_term": bias is not None}
    return site.layer("Scale", x, factors, bias, part=part, scale_param=span)


def fits(shape: Shape, operand: Sequence[int]) -> bool:
    """Whether an operand repeats to a shape."""
    ones = len(shape) - len(operand)
    padded = (1,) * ones + tuple(operand)
    return ones >= 0 and all(n in (1, m) for n, m in zip(padded, shape, strict=True))


def _enlarged(
    site: Site, x: Blob, factor: Array | np.float32, addend: Array | np.float32
) -> Blob:
    """As :func:`linear`, where the one that is no single number makes the tensor larger."""
    name = next(name for name in site.node.inputs if not isinstance(site.graph.known[name], Blob))
    if np.ndim(addend):
        scale = float(np.ravel(factor)[0])
        x = x if scale == 1 else power_layer(site, x, "factor", scale=scale)
        return binary(site, x, site.parameter(np.asarray(addend), f"{name}_added"), "ADD")
    return binary(site, x, site.parameter(np.asarray(factor), f"{name}_factor"), "MUL")


def _covered(shape: Shape, operand: Sequence[int]) -> tuple[int, Shape]:
    """The axes of a tensor that an operand of another shape has numbers for: the first one and
    their sizes.
    """
    padded = (1,) * (len(shape) - len(operand)) + tuple(operand)
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
