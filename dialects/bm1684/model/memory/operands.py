"""From the fields of a TIU instruction to tensors in local memory."""

from __future__ import annotations

import numpy as np

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Instruction, Precision, StrideMode
from dialects.bm1684.model.errors import ModelError
from dialects.bm1684.model.memory.lanes import (
    LaneTensor,
    Shape,
    aligned_strides,
    compact_strides,
)
from dialects.bm1684.model.memory.npu import DType

WORD = BM1684.word_bytes
UNIT_AND_PACK = {
    Precision.INT8: (WORD, BM1684.int8_images_per_word),
    Precision.INT16: (WORD, BM1684.int16_images_per_word),
    Precision.FP32: (WORD, 1),
    Precision.INT32: (WORD, 1),
}
"""Storage unit in bytes and images in it, of an operand in the engine's own form."""


def integer_type(bits: int, signed: bool) -> DType:
    """The numpy type of an integer operand."""
    return np.dtype(f"{'i' if signed else 'u'}{bits // 8}")


def local_place(name: str, address: int, alignment: int) -> tuple[int, int]:
    """(lane, offset) of a start address. Raises :class:`ModelError` naming the field."""
    if not BM1684.local_base <= address < BM1684.local_end:
        raise ModelError(f"{name}={address:#x} is not an address of local memory")
    if address % alignment:
        raise ModelError(f"{name}={address:#x} is not a multiple of {alignment} bytes")
    return BM1684.local_place(address)


def field_strides(inst: Instruction, operand: str) -> Shape:
    """The four stride fields of an operand."""
    n, c, h, w = (inst[f"{operand}_{axis}_str"] for axis in "nchw")
    return n, c, h, w


def sizes(inst: Instruction, operand: str) -> Shape:
    """The four size fields of an operand."""
    n, c, h, w = (inst[f"{operand}_{axis}"] for axis in "nchw")
    return n, c, h, w


def tensor(
    inst: Instruction,
    operand: str,
    shape: Shape,
    unit: int,
    pack: int = 1,
    mode: int = StrideMode.ALIGNED,
    align: int = BM1684.alignment,
) -> LaneTensor:
    """The operand with the strides of ``mode``. Explicit strides need only word alignment."""
    if mode == StrideMode.EXPLICIT:
        align = min(align, WORD)
    lane, offset = local_place(f"{operand}_addr", inst[f"{operand}_addr"], align)
    match mode:
        case StrideMode.EXPLICIT:
            strides = field_strides(inst, operand)
        case StrideMode.ALIGNED:
            strides = aligned_strides(lane, shape, unit)
        case _:
            strides = compact_strides(lane, shape)
    return LaneTensor(operand, lane, offset, unit, pack, shape, strides)


def per_channel(
    inst: Instruction, operand: str, channels: int, unit: int, row: int = 1, align: int = 0
) -> LaneTensor:
    """One element of ``unit`` bytes a channel; rows of lanes are ``row`` elements apart."""
    lane, offset = local_place(f"{operand}_addr", inst[f"{operand}_addr"], align or unit)
    return LaneTensor(operand, lane, offset, unit, 1, (1, channels, 1, 1), (0, row, 0, 0))


def same_lane(*tensors: LaneTensor | None) -> None:
    """Raise :class:`ModelError` when operands that must share their start lane do not."""
    given = [t for t in tensors if t is not None]
    for other in given[1:]:
        if other.lane != given[0].lane:
            raise ModelError(
                f"{other.name}_addr is in lane {other.lane}, {given[0].name}_addr in lane "
                f"{given[0].lane}: they must start in the same lane"
            )
