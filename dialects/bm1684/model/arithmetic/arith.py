"""Tensor arithmetic: elementwise with strides, broadcast and constants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Eu, Instruction, Precision, StrideMode
from dialects.bm1684.model.arithmetic.exact import saturate, shift_right
from dialects.bm1684.model.arithmetic.quotient import quotient
from dialects.bm1684.model.errors import ModelError
from dialects.bm1684.model.memory.access import PreparedCommand
from dialects.bm1684.model.memory.lanes import LaneTensor, Shape, aligned_strides
from dialects.bm1684.model.memory.npu import Array, DType, Npu
from dialects.bm1684.model.memory.operands import (
    UNIT_AND_PACK,
    WORD,
    field_strides,
    integer_type,
    local_place,
    same_lane,
    sizes,
    tensor,
)

FLOAT: dict[int, Callable[[Array, Array], Array]] = {
    Eu.MUL: np.multiply,
    Eu.ADD: np.add,
    Eu.SUB: np.subtract,
    Eu.MAX: np.maximum,
    Eu.MIN: np.minimum,
    Eu.DIV: quotient,
}
BITS: dict[int, Callable[[Array, Array], Array]] = {
    Eu.AND: np.bitwise_and,
    Eu.OR: np.bitwise_or,
    Eu.XOR: np.bitwise_xor,
}
SELECT: dict[int, Callable[[Array, Array], Array]] = {
    Eu.SELECT_GT: np.greater,
    Eu.SELECT_EQ: np.equal,
}
UNARY = (Eu.COPY,)


@dataclass(frozen=True, slots=True)
class ArithOperands:
    """``a`` and ``b`` are None when they are constants; ``b`` also when it is not used."""

    a: LaneTensor | None
    b: LaneTensor | None
    result: LaneTensor


def plan_arith(inst: Instruction) -> PreparedCommand:
    """Result, first and second operand start in the same lane."""
    eu = inst["tsk_eu_typ"]
    a = None if inst["opt_opd0_const"] else _operand(inst, "opd0", bool(inst["opd0_neq1"]))
    b = None
    if eu not in UNARY and not inst["opt_opd1_const"]:
        b = _operand(inst, "opd1", bool(inst["opd1_neq1"]))
    if eu in SELECT and not inst["opt_opd2_const"]:
        raise ModelError("select_gt and select_eq are known with opt_opd2_const only")
    result = _operand(inst, "res0")
    same_lane(result, a, b)
    operands = ArithOperands(a, b, result)
    reads = [t for t in (a, b) if t is not None]
    if eu == Eu.MAC:
        reads.append(result)
    words = inst["opt_opd0_prec"] in (Precision.FP32, Precision.INT32)
    run = _run_words if words else _run_fixed
    return PreparedCommand(tuple(reads), (result,), partial(run, inst, operands))


def _operand(inst: Instruction, name: str, one_image: bool = False) -> LaneTensor:
    """An operand of the result's shape, or of one image."""
    n, c, h, w = sizes(inst, "res0")
    shape = (1 if one_image else n, c, h, w)
    unit, pack = UNIT_AND_PACK[Precision(inst[f"opt_{name}_prec"])]
    if inst[f"short_{name}_str"] != StrideMode.ALIGNED:
        return tensor(inst, name, shape, unit, pack, StrideMode.EXPLICIT)
    address = inst[f"{name}_addr"]
    lane, offset = local_place(f"{name}_addr", address, BM1684.alignment)
    strides = aligned_strides(lane, shape, unit)
    if name == "opd1" and pack == 1:
        strides = _broadcast_strides(field_strides(inst, name), lane, shape)
    return LaneTensor(name, lane, offset, unit, pack, shape, strides)


def _broadcast_strides(fields: Shape, lane: int, shape: Shape) -> Shape:
    """Aligned strides of a 32-bit opd1, of size 1 in n, h or w where its stride field is 0."""
    n, c, h, w = shape
    own = (n, c, h if fields[2] else 1, w if fields[3] else 1)
    image, row, line, element = aligned_strides(lane, own, WORD)
    return (
        image if fields[0] else 0,
        row,
        line if fields[2] else 0,
        element if fields[3] else 0,
    )


def _constant(inst: Instruction, operand: str, dtype: DType) -> Array:
    """The low bits of an address field, as one element."""
    return np.array([inst[f"{operand}_addr"]], "<u4").view(dtype)[:1].reshape(1, 1, 1, 1)


