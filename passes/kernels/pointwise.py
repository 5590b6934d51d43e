"""Element-wise layers on flat data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684.layout import (
    Ref,
    i32,
    si16,
    ui16,
)
from dialects.expression import X
from dialects.quant import compute, types
from dialects.quant.base import ints
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.elementwise.weighted_sum import may_be_window, weighted_sum
from passes.kernels.expression import buffers_alive, compute_steps, cycles_a_step, schedule
from passes.kernels.flat import (
    BAND_BYTES,
    Chunk,
    Flat,
    boxes,
    chunks,
    in_bands,
    stay_in_lanes,
)
from passes.kernels.flat import Shape as Box
from passes.kernels.float_functions import TWO_23

Array = NDArray[Any]
MAGIC = 12582912.0
"""1.5 * 2^23: added to a float it leaves the rounded integer in the low bits."""
TURN_CYCLES = 8
"""Of a step of floats that become 8-bit numbers, or were."""
FUNCTION_BUFFERS = 7
"""A piece of a pointwise function takes at most this part of the budget, also where fewer buffers
hold numbers at a time: transfers of one piece overlap with the computation of another."""
# -- 8-bit arithmetic ------------------------------------------------------------------------------


def narrow(b: TileBuilder, wide: SSAValue, dst: SSAValue, shift: int) -> SSAValue:
    """16 bit to 8 bit with rounding shift and saturation to dst's type, whatever the sign of
    ``wide``.
    """
    ref, target = Ref.of(wide), Ref.of(dst)
    if ref.is_signed and not target.is_signed:
        b.arith("max", wide, wide, 0)
        wide = b.view(wide, ref.with_(element=ui16))
    elif target.is_signed and not ref.is_signed:
        most = 127 << shift
        b.arith("min", wide, wide, min(most, 65535), signed=False)
    return b.arith("add", dst, wide, 0, shift, signed=target.is_signed)


def _multiply(
    b: TileBuilder,
    flat: Flat,
    chunk: Chunk | None,
    dst: SSAValue,
    a: SSAValue,
    other: SSAValue | int,
    shift: int,
) -> SSAValue:
    """``dst = sat((a * other) >>r shift)`` for 8-bit a and an 8-bit tensor or a constant 0..127."""
    signed = Ref.of(a).is_signed or (isinstance(other, SSAValue) and Ref.of(other).is_signed)
    if signed == Ref.of(dst).is_signed:
        return b.arith("mul", dst, a, other, shift, signed=False)
    wide = flat.local(chunk, si16 if signed else ui16)
    b.arith("mul", wide, a, other, shift, signed=False)
    return narrow(b, wide, dst, 0)


def lower_eltwise(
    b: TileBuilder, op: compute.EltwiseOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Sum, product, maximum."""
    if types.is_float(op.y):
        in_bands(b, sources, dest, len(sources) + 2 - _is_plain(op), 4, _float_eltwise(op))
    elif may_be_window(b, op, sources):
        in_bands(b, sources, dest, len(sources) + 3, 6, weighted_sum(op))
    else:
        in_bands(b, sources, dest, len(sources) + 3, 12, _int_eltwise(op))


def _is_plain(op: compute.EltwiseOp) -> bool:
    """Whether no operand has a factor."""
    return op.coefficients is None or set(op.coefficients.iter_values()) <= {1.0}


def _int_eltwise(op: compute.EltwiseOp) -> Callable[[Flat, Chunk | None, list[SSAValue]], SSAValue]:
    kind, shift = op.kind.data, op.shift.value.data
    element = types.tensor_type(op.y).element_type

    def emit(flat: Flat, chunk: Chunk | None, xs: list[SSAValue]) -> SSAValue:
        b, dst = flat.b, flat.local(chunk, element)
        if kind == "product":
            return _multiply(b, flat, chunk, dst, xs[0], xs[1], shift)
        if kind in ("max", "min"):
            result = xs[0]
            for x in xs[1:]:
                result = b.arith(kind, dst, result, x)
            return result
        assert op.multipliers is not None
        wide = flat.local(chunk, si16)
        for i, (x, m) in enumerate(zip(xs, ints(op.multipliers), strict=True)):
            b.arith("mac" if i else "mul", wide, x, m)
        return narrow(b, wide, dst, shift)

    return emit


