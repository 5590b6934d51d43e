"""32-bit pointwise instructions on aligned tensors, and table lookup."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from dialects.bm1684.isa import Eu, Instruction, Precision
from dialects.bm1684.model.arithmetic.arith import FLOAT
from dialects.bm1684.model.arithmetic.quotient import rsqrt
from dialects.bm1684.model.errors import ModelError
from dialects.bm1684.model.memory.access import Operand, PreparedCommand
from dialects.bm1684.model.memory.lanes import LaneTensor, lane_rows
from dialects.bm1684.model.memory.npu import Array, Npu
from dialects.bm1684.model.memory.operands import (
    WORD,
    field_strides,
    per_channel,
    same_lane,
    sizes,
    tensor,
)
from dialects.bm1684.model.memory.system import SystemTensor, l2_table

INT32_MAX = (1 << 31) - 1


def _words(inst: Instruction, operand: str) -> LaneTensor:
    """An aligned 32-bit operand of the result's shape."""
    return tensor(inst, operand, sizes(inst, "res0"), WORD)


def _floats(inst: Instruction, operand: str, place: LaneTensor | None, npu: Npu) -> Array:
    if place is None:
        constant = np.array([inst[f"{operand}_addr"]], np.uint32).view(np.float32)
        return constant.reshape(1, 1, 1, 1)
    return place.read(npu.lmem, np.float32)


def _unless_constant(inst: Instruction, operand: str) -> LaneTensor | None:
    return None if inst[f"opt_{operand}_const"] else _words(inst, operand)


def _store(place: LaneTensor, npu: Npu, data: Array) -> None:
    place.write(npu.lmem, np.broadcast_to(data, place.shape))


def plan_scalar(inst: Instruction) -> PreparedCommand:
    """mul, add, sub, div; either side may be a constant."""
    a, b = _unless_constant(inst, "opd0"), _unless_constant(inst, "opd1")
    result = _words(inst, "res0")
    same_lane(result, a, b)

    def run(npu: Npu) -> None:
        function = FLOAT[inst["tsk_eu_typ"]]
        _store(result, npu, function(_floats(inst, "opd0", a, npu), _floats(inst, "opd1", b, npu)))

    return PreparedCommand(tuple(t for t in (a, b) if t), (result,), run)


def plan_linear(inst: Instruction) -> PreparedCommand:
    """A * opd2 + opd1, (A + opd1)^2 or (A - opd1)^2; opd1 and opd2 hold one word a channel."""
    x, result = _words(inst, "opd0"), _words(inst, "res0")
    channels = inst["res0_c"]
    addend = per_channel(inst, "opd1", channels, WORD)
    factor = None
    if inst["tsk_eu_typ"] == Eu.MAC:
        factor = per_channel(inst, "opd2", channels, WORD)
    same_lane(result, x, addend, factor)

    def run(npu: Npu) -> None:
        data = x.read(npu.lmem, np.float32)
        other = addend.read(npu.lmem, np.float32)
        if factor is not None:
            data *= factor.read(npu.lmem, np.float32)
            data += other
        else:
            data = data + other if inst["tsk_eu_typ"] == Eu.SQUARE_SUM else data - other
            data *= data
        result.write(npu.lmem, data)

    return PreparedCommand(tuple(t for t in (x, addend, factor) if t), (result,), run)


def plan_compare(inst: Instruction) -> PreparedCommand:
    """res0 = max(A, B), res1 = A > B ? C : D, or both."""
    eu = inst["tsk_eu_typ"]
    x = _words(inst, "opd0")
    n, c, h, w = x.shape
    steps = zip(
        (n, lane_rows(x.lane, c), h, w), field_strides(inst, "opd0"), x.strides, strict=True
    )
    if any(size > 1 and given != aligned for size, given, aligned in steps):
        raise ModelError("the opd0_*_str fields must hold the aligned strides of opd0")
    names = ("opd1",) if eu == Eu.COMPARE else ("opd1", "opd2", "opd3")
    others = {name: _unless_constant(inst, name) for name in names}
    largest = None if eu == Eu.SELECT else _words(inst, "res0")
    chosen = None if eu == Eu.COMPARE else _words(inst, "res1")
    same_lane(x, *others.values(), largest, chosen)

    def run(npu: Npu) -> None:
        a = _floats(inst, "opd0", x, npu)
        b, *choice = (_floats(inst, name, place, npu) for name, place in others.items())
        if largest is not None:
            _store(largest, npu, np.maximum(a, b))
        if chosen is not None:
            _store(chosen, npu, np.where(a > b, *choice))

    reads = tuple(t for t in (x, *others.values()) if t)
    return PreparedCommand(reads, tuple(t for t in (largest, chosen) if t), run)