def _value(
    inst: Instruction, operand: str, place: LaneTensor | None, npu: Npu,
    dtype: DType,
) -> Array:
    if place is None:
        return _constant(inst, operand, dtype)
    return place.read(npu.lmem, dtype)


def _run_words(inst: Instruction, operands: ArithOperands, npu: Npu) -> None:
    eu = inst["tsk_eu_typ"]
    bitwise = eu in BITS or eu in (Eu.COPY, Eu.SHIFT)
    dtype = np.dtype(np.uint32 if bitwise else np.float32)
    a = _value(inst, "opd0", operands.a, npu, dtype)
    if eu == Eu.COPY:
        data = a
    else:
        b = _value(inst, "opd1", operands.b, npu, dtype)
        if eu in BITS:
            data = BITS[eu](a, b)
        elif eu in FLOAT:
            data = FLOAT[eu](a, b)
        elif eu in SELECT:
            data = np.where(SELECT[eu](a, b), _constant(inst, "opd2", dtype), np.float32(0))
        elif eu == Eu.SHIFT:
            data = _shift_words(inst, a, b)
        else:
            data = operands.result.read(npu.lmem, dtype) + a * b
    _store(operands.result, npu, data)


def _shift_words(inst: Instruction, a: Array, b: Array) -> Array:
    """Positive amounts (low 8 bits, signed) shift left, negative ones right, without rounding."""
    amount = b.astype(np.uint8).view(np.int8).astype(np.int64)
    if (np.abs(amount) > 31).any():
        raise ModelError("opd1 of a 32-bit shift must lie in -31..31")
    wide = a.view(np.int32).astype(np.int64) if inst["opt_shift_typ"] else a.astype(np.int64)
    return _shift(wide, amount).astype(np.uint32)


def _shift(wide: Array, amount: Array) -> Array:
    left = wide << np.maximum(amount, 0)
    return np.where(amount >= 0, left, wide >> np.maximum(-amount, 0))


def _run_fixed(inst: Instruction, operands: ArithOperands, npu: Npu) -> None:
    eu = inst["tsk_eu_typ"]
    raw = eu in BITS or eu == Eu.COPY
    a = _value(inst, "opd0", operands.a, npu, _fixed_type(inst, "opd0", raw))
    if eu == Eu.COPY:
        _store(operands.result, npu, a)
        return
    b = _value(inst, "opd1", operands.b, npu, _fixed_type(inst, "opd1", raw))
    if eu in BITS:
        data = BITS[eu](a, b)
    elif eu in (Eu.MAX, Eu.MIN):
        data = FLOAT[eu](a, b)
    elif eu == Eu.SHIFT:
        data = _shift_int16(inst, a, b)
    else:
        data = _sum_or_product(inst, operands.result, npu, a, b)
    _store(operands.result, npu, data)


def _fixed_type(inst: Instruction, operand: str, raw: bool) -> DType:
    bits = 16 if inst[f"opt_{operand}_prec"] == Precision.INT16 else 8
    return integer_type(bits, bool(inst[f"opt_{operand}_sign"]) and not raw)


def _shift_int16(inst: Instruction, a: Array, b: Array) -> Array:
    signed = np.dtype(np.int16 if inst["opt_shift_typ"] else np.uint16)
    amount = b.astype(np.uint8).view(np.int8).astype(np.int64)
    return _shift(a.view(signed).astype(np.int64), amount).astype(np.uint16)


def _sum_or_product(
    inst: Instruction, result: LaneTensor, npu: Npu, a: Array, b: Array
) -> Array:
    """mul, mac, add and sub: rounded right shift, then saturation to the result's type."""
    eu = inst["tsk_eu_typ"]
    signed = eu == Eu.SUB or bool(inst["opt_opd0_sign"] or inst["opt_opd1_sign"])
    bits = 16 if inst["opt_res0_prec"] == Precision.INT16 else 8
    dtype = integer_type(bits, signed)
    if eu == Eu.MAC:
        held = result.read(npu.lmem, dtype).astype(np.int64)
        held <<= inst["opt_left_shift"]
        total = held + np.multiply(a, b, dtype=np.int64)
    else:
        total = FLOAT[eu](a.astype(np.int32), b.astype(np.int32))
    return saturate(shift_right(total, inst["opt_right_shift"]), dtype)


def _store(result: LaneTensor, npu: Npu, data: Array) -> None:
    if data.shape != result.shape:
        data = np.broadcast_to(data, result.shape)
    result.write(npu.lmem, data)