def _float_eltwise(
    op: compute.EltwiseOp,
) -> Callable[[Flat, Chunk | None, list[SSAValue]], SSAValue]:
    kind = op.kind.data
    factors = [1.0] * len(op.xs)
    if op.coefficients is not None:
        factors = [float(c) for c in op.coefficients.iter_values()]
    merge = {"sum": "add", "product": "mul", "max": "max", "min": "min"}[kind]

    def emit(flat: Flat, chunk: Chunk | None, xs: list[SSAValue]) -> SSAValue:
        b, dst = flat.b, flat.local(chunk, f32)
        scratch = dst if _is_plain(op) else flat.local(chunk, f32)
        result = xs[0]
        if kind == "sum" and factors[0] != 1:
            result = b.scalar("mul", dst, result, factors[0])
        for x, factor in zip(xs[1:], factors[1:], strict=True):
            if kind == "sum" and factor != 1:
                x = b.scalar("mul", scratch, x, factor)
            result = b.arith(merge, dst, result, x)
        if op.relu.value.data:
            result = b.arith("max", dst, result, float_bits(0.0))
        return result

    return emit


def lower_requantize(
    b: TileBuilder, op: compute.RequantizeOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Another scale or sign."""
    (source,) = sources
    element = types.tensor_type(op.y).element_type

    def emit(flat: Flat, chunk: Chunk | None, xs: list[SSAValue]) -> SSAValue:
        dst = flat.local(chunk, element)
        return _multiply(b, flat, chunk, dst, xs[0], op.multiplier.value.data, op.shift.value.data)

    in_bands(b, [source], dest, 4, 8, emit)


def lower_shared_prelu(
    b: TileBuilder, op: compute.PReluOp, source: SSAValue, dest: SSAValue
) -> None:
    """ReLU, leaky ReLU and PReLU with one slope."""
    slope = op.slope.array.reshape(-1)[0]
    element = types.tensor_type(op.y).element_type

    def emit(flat: Flat, chunk: Chunk | None, xs: list[SSAValue]) -> SSAValue:
        dst, join = flat.local(chunk, element), chosen_of_both(op)
        if slope == 0:
            result = positive_part(b, op, dst, xs[0])
            if op.upper is not None:
                b.arith("min", dst, result, float_bits(op.upper.value.data))
            return result
        x = xs[0] if join is not None else b.arith("min", dst, xs[0], 0)
        if element == f32:
            b.scalar("mul", dst, x, float(slope))
        else:
            b.arith("mul", dst, x, int(slope), op.shift.value.data)
        if join is not None and not is_scaled(op):
            return b.arith(join, dst, xs[0], dst)
        other = flat.local(chunk, element)
        if join is not None:
            return b.arith(join, dst, scaled(b, op, other, xs[0]), dst)
        return b.arith("add", dst, positive_part(b, op, other, xs[0]), dst)

    in_bands(b, [source], dest, 3, 6, emit)


def chosen_of_both(op: compute.PReluOp) -> str | None:
    """"max" or "min" where that of both products of x, with the slope and with the multiplier, is
    the result: each slope is at most, or at least, the factor of what is positive. Rounding keeps
    the order. None where slopes lie on both sides, or where 0 times infinity would be chosen."""
    slopes = op.slope.array.astype(np.float64)
    if types.is_float(op.x) and not slopes.all():
        return None
    slopes = slopes / 2.0**op.shift.value.data
    factor = op.multiplier.value.data / 2.0**op.multiplier_shift.value.data
    if (slopes <= factor).all():
        return "max"
    return "min" if (slopes >= factor).all() else None


def is_scaled(op: compute.PReluOp) -> bool:
    """Whether what is positive gets another scale."""
    return (op.multiplier.value.data, op.multiplier_shift.value.data) != (1, 0)


def scaled(b: TileBuilder, op: compute.PReluOp, dst: SSAValue, x: SSAValue) -> SSAValue:
    """x in the result's scale: x itself, or made in ``dst``."""
    if not is_scaled(op):
        return x
    return b.arith("mul", dst, x, op.multiplier.value.data, op.multiplier_shift.value.data)


def positive_part(b: TileBuilder, op: compute.PReluOp, dst: SSAValue, x: SSAValue) -> SSAValue:
    """``max(x, 0)``, in the result's scale."""
    return scaled(b, op, dst, b.arith("max", dst, x, 0))


# -- between 8 bit and float -----------------------------------------------------------------------


def _planes(shape: Sequence[int]) -> tuple[int, int]:
    """(images, words of one image) of a tensor: dim 0, and the rest."""
    return shape[0], int(np.prod(shape[1:], dtype=np.int64))


def rounded(
    b: TileBuilder, x: SSAValue, scale: float, unsigned: bool, result: SSAValue | None = None
) -> SSAValue:
    """Quantises floats where they lie, or in another local tensor of float32; the low byte of each
    word then holds the 8-bit value."""
    y = clamped(b, x, scale, unsigned, result)
    b.scalar("add", y, y, MAGIC)
    return b.view(y, Ref.of(y).with_(element=i32))


def clamped(
    b: TileBuilder, x: SSAValue, scale: float, unsigned: bool, result: SSAValue | None = None
) -> SSAValue:
    """Divides floats by the scale, where they lie or in ``result``, and cuts them to the range of
    8-bit numbers."""
    low, high = (0.0, 255.0) if unsigned else (-128.0, 127.0)
    y = b.scalar("mul", x if result is None else result, x, float(np.float32(1.0 / scale)))
    b.arith("max", y, y, float_bits(low))
    return b.arith("min", y, y, float_bits(high))


def lower_quantize(
    b: TileBuilder, op: compute.QuantizeOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """float32 to 4N bytes: scale, clamp, round by adding 1.5 * 2^23, gather four images in a
    word.
    """
    (source,) = sources
    scale, unsigned = types.scale_of(op.y) or 1.0, types.is_unsigned(op.y)
    packed = Ref.of(dest)
    if stay_in_lanes(b, dest, source, TURN_CYCLES):
        for begin, extent in _bands(packed):
            x, result = b.local(f32, extent), b.local(packed.element, extent, 4, packed.layout.pack)
            b.load(x, b.window(source, begin, extent))
            for word, byte, image in _images(b, result, x):
                y = b.local(f32, Ref.of(image).shape)
                _gather(b, word, rounded(b, image, scale, unsigned, y), byte)
            b.store(b.window(dest, begin, extent), result)
        return
    images, plane = _planes(types.shape_of(op.x))
    for group in range(0, images, 4):
        for chunk in chunks(plane, b.options.budget, 5):
            flat = Flat(b, 1)
            result = flat.local(chunk, i32)
            for k in range(min(4, images - group)):
                at = Chunk((group + k) * plane + chunk.begin, chunk.lanes, chunk.width)
                x = flat.load(source, at, f32)
                _gather(b, result, rounded(b, x, scale, unsigned), k)
            target = Chunk(group // 4 * plane + chunk.begin, chunk.lanes, chunk.width)
            flat.store(dest, target, result)


def _gather(b: TileBuilder, result: SSAValue, bits: SSAValue, k: int) -> None:
    """The low byte of each word as byte k of the result's, whose higher ones become 0 by the
    first."""
    byte = b.arith("and", bits if k else result, bits, 255)
    if k:
        b.arith("shift", byte, byte, 8 * k)
        b.arith("or", result, result, byte)


def _bands(packed: Ref) -> Iterable[tuple[Box, Box]]:
    """(begin, extent) of what is turned at a time: parts of one image, several as a whole."""
    whole = (0, 0, 0, 0), packed.shape
    return boxes(packed, BAND_BYTES) if packed.shape[0] == 1 else [whole]


def _images(
    b: TileBuilder, packed: SSAValue, floats: SSAValue
) -> Iterator[tuple[SSAValue, int, SSAValue]]:
    """Of each image of local tensors: the words in which it is, as which byte, and its floats."""
    n, *rest = Ref.of(floats).shape
    one = (1, *rest)
    for k in range(n):
        word, byte = divmod(k, Ref.of(packed).layout.pack)
        yield (
            b.window(b.words(packed), (word, 0, 0, 0), one), byte,
            b.window(floats, (k, 0, 0, 0), one),
        )  # fmt: skip


def dequantized(b: TileBuilder, words: SSAValue, scale: float, unsigned: bool) -> SSAValue:
    """Floats in the place of words whose low byte is an 8-bit number: it goes under the exponent of
    2^23, which is then subtracted."""
    return _byte_as_float(b, words, words, 0, scale, unsigned)


def _byte_as_float(
    b: TileBuilder, bits: SSAValue, words: SSAValue, k: int, scale: float, unsigned: bool
) -> SSAValue:
    """Byte k of words as floats, in the place of ``bits``, other words or the same."""
    sign = 0 if unsigned else 128
    byte = b.arith("shift", bits, words, -8 * k) if k else words
    if k < 3:
        byte = b.arith("and", bits, byte, 255)
    b.arith("xor", bits, byte, 0x4B000000 | sign)
    real = b.view(bits, Ref.of(bits).with_(element=f32))
    b.scalar("sub", real, real, 8388608.0 + sign)
    return b.scalar("mul", real, real, scale)


def lower_dequantize(
    b: TileBuilder, op: compute.DequantizeOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """4N bytes to float32, see :func:`dequantized`."""
    (source,) = sources
    scale, unsigned = types.scale_of(op.x) or 1.0, types.is_unsigned(op.x)
    packed = Ref.of(source)
    if stay_in_lanes(b, source, dest, TURN_CYCLES):
        for begin, extent in _bands(packed):
            x, y = b.local(packed.element, extent, 4, packed.layout.pack), b.local(f32, extent)
            b.load(x, b.window(source, begin, extent))
            for word, byte, image in _images(b, x, y):
                bits = b.view(image, Ref.of(image).with_(element=i32))
                _byte_as_float(b, bits, word, byte, scale, unsigned)
            b.store(b.window(dest, begin, extent), y)
        return
    images, plane = _planes(types.shape_of(op.x))
    for group in range(0, images, 4):
        for chunk in chunks(plane, b.options.budget, 4):
            flat = Flat(b, 1)
            at = Chunk(group // 4 * plane + chunk.begin, chunk.lanes, chunk.width)
            words = flat.load(source, at, i32)
            for k in range(min(4, images - group)):
                real = _byte_as_float(b, flat.local(chunk, i32), words, k, scale, unsigned)
                target = Chunk((group + k) * plane + chunk.begin, chunk.lanes, chunk.width)
                flat.store(dest, target, real)


def lower_cast(
    b: TileBuilder, op: compute.CastOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """float32 and int32: a whole number lies under the exponent of 2^23."""

    def to_float(flat: Flat, chunk: Chunk | None, xs: list[SSAValue]) -> SSAValue:
        real = flat.local(chunk, f32)
        bits = b.view(real, Ref.of(real).with_(element=i32))
        b.arith("and", bits, xs[0], compute.MOST_INDEX)
        b.arith("or", bits, bits, float_bits(TWO_23))
        return b.scalar("sub", real, real, TWO_23)

    def to_index(flat: Flat, chunk: Chunk | None, xs: list[SSAValue]) -> SSAValue:
        bits = flat.local(chunk, i32)
        x = b.view(bits, Ref.of(bits).with_(element=f32))
        b.arith("max", x, xs[0], float_bits(0.0))
        b.arith("min", x, x, float_bits(float(compute.MOST_INDEX)))
        b.scalar("add", x, x, TWO_23)
        return b.arith("and", bits, bits, compute.MOST_INDEX)

    in_bands(b, sources, dest, 2, 6, to_float if types.is_index(op.x) else to_index)


# -- float functions -------------------------------------------------------------------------------


def lower_function(
    b: TileBuilder,
    op: compute.PointwiseFunctionOp,
    sources: Sequence[SSAValue],
    dest: SSAValue,
) -> None:
    """A pointwise function on float32, by the recipe in its row."""
    (source,) = sources
    steps = schedule(op.row.recipe(X, op.settings))

    def emit(flat: Flat, chunk: Chunk | None, xs: list[SSAValue]) -> SSAValue:
        return compute_steps(b, steps, xs[0])

    buffers = max(buffers_alive(steps), FUNCTION_BUFFERS)
    in_bands(b, [source], dest, buffers, cycles_a_step(steps), emit)
