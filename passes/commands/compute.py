"""TIU commands of the computing tile ops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from xdsl.ir import Operation

from dialects.bm1684 import isa, tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Eu, Instruction, Precision, StrideMode
from dialects.bm1684.layout import Ref
from dialects.bm1684.tile_kinds import ArithKind, ScalarKind, SfuKind
from dialects.quant.base import ints
from passes.commands.place import (
    Addresses,
    precision,
    result_shape,
    stride_fields,
)

Fields = dict[str, int]
ROWS_APART = range(tile.WeightedSumOp.ROWS_APART, 0, -1)
"""Rows from one tensor of a weighted sum to the other: the more, the narrower they are."""
def _precisions(result: Ref, first: Ref, second: Precision, third: Precision) -> Fields:
    return {
        "opt_res0_prec": precision(result.element),
        "opt_opd0_prec": precision(first.element),
        "opt_opd1_prec": second,
        "opt_opd2_prec": third,
    }


def _window(op: tile.WindowOp, dst: Ref, src: Ref, kernel: tuple[int, int]) -> Fields:
    """Sizes, strides and pads that all window commands share."""
    up, down, left, right = ints(op.pad)
    stride = ints(op.stride)
    fields = result_shape(dst)
    fields |= {
        "opd0_h": src.shape[2],
        "opd0_w": src.shape[3],
        "opd1_h": kernel[0],
        "opd1_w": kernel[1],
        "opd0_up_pad": up,
        "opd0_dn_pad": down,
        "opd0_lf_pad": left,
        "opd0_rt_pad": right,
        "res_op_y_str": stride[0],
        "res_op_x_str": stride[1],
    }
    return fields


def _weighted(op: tile.ConvOp | tile.DepthwiseOp, at: Addresses) -> Fields:
    """What convolution and depthwise convolution share: weights, bias, signs, shift."""
    dst, src, weight = Ref.of(op.dst), Ref.of(op.src), Ref.of(op.weight)
    dilation = ints(op.dilation)
    fields = _window(op, dst, src, (weight.shape[2], weight.shape[3]))
    bias = Precision.FP32 if src.is_float else Precision.INT16
    fields |= _precisions(dst, src, precision(weight.element), bias)
    fields |= {
        "tsk_opd_num": 2 if op.bias is None else 3,
        "opd1_y_ins0": dilation[0] - 1,
        "opd1_x_ins0": dilation[1] - 1,
        "short_opd2_str": StrideMode.COMPACT_2,
        "res0_addr": at.of(op.dst),
        "opd0_addr": at.of(op.src),
        "opd1_addr": at.of(op.weight),
    }
    if op.bias is not None:
        fields["opd2_addr"] = at.of(op.bias)
    if not src.is_float:
        fields |= {
            "opt_opd0_sign": int(src.is_signed),
            "opt_opd1_sign": int(weight.is_signed),
            "opt_opd2_sign": 1,
            "opt_right_shift": op.shift.value.data,
            "opt_relu": int(not dst.is_signed),
        }
    return fields


def _conv(op: tile.ConvOp, at: Addresses) -> Instruction:
    dst, src, weight = Ref.of(op.dst), Ref.of(op.src), Ref.of(op.weight)
    row, group, kernel_row, kernel_column = weight.layout.strides
    if op.winograd.value.data:
        fields = _weighted(op, at) | {
            "opd0_c": src.shape[1],
            "opt_winograd": 1,
            "short_opd1_str": StrideMode.COMPACT,
        }
        return isa.CONV.build(**fields, **stride_fields("opd0", src), **stride_fields("res0", dst))
    fields = _weighted(op, at) | {
        "opd0_c": src.shape[1],
        "short_opd1_str": StrideMode.EXPLICIT,
        "opd1_c_str": row,
        "opd1_n_str": group,
        "opd1_h_str": kernel_row,
        "opd1_w_str": kernel_column,
        "opt_res_add": int(bool(op.accumulate.value.data)),
    }
    return isa.CONV.build(**fields, **stride_fields("opd0", src), **stride_fields("res0", dst))


def _depthwise(op: tile.DepthwiseOp, at: Addresses) -> Instruction:
    return isa.DEPTHWISE.build(**_weighted(op, at))


def _weighted_sum(op: tile.WeightedSumOp, at: Addresses) -> Iterator[Instruction]:
    """Rows of an operand [.., h, w] whose kernel of two rows meets both tensors: the rows are as
    wide as the tensors lie apart, or a part of that with rows between them."""
    dst, src = Ref.of(op.dst), Ref.of(op.a)
    weights = at.of(op.weights)
    first, second = sorted((at.of(op.a), at.of(op.b)))
    if first != at.of(op.a):
        weights += BM1684.word_bytes
    apart = (second - first) // BM1684.word_bytes
    _, offset = BM1684.local_place(second)
    room = (BM1684.lane_bytes - offset) // BM1684.word_bytes
    for begin, rows, columns, step in pieces(dst.shape[2] * dst.shape[3], apart, room):
        yield isa.DEPTHWISE.build(
            **_precisions(dst, src, Precision.INT8, Precision.INT16),
            res0_n=dst.shape[0],
            res0_c=dst.shape[1],
            res0_h=rows,
            res0_w=columns,
            opd0_h=rows + step,
            opd0_w=apart // step if step else columns,
            opd1_h=min(step, 1) + 1,
            opd1_w=1,
            opd1_y_ins0=max(step - 1, 0),
            res_op_y_str=1,
            res_op_x_str=1,
            tsk_opd_num=3,
            opt_opd0_sign=int(src.is_signed),
            opt_opd1_sign=1,
            opt_opd2_sign=1,
            opt_right_shift=op.shift.value.data,
            opt_relu=int(not dst.is_signed),
            short_opd2_str=StrideMode.COMPACT_2,
            res0_addr=at.of(op.dst) + BM1684.word_bytes * begin,
            opd0_addr=first + BM1684.word_bytes * begin,
            opd1_addr=weights,
            opd2_addr=at.of(op.weights) + 2 * BM1684.word_bytes,
        )


def pieces(plane: int, apart: int, room: int) -> Iterator[tuple[int, int, int, int]]:
    """Words of two planes that lie so many words apart: (first, rows, columns, rows from one plane
    to the other). As few as reach not further than ``room`` words from the second plane's first
    one, of few rows, which are as narrow as can be. Two at one place are a wrong allocation, which
    the compare tells."""
    if not apart:
        yield 0, 1, plane, 0
        return

    def price(step: int) -> tuple[bool, int, int, int]:
        rows, rest = divmod(plane, apart // step)
        return (rows + (rest > 0)) * apart // step > room, (rows > 0) + (rest > 0), rows, -step

    step = min((n for n in ROWS_APART if apart % n == 0), key=price)
    rows, rest = divmod(plane, apart // step)
    if rows:
        yield 0, rows, apart // step, step
    if rest:
        yield plane - rest, 1, rest, step


def _pool(op: tile.MaxPoolOp | tile.AveragePoolOp, at: Addresses) -> Fields:
    dst, src = Ref.of(op.dst), Ref.of(op.src)
    kernel_h, kernel_w = ints(op.kernel)
    fields = _window(op, dst, src, (kernel_h, kernel_w))
    fields |= _precisions(dst, src, precision(src.element), precision(src.element))
    fields |= {"res0_addr": at.of(op.dst), "opd0_addr": at.of(op.src)}
    fields["short_opd2_str"] = StrideMode.COMPACT_2
    if not src.is_float:
        fields["opt_opd0_sign"] = int(src.is_signed)
    return fields


def _max_pool(op: tile.MaxPoolOp, at: Addresses) -> Instruction:
    fields = _pool(op, at)
    fields["opt_opd1_sign"] = fields.get("opt_opd0_sign", 0)
    return isa.MAX_POOL.build(**fields)


def _average_pool(op: tile.AveragePoolOp, at: Addresses) -> Instruction:
    src, dst = Ref.of(op.src), Ref.of(op.dst)
    fields = _pool(op, at) | {
        "tsk_opd_num": 2,
        "opt_opd1_const": 1,
        "opd1_addr": op.factor.value.data,
        "opt_right_shift": op.shift.value.data,
    }
    if not src.is_float:
        fields |= {"opt_opd2_prec": Precision.INT16, "opt_relu": int(not dst.is_signed)}
    return isa.DEPTHWISE.build(**fields)


_COMPARISONS = {ArithKind.GT: Eu.SELECT_GT, ArithKind.EQ: Eu.SELECT_EQ}
_ARITH = {kind: _COMPARISONS.get(kind) or Eu[kind.name] for kind in ArithKind}
_ONE = 0x3F800000
"""The bits of 1.0."""


def _arith(op: tile.ArithOp, at: Addresses) -> Instruction:
    """Tensor arithmetic. Bit operations on 32-bit words go as FP32 data, whose bits they keep."""
    dst, a = Ref.of(op.dst), Ref.of(op.a)
    b = None if op.b is None else Ref.of(op.b)
    wide = a.layout.pack == 1
    fields = result_shape(dst) | {
        "tsk_eu_typ": _ARITH[op.kind.data],
        "tsk_opd_num": 1 if op.kind.data is ArithKind.COPY else 2,
        "opt_right_shift": op.shift.value.data,
        "opt_shift_typ": 0 if op.kind.data is ArithKind.SHIFT else 1,
        "res0_addr": at.of(op.dst),
        "opd0_addr": at.of(op.a),
        "short_opd2_str": StrideMode.COMPACT_2,
    }
    fields |= _arith_types(op, dst, a, b, wide)
    if op.kind.data in _COMPARISONS:
        fields |= {"tsk_opd_num": 3, "opt_opd2_const": 1, "opd2_addr": _ONE}
    for name, value, ref in (("res0", op.dst, dst), ("opd0", op.a, a)):
        inside = at.offset(value) % BM1684.alignment != 0  # a window that begins between rows
        fields |= stride_fields(name, ref, always=inside)
    if op.constant is not None:
        fields |= {"opt_opd1_const": 1, "opd1_addr": op.constant.value.data}
    elif op.b is not None and b is not None:
        fields["opd1_addr"] = at.of(op.b)
        fields |= stride_fields("opd1", b, always=wide)
    return isa.ARITH.build(**fields)


def _arith_types(op: tile.ArithOp, dst: Ref, a: Ref, b: Ref | None, wide: bool) -> Fields:
    if wide:
        names = ("res0", "opd0", "opd1", "opd2")
        return {f"opt_{name}_prec": Precision.FP32 for name in names}
    signed_b = op.signed_constant.value.data if b is None else b.is_signed
    element = a.element if b is None else b.element
    return {
        **_precisions(dst, a, precision(element), Precision.FP32),
        "opt_opd0_sign": int(a.is_signed),
        "opt_opd1_sign": int(bool(signed_b)),
        "opt_opd2_sign": 1,
        "opt_res_add_sign": int(dst.is_signed),
    }


_SCALAR = {kind: Eu[kind.name] for kind in ScalarKind}


def _scalar(op: tile.ScalarOp, at: Addresses) -> Instruction:
    fields = result_shape(Ref.of(op.dst)) | {
        "tsk_eu_typ": _SCALAR[op.kind.data],
        "short_opd2_str": StrideMode.COMPACT_2,
        "res0_addr": at.of(op.dst),
    }
    first, second = ("opd1", "opd0") if op.constant_first.value.data else ("opd0", "opd1")
    fields[f"{first}_addr"] = at.of(op.a)
    if op.constant is not None:
        fields[f"{second}_addr"] = op.constant.value.data
        fields[f"opt_{second}_const"] = 1
    elif op.b is not None:
        fields[f"{second}_addr"] = at.of(op.b)
    return isa.SCALAR.build(**fields)


def _select(op: tile.SelectOp, at: Addresses) -> Instruction:
    """The fields of opd0's strides hold the aligned ones."""
    constants = iter(ints(op.constants))
    fields = result_shape(Ref.of(op.dst)) | {
        "tsk_eu_typ": Eu.SELECT,
        "short_opd2_str": StrideMode.COMPACT_2,
        "res0_addr": at.of(op.dst),
        "res1_addr": at.of(op.dst),
        "opd0_addr": at.of(op.a),
    }
    strides = zip("nchw", Ref.of(op.a).layout.strides, strict=True)
    fields |= {f"opd0_{axis}_str": stride for axis, stride in strides}
    for name, value in (("opd1", op.b), ("opd2", op.c), ("opd3", op.d)):
        fields[f"{name}_addr"] = next(constants) if value is None else at.of(value)
        fields[f"opt_{name}_const"] = int(value is None)
    return isa.COMPARE.build(**fields)


