"""The BM1684's instruction set: every instruction declared once.

``isa.CONV.build(res0_n=1, ...)`` makes an :class:`Instruction`; ``pack`` and :func:`unpack` turn
it into command bytes and back, ``text`` and :func:`parse` into one line and back.
"""

from __future__ import annotations

from dialects.bm1684.isa.codec import KINDS, parse, unpack
from dialects.bm1684.isa.codes import Direction, Eu, Format, Precision, StrideMode
from dialects.bm1684.isa.fields import COMMAND_BYTES, Engine, Field, IsaError, Layout, Slot
from dialects.bm1684.isa.gdma import (
    CONVERT,
    COPY_LINEAR,
    FILL,
    GDMA,
    GDMA_KINDS,
    MATRIX,
    MOVE,
    TRANSPOSE_CW,
    TRANSPOSE_NC,
    start,
    start_of,
)
from dialects.bm1684.isa.instruction import Instruction, Kind, Rule
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
from dialects.bm1684.isa.tiu_layout import TIU

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
    "Direction",
    "Engine",
    "Eu",
    "Field",
    "Format",
    "Instruction",
    "IsaError",
    "Kind",
    "Layout",
    "Precision",
    "Rule",
    "Slot",
    "StrideMode",
    "parse",
    "start",
    "start_of",
    "unpack",
]
