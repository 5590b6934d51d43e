"""Some rows of what a TIU command computes, as a command of their own."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import gcd

from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Instruction, Precision, StrideMode
from dialects.bm1684.isa.instruction import InstructionKind
from dialects.bm1684.layout import lane_rows
from dialects.bm1684.model import accesses
from dialects.bm1684.model.memory.lanes import Shape, aligned_strides
from dialects.bm1684.model.memory.operands import UNIT_AND_PACK

REMEMBERED = 1 << 14
"""Commands that are remembered, with what was found for them."""
WORD = BM1684.word_bytes
WORDS_A_START = BM1684.alignment // WORD
WINDOWS = (isa.CONV, isa.DEPTHWISE, isa.MAX_POOL)
ALIGNED: dict[InstructionKind, tuple[str, ...]] = {
    isa.SCALAR: ("res0", "opd0", "opd1"),
    isa.SFU: ("res0", "opd0"),
    isa.LOOKUP: ("res0", "opd0"),
}
"""The operands of the result's size, of commands that take the engine's own strides only."""
STRIDED = (StrideMode.ALIGNED, StrideMode.EXPLICIT)

Fields = dict[str, int]


def row_step(command: Instruction) -> int:
    """Rows of a result begin at multiples of so many, where the engine takes a start."""
    if command.kind is isa.ARITH:
        return 1
    return WORDS_A_START // gcd(WORDS_A_START, command["res0_w"])


@lru_cache(REMEMBERED)
def rows_of(command: Instruction, first: int, count: int) -> Instruction | None:
    """The command that computes ``count`` rows of the result from ``first`` on and nothing else,
    each number as the whole command does; None where there is none. Raises ModelError for a
    command that the model refuses."""
    if (first, count) == (0, command["res0_h"]):
        return command
    if _reads_what_it_writes(command):
        return None
    fields: Fields | None = None
    if command.kind is isa.ARITH:
        fields = _arith(command, first)
    elif command.kind in WINDOWS:
        fields = _window(command, first, count)
    elif command.kind in ALIGNED:
        names = (n for n in ALIGNED[command.kind] if not command.values.get(f"opt_{n}_const"))
        fields = _moved(command, names, first * command["res0_w"])
    return None if fields is None else command.replace(res0_h=count, **fields)


@lru_cache(REMEMBERED)
def _reads_what_it_writes(command: Instruction) -> bool:
    """Whether a row may be written that another one is computed of: an operand shares memory with
    the result, and is not in its place."""
    touched = accesses(command)
    written = [a for a in touched if a.write]
    return any(
        read.space == write.space
        and (read.start, read.stop) != (write.start, write.stop)
        and max(read.start, write.start) < min(read.stop, write.stop)
        for write in written
        for read in touched
        if not read.write
    )


def _moved(command: Instruction, names: Iterable[str], words: int) -> Fields | None:
    """Operands of the result's channels some words further on."""
    fields: Fields = {}
    for name in names:
        start = _start(command, name, command["res0_c"], words)
        if start is None:
            return None
        fields[f"{name}_addr"] = start
    return fields


def _start(command: Instruction, name: str, channels: int, words: int) -> int | None:
    """The start of an aligned operand some words further on, where it is one plane in each lane
    and the engine takes that start."""
    address = command[f"{name}_addr"]
    lane, _ = BM1684.local_place(address)
    _, pack = UNIT_AND_PACK[Precision(command[f"opt_{name}_prec"])]
    start = address + words * WORD
    one_plane = lane_rows(channels, lane) == 1 and command["res0_n"] <= pack
    return start if one_plane and start % BM1684.alignment == 0 else None


def _window(command: Instruction, first: int, count: int) -> Fields | None:
    """The input rows under those of the result, and the padding that they meet."""
    result = _start(command, "res0", command["res0_c"], first * command["res0_w"])
    if result is None or command["opd0_y_ins0"] or command["opt_winograd"]:
        return None
    kernel = (command["opd1_h"] - 1) * (command["opd1_y_ins0"] + 1) + 1
    stride, height = command["res_op_y_str"], command["opd0_h"]
    begin = first * stride - command["opd0_up_pad"]
    end = begin + (count - 1) * stride + kernel
    y0, y1 = max(begin, 0), min(end, height)
    if y1 <= y0:
        return None
    fields: Fields = {
        "res0_addr": result,
        "opd0_h": y1 - y0,
        "opd0_up_pad": y0 - begin,
        "opd0_dn_pad": end - y1,
    }
    dense = command.kind is isa.CONV
    channels = command["opd0_c"] if dense else command["res0_c"]
    if not dense or command["short_opd0_str"] == StrideMode.ALIGNED:
        start = _start(command, "opd0", channels, y0 * command["opd0_w"])
        if start is not None:
            return fields | {"opd0_addr": start}
    if not dense:
        return None
    shape = command["res0_n"], channels, height, command["opd0_w"]
    return fields | _explicit(command, "opd0", shape, y0)


def _arith(command: Instruction, first: int) -> Fields | None:
    """Every operand of arithmetic may have strides of its own."""
    if command["opd0_neq1"] or command["opd1_neq1"]:
        return None
    names = ["res0"]
    if not command["opt_opd0_const"]:
        names.append("opd0")
    if command["tsk_opd_num"] > 1 and not command["opt_opd1_const"]:
        names.append("opd1")
    n, c, h, w = (command[f"res0_{axis}"] for axis in "nchw")
    fields: Fields = {}
    for name in names:
        mode = command[f"short_{name}_str"]
        words = UNIT_AND_PACK[Precision(command[f"opt_{name}_prec"])][1] == 1
        repeats = name == "opd1" and words and mode == StrideMode.ALIGNED
        if mode not in STRIDED or repeats:
            return None
        fields |= _explicit(command, name, (n, c, h, w), first)
    return fields


def _explicit(command: Instruction, name: str, shape: Shape, first: int) -> Fields:
    """An operand from a row on, with the strides that it has."""
    address = command[f"{name}_addr"]
    if command[f"short_{name}_str"] == StrideMode.EXPLICIT:
        return {f"{name}_addr": address + first * command[f"{name}_h_str"] * WORD}
    lane, _ = BM1684.local_place(address)
    strides = aligned_strides(lane, shape, WORD)
    return {
        f"{name}_addr": address + first * strides[2] * WORD,
        f"short_{name}_str": StrideMode.EXPLICIT,
        **{f"{name}_{axis}_str": step for axis, step in zip("nchw", strides, strict=True)},
    }