_SFU = {
    SfuKind.TAYLOR: Eu.TAYLOR,
    SfuKind.EXPONENT: Eu.EXPONENT,
    SfuKind.POWER_OF_TWO: Eu.POWER_OF_TWO,
    SfuKind.RSQRT: Eu.RSQRT,
    SfuKind.TO_INTEGER: Eu.FLOAT_TO_INT,
}


def _sfu(op: tile.SfuOp, at: Addresses) -> Instruction:
    integer = op.kind.data in (SfuKind.EXPONENT, SfuKind.TO_INTEGER)
    return isa.SFU.build(
        **result_shape(Ref.of(op.dst)),
        tsk_eu_typ=_SFU[op.kind.data],
        opt_res0_prec=Precision.INT32 if integer else Precision.FP32,
        opd1_n=op.terms.value.data,
        opd1_addr=0 if op.table is None else at.offset(op.table),
        short_opd2_str=StrideMode.COMPACT_2,
        res0_addr=at.of(op.dst),
        opd0_addr=at.of(op.src),
    )


def _lookup(op: tile.LookupOp, at: Addresses) -> Instruction:
    table = op.offset.value.data + (0 if op.table is None else at.offset(op.table))
    return isa.LOOKUP.build(
        **result_shape(Ref.of(op.dst)),
        opd1_addr=table,
        short_opd2_str=StrideMode.COMPACT_2,
        res0_addr=at.of(op.dst),
        opd0_addr=at.of(op.index),
    )


OpT = TypeVar("OpT", bound=tile.TileOp)
_TABLE: dict[type[Operation], Callable[[Any, Addresses], Instruction]] = {}


def _register(op: type[OpT], lower: Callable[[OpT, Addresses], Instruction]) -> None:
    _TABLE[op] = lower


_register(tile.ConvOp, _conv)
_register(tile.DepthwiseOp, _depthwise)
_register(tile.MaxPoolOp, _max_pool)
_register(tile.AveragePoolOp, _average_pool)
_register(tile.ArithOp, _arith)
_register(tile.ScalarOp, _scalar)
_register(tile.SelectOp, _select)
_register(tile.SfuOp, _sfu)
_register(tile.LookupOp, _lookup)


def lower_compute(op: Operation, addresses: Addresses) -> Iterator[Instruction]:
    """The command of a computing op; of a weighted sum one or two."""
    if isinstance(op, tile.WeightedSumOp):
        yield from _weighted_sum(op, addresses)
    else:
        yield _TABLE[type(op)](op, addresses)
