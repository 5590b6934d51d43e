"""The BM1684's instruction set: every instruction declared once.

``isa.CONV.build(res0_n=1, ...)`` makes an :class:`Instruction`; ``pack`` and :func:`unpack` turn
it into command bytes and back, ``text`` and :func:`parse` into one line and back.
"""

from __future__ import annotations

from dialects.bm1684.isa.codec import KINDS, parse, unpack
from dialects.bm1684.isa.codes import Direction, Eu, Format, Precision, StrideMode
from dialects.bm1684.isa.fields import COMMAND_BYTES, Bits, CommandLayout, Engine, IsaError, Slot
from dialects.bm1684.isa.gdma import (
    CONVERT,
    COPY_LINEAR,
    FILL,
    GDMA_KINDS,
    MATRIX,
    MOVE,
    TRANSPOSE_CW,
    TRANSPOSE_NC,
    start,
    start_of,
)
from dialects.bm1684.isa.gdma_layout import GDMA, GdmaFields
from dialects.bm1684.isa.instruction import Instruction, InstructionKind, Rule
from dialects.bm1684.isa.tiu import (
    ARITH,
    COMPARE,
    CONV,
    DEPTHWISE,
    LINEAR,
    LOOKUP,
    MATMUL,
    MAX_POOL,
    SCALAR,
    SFU,
    TIU_KINDS,
)
from dialects.bm1684.isa.tiu_layout import TIU, TiuFields

__all__ = [
    "ARITH",
    "COMMAND_BYTES",
    "COMPARE",
    "CONV",
    "CONVERT",
    "COPY_LINEAR",
    "DEPTHWISE",
    "FILL",
    "GDMA",
    "GDMA_KINDS",
    "KINDS",
    "LINEAR",
    "LOOKUP",
    "MATMUL",
    "MATRIX",
    "MAX_POOL",
    "MOVE",
    "SCALAR",
    "SFU",
    "TIU",
    "TIU_KINDS",
    "TRANSPOSE_CW",
    "TRANSPOSE_NC",
    "Bits",
    "CommandLayout",
    "Direction",
    "Engine",
    "Eu",
    "Format",
    "GdmaFields",
    "Instruction",
    "InstructionKind",
    "IsaError",
    "Precision",
    "Rule",
    "Slot",
    "StrideMode",
    "TiuFields",
    "parse",
    "start",
    "start_of",
    "unpack",
]