def plan_sfu(inst: Instruction) -> PreparedCommand:
    """Float to integer, Taylor series, exponents, reciprocal square root."""
    x, result = _words(inst, "opd0"), _words(inst, "res0")
    same_lane(result, x)
    reads: tuple[Operand, ...] = (x,)
    if inst["tsk_eu_typ"] == Eu.TAYLOR:
        table = l2_table(inst["opd1_addr"], inst["opd1_n"], "opd1_addr")
        return PreparedCommand((x, table), (result,), partial(_taylor, x, table, result))

    def run(npu: Npu) -> None:
        result.write(npu.lmem, SFU[inst["tsk_eu_typ"]](x.read(npu.lmem, np.float32)))

    return PreparedCommand(reads, (result,), run)


def _taylor(x: LaneTensor, table: SystemTensor, result: LaneTensor, npu: Npu) -> None:
    """x * (c0 + x * (c1 + ...)), rounded after every operation."""
    data = x.read(npu.lmem, np.float32)
    coefficients = table.read(npu, np.float32).reshape(-1)
    total = np.zeros_like(data)
    for coefficient in coefficients[::-1]:
        total *= data
        total += coefficient
    total *= data
    result.write(npu.lmem, total)


def _to_integer(x: Array) -> Array:
    """Truncate towards zero; out of range saturates, not-a-number gives 2^31 - 1."""
    wide = np.nan_to_num(np.trunc(x.astype(np.float64)), nan=INT32_MAX)
    return np.clip(wide, -INT32_MAX - 1, INT32_MAX).astype(np.int32)


def _exponent(x: Array) -> Array:
    """The biased exponent, one more for positive x with a mantissa from 4/3 on."""
    bits = x.view(np.uint32)
    upper = (x > 0) & ((bits & 0x7FFFFF) >= 0x2AAAAB)
    return ((bits >> 23 & 0xFF) + upper).astype(np.uint32)


def _power_of_two(x: Array) -> Array:
    """The power of two with that exponent and the sign of x."""
    return (_exponent(x) << 23 | x.view(np.uint32) & 0x8000_0000).astype(np.uint32)


SFU: dict[int, Callable[[Array], Array]] = {
    Eu.FLOAT_TO_INT: _to_integer,
    Eu.EXPONENT: _exponent,
    Eu.POWER_OF_TWO: _power_of_two,
    Eu.RSQRT: rsqrt,
}


def plan_lookup(inst: Instruction) -> PreparedCommand:
    """One 32-bit table entry an element; the index is the low byte of the operand."""
    unit = 1 if inst["opt_opd0_prec"] == Precision.INT8 else WORD
    x = tensor(inst, "opd0", sizes(inst, "res0"), unit)
    result = _words(inst, "res0")
    same_lane(result, x)
    table = l2_table(inst["opd1_addr"], 32 * inst["opd1_h"], "opd1_addr")

    def run(npu: Npu) -> None:
        index = x.read(npu.lmem, np.uint8 if unit == 1 else np.uint32) & 0xFF
        entries = table.read(npu, np.uint32).reshape(-1)
        if index.max() >= entries.size:
            raise ModelError(f"opd1_h={inst['opd1_h']}: a lookup reaches beyond the table")
        result.write(npu.lmem, entries[index])

    return PreparedCommand((x, table), (result,), run)
