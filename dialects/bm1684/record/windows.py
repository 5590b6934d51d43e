"""Records that go over windows: convolution, pooling, the product with a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.bm1684.record.base import (
    Array,
    Call,
    Record,
    RecordOp,
    Shape,
    eight_bits,
    limited,
    needs,
    rounded,
    signed,
)
from dialects.c_struct import FLOAT, I8, INT, U8, U32, U64, CStruct, Values, bytes_of, ints

LARGEST_PAD = 15
"""The kernels of the firmware take no wider pads."""
LARGEST_EXACT = 1 << 24
"""Sums of integers below it are exact in float32."""


def halves(word: int) -> tuple[int, int]:
    """The upper and the lower 16 bits of a word."""
    return word >> 16, word & 0xFFFF


def joined(high: int, low: int) -> int:
    """A word of two numbers of 16 bits."""
    return high << 16 | low


def grid(size: int, kernel: int, stride: int, dilation: int, pads: Sequence[int]) -> int:
    """How many windows there are along an axis."""
    return (size + sum(pads) - (kernel - 1) * dilation - 1) // stride + 1


def patches(
    x: Array,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    pads: Sequence[Sequence[int]],
    fill: float = 0,
) -> Array:
    """[n, c, kh, kw, oh, ow]: what each window holds at each of its places."""
    x = np.pad(x, ((0, 0), (0, 0), *map(tuple, pads)), constant_values=fill)
    count = [
        grid(size, k, s, d, (0, 0))
        for size, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)
    ]
    found = np.empty((*x.shape[:2], *kernel, *count), x.dtype)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            found[:, :, i, j] = x[
                :, :,
                top : top + (count[0] - 1) * stride[0] + 1 : stride[0],
                left : left + (count[1] - 1) * stride[1] + 1 : stride[1],
            ]  # fmt: skip
    return found


@irdl_op_definition
class ConvOp(RecordOp):
    """Convolution. ``channels`` is in << 16 | out, ``kernel`` kh << 16 | kw, ``pad`` top, bottom,
    left, right. int8: ``sat((acc + bias + 2^(shift - 1)) >> shift)``.

    The weight is [oc][kh * kw][ic / groups], the last rounded up to a multiple of 2 (float32) or 4
    (int8); where groups = ic = oc, more than 1, it is [oc][kh * kw]. Bias float32 or int16.
    """

    name = "record.conv"
    RECORD: ClassVar = Record(
        number=0,
        struct=CStruct(
            channels=U32, joined_channels=U32, groups=U32, kernel=U32, dilation=bytes_of(2),
            pad=bytes_of(4), stride=bytes_of(2), has_bias=U8, relu=U8, relu_limit=FLOAT,
            winograd=U8, first_channel=U32, joined_id=U32, shift=U8, input_sign=U8, weight_sign=U8,
            bias_sign=U8, output_sign=U8, unused_49=U8, unused_52=ints(2), weight_is_tensor=INT,
            unused_64=ints(7), fused=ints(3), unused_104=U64, unused_112=U32,
            same_pad=U32,
        ).with_defaults(groups=1, dilation=(1, 1), stride=(1, 1), relu_limit=-1.0),
        coefficients={"weight": "", "bias": "has_bias"},
    )  # fmt: skip

    @classmethod
    def check(cls, v: Values) -> None:
        ic, oc = halves(v["channels"])
        needs(min(ic, oc, v["groups"]) > 0, "no channels")
        needs(ic % v["groups"] == 0 == oc % v["groups"], "the groups do not divide the channels")
        needs(max(v["pad"]) <= LARGEST_PAD, f"pads are at most {LARGEST_PAD}")
        kh, kw = (
            (k - 1) * d for k, d in zip(halves(v["kernel"]), v["dilation"], strict=True)
        )
        needs(max(v["pad"][:2]) <= kh and max(v["pad"][2:]) <= kw,
              "a window lies in the pads alone, which the firmware has no numbers for")
        needs(max(v["stride"]) <= 15, "strides are at most 15")
        needs(max(v["dilation"]) <= 15, "dilations are at most 15")

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        (x,), (ic, oc), pad = xs, halves(v["channels"]), v["pad"]
        needs(len(x) == 4 and x[1] == ic, f"an input of {ic} channels is needed, it is {x}")
        sizes = [
            grid(*each)
            for each in zip(x[2:], halves(v["kernel"]), v["stride"], v["dilation"],
                            (pad[:2], pad[2:]), strict=True)
        ]  # fmt: skip
        needs(min(sizes) > 0, f"the kernel is larger than the input {x}")
        return [(x[0], oc, *sizes)]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        v, x = call.values, call.xs[0]
        (ic, oc), groups, kernel = halves(v["channels"]), v["groups"], halves(v["kernel"])
        is_float = x.dtype == np.float32
        depthwise = groups == ic == oc > 1
        below, step = v["pad"][1], v["stride"][0]
        needs(not is_float or depthwise or not below or below + step - 1 <= LARGEST_PAD,
              f"a pad of {below} below floats with a stride of {step} is too wide")
        needs(is_float or not depthwise or max(v["dilation"]) == 1,
              "the depthwise kernel of 8-bit numbers has no dilation")
        each, taps = ic // groups, kernel[0] * kernel[1]
        pack = 2 if is_float else 4
        wide = 1 if depthwise else -(-each // pack) * pack
        kind = np.float32 if is_float else np.int8 if v["weight_sign"] else np.uint8
        weight = call.coefficient("weight", kind, oc * taps * wide).reshape(oc, taps, wide)
        weight = weight[:, :, :each].transpose(0, 2, 1).reshape(groups, oc // groups, each * taps)
        top, bottom, left, right = v["pad"]
        x = signed(x, v["input_sign"])
        if not is_float:
            largest = np.abs(weight.astype(np.int64)).sum(axis=2).max(initial=0) * 255
            x = x.astype(np.float32 if largest < LARGEST_EXACT else np.float64)
        view = patches(x, kernel, v["stride"], v["dilation"], ((top, bottom), (left, right)))
        n, _, _, _, oh, ow = view.shape
        columns = view.reshape(n, groups, each * taps, oh * ow)
        y = np.matmul(weight.astype(x.dtype), columns).reshape(n, oc, oh, ow)
        bias = None
        if v["has_bias"]:
            bias = call.coefficient("bias", np.float32 if is_float else np.int16, oc)
            bias = bias[:, None, None]
        if is_float:
            y = y if bias is None else y + bias
            return [limited(y, v["relu"], v["relu_limit"])]
        total = np.rint(y).astype(np.int64) + (0 if bias is None else bias.astype(np.int64))
        total = rounded(total, v["shift"])
        return [eight_bits(np.maximum(total, 0) if v["relu"] else total, v["output_sign"])]


@irdl_op_definition
class PoolOp(RecordOp):
    """Maximum or mean over windows. ``kernel`` is kh << 16 | kw, ``pad`` top, bottom, left, right.

    There are ``(h + pads - k) / stride + 1`` windows, rounded down (``ceil``: up; a last window may
    then begin outside). ``is_average``: the mean of what lies in the map with ``valid_only``; else
    the sum by the size of the window as far as it lies in the map with its upper and left pad on
    all sides, as Caffe has it. ``is_global``: the window is the whole map.
    """

    name = "record.pool"
    RECORD: ClassVar = Record(
        number=1,
        struct=CStruct(
            channels=U32, kernel=U32, pad=bytes_of(4), stride=bytes_of(2), is_average=U8,
            valid_only=U8, relu=U8, relu_limit=FLOAT, input_sign=U8, output_sign=U8, is_global=U8,
            ceil=U8,
        ).with_defaults(stride=(1, 1), relu_limit=-1.0),
    )  # fmt: skip

    @classmethod
    def _kernel(cls, v: Values, x: Shape) -> tuple[int, int]:
        return (x[2], x[3]) if v["is_global"] else halves(v["kernel"])

    @classmethod
    def check(cls, v: Values) -> None:
        needs(not v["ceil"], "with ceil a window may lie outside of the map, which holds no number")
        needs(v["is_global"] or max(v["pad"]) <= LARGEST_PAD, f"pads are at most {LARGEST_PAD}")

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        (x,), pad = xs, v["pad"]
        needs(len(x) == 4, f"an input of rank 4 is needed, it is {x}")
        if v["is_global"]:
            return [(*x[:2], 1, 1)]
        sides = zip(x[2:], cls._kernel(v, x), v["stride"], (1, 1), (pad[:2], pad[2:]), strict=True)
        sizes = [grid(*each) for each in sides]
        fits = all(k <= size for k, size in zip(cls._kernel(v, x), x[2:], strict=True))
        needs(min(sizes) > 0 and fits, f"the kernel is larger than the input {x}")
        return [(*x[:2], *sizes)]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        v, x = call.values, call.xs[0]
        is_float = x.dtype == np.float32
        kernel, pad = cls._kernel(v, x.shape), v["pad"]
        pads = ((0, 0), (0, 0)) if v["is_global"] else (pad[:2], pad[2:])
        stride = (1, 1) if v["is_global"] else v["stride"]
        x = signed(x, v["input_sign"])
        if not v["is_average"]:
            lowest = float(np.finfo(np.float32).min) if is_float else -128 * v["input_sign"]
            y = patches(x, kernel, stride, (1, 1), pads, lowest).max(axis=(2, 3))
            y = limited(y, v["relu"], v["relu_limit"])
            return [y if is_float else eight_bits(y, v["output_sign"])]
        needs(is_float, "the firmware's mean of integers is not exact")
        total = patches(x, kernel, stride, (1, 1), pads).sum(axis=(2, 3), dtype=np.float64)
        counts: list[Array] = []
        for size, k, s, (before, after) in zip(x.shape[2:], kernel, stride, pads, strict=True):
            starts = np.arange(grid(size, k, s, 1, (before, after))) * s - before
            beyond = 0 if v["valid_only"] else before
            low = np.maximum(starts, 0) if v["valid_only"] else starts
            counts.append(np.minimum(starts + k, size + beyond) - low)
        count = np.outer(*counts)
        return [limited((total / count).astype(np.float32), v["relu"], v["relu_limit"])]


@irdl_op_definition
class MatrixOp(RecordOp):
    """The product with a matrix [inputs][outputs] (``transpose``: the other way round), of the
    operand as [n, inputs]. The result is [n, outputs]. int8: as a convolution, see ``shift``.

    Of several dimensions beside the batch the first must be more than 1: the firmware looks for the
    one from which on they are ``inputs``, and dies where that is not clear.
    """

    name = "record.matrix"
    RECORD: ClassVar = Record(
        number=3,
        struct=CStruct(
            inputs=U32, outputs=U32, transpose=U8, has_bias=U8, has_activation=U8, activation=INT,
            slope_shared=U8, slope=FLOAT, shift=I8, input_sign=U8, weight_sign=U8, bias_sign=U8,
            unused_28=U8, unused_32=FLOAT, rank=INT, unused_40=bytes_of(4), scale=FLOAT,
            unused_48=bytes_of(4), weight_is_tensor=INT, version=U8, wide=U8, output_sign=U8,
            unused_60=FLOAT,
        ).with_defaults(unused_32=-1.0, rank=2, version=1, output_sign=1),
        coefficients={"weight": "", "bias": "has_bias"},
    )  # fmt: skip

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        (x,) = xs
        needs(int(np.prod(x[1:])) == v["inputs"],
              f"an input of {v['inputs']} numbers an image is needed, it is {x}")
        needs(len(x) == 2 or x[1] > 1, f"the first dimension of an image is 1 in {x}")
        return [(x[0], v["outputs"])]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        v, x = call.values, call.xs[0]
        is_float = x.dtype == np.float32
        rows, columns = v["inputs"], v["outputs"]
        kind = np.float32 if is_float else np.int8
        weight = call.coefficient("weight", kind, rows * columns)
        weight = weight.reshape((columns, rows)).T if v["transpose"] else (
            weight.reshape(rows, columns))  # fmt: skip
        bias: Array | int = 0
        if v["has_bias"]:
            bias = call.coefficient("bias", np.float32 if is_float else np.int16, columns)
        x = signed(x, v["input_sign"]).reshape(len(x), rows)
        if is_float:
            y = x @ weight + bias
            return [np.maximum(y, np.float32(0)) if v["has_activation"] else y.astype(np.float32)]
        total = np.rint(x.astype(np.float64) @ weight.astype(np.float64)).astype(np.int64) + bias
        total = rounded(total, v["shift"])
        total = np.maximum(total, 0) if v["has_activation"] else total
        return [eight_bits(total, v["output_sign"])]


@irdl_op_definition
class MatMulOp(RecordOp):
    """``a b`` of the last two dimensions, float32, as numpy.matmul; those before repeat."""

    name = "record.matmul"
    RECORD: ClassVar = Record(
        number=65,
        struct=CStruct(
            a_is_coefficient=INT, a_shape=ints(8), a_rank=INT, b_is_coefficient=INT,
            b_shape=ints(8), b_rank=INT, relu=INT, relu_limit=FLOAT,
        ).with_defaults(relu_limit=-1.0),
        tensors=("a", "b"),
    )  # fmt: skip

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        a, b = xs
        needs(not v["a_is_coefficient"] and not v["b_is_coefficient"], "of two tensors only")
        needs(min(len(a), len(b)) >= 2 and a[-1] == b[-2], f"{a} and {b} do not fit")
        try:
            batch = np.broadcast_shapes(a[:-2], b[:-2])
        except ValueError:
            batch = None
        needs(batch is not None, f"{a} and {b} do not repeat to each other")
        return [(*(batch or ()), a[-2], b[-1])]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        a, b = (x.astype(np.float64) for x in call.xs)
        y = np.matmul(a, b).astype(np.float32)
        return [limited(y, call.values["relu"], call.values["relu_limit"])]


WINDOW_OPS: list[type[RecordOp]] = [ConvOp, PoolOp, MatrixOp, MatMulOp]
