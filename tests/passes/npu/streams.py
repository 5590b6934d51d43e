"""Random streams of loads, computations and stores on a few slots of memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, UnknownLoc
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region
from xdsl.passes import ModulePass

from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Direction, Engine, Eu, Instruction
from dialects.bm1684.model import Npu, execute
from dialects.bm1684.npu import CommandOp, command_op
from passes.module.functions import main_function

SLOTS = 5
TABLE = 64
"""Words of a table in L2."""
ROWS, WIDTH = 4, 1024
WORDS = ROWS * WIDTH
SLOT_BYTES = 4 * WORDS
DDR_BYTES = SLOTS * SLOT_BYTES
Command = tuple[str, int, int, int]


def _streams(*kinds: str) -> st.SearchStrategy[list[Command]]:
    slots = (st.integers(0, SLOTS - 1) for _ in range(3))
    return st.lists(st.tuples(st.sampled_from(kinds), *slots), min_size=1, max_size=25)


COMMANDS = _streams("load", "row", "add", "add", "store")
COMMANDS_AND_TABLES = _streams("load", "row", "add", "store", "table")


def instruction(command: Command) -> Instruction:
    """``load`` slot a of DDR to local slot b, ``row`` only its row c; ``add`` local a and b to c;
    ``store`` a to b; ``table``: some words of slot a of DDR to place b of L2."""
    kind, a, b, c = command
    if kind == "table":
        return isa.MOVE.build(
            direction=Direction.SYSTEM_TO_SYSTEM,
            chw_copy=1,
            src_wsize=TABLE,
            **{f"{side}_{axis}stride": TABLE for side in ("src", "dst") for axis in "nch"},
            **isa.start("src", BM1684.context_start + SLOT_BYTES * a),
            **isa.start("dst", BM1684.l2_base + 4 * TABLE * b),
        )
    local = [BM1684.local_address(0, SLOT_BYTES * slot) for slot in (a, b, c)]
    ddr = [BM1684.context_start + SLOT_BYTES * slot for slot in (a, b)]
    if kind == "add":
        return isa.SCALAR.build(
            tsk_eu_typ=Eu.ADD,
            res0_h=ROWS,
            res0_w=WIDTH,
            opd0_addr=local[0],
            opd1_addr=local[1],
            res0_addr=local[2],
        )
    direction, src, dst = (1, local[0], ddr[1]) if kind == "store" else (0, ddr[0], local[1])
    row = 4 * WIDTH * (c % ROWS) if kind == "row" else 0
    return isa.MOVE.build(
        direction=direction,
        stride_enable=0,
        chw_copy=1,
        src_hsize=1 if kind == "row" else ROWS,
        src_wsize=WIDTH,
        **isa.start("src", src + row),
        **isa.start("dst", dst + row),
    )


def module_of(commands: Sequence[Command]) -> ModuleOp:
    """The commands in program order, without ids."""
    ops = [command_op(instruction(command), UnknownLoc()) for command in commands]
    return ModuleOp([FuncOp("main", ((), ()), Region(Block([*ops, ReturnOp()])))])


def apply(module: ModuleOp, *passes: ModulePass) -> None:
    for item in passes:
        item.apply(Context(), module)
        module.verify()


def instructions(module: ModuleOp) -> list[Instruction]:
    """The instructions in program order."""
    ops = main_function(module).body.block.ops
    return [op.instruction for op in ops if isinstance(op, CommandOp)]


@cache
def _npu() -> Npu:
    return Npu(DDR_BYTES)


def fresh_npu() -> Npu:
    """The one machine, its DDR and its local memory full of small whole numbers, which differ. The
    next call takes it away again."""
    npu = _npu()
    npu.ddr.view(np.float32)[:] = np.arange(SLOTS * WORDS) % 97
    npu.lmem[0, : SLOT_BYTES * SLOTS].view(np.float32)[:] = np.arange(SLOTS * WORDS) % 89 + 1
    npu.l2[: 4 * TABLE * SLOTS] = 0
    return npu


def state(npu: Npu) -> bytes:
    """What a stream left in DDR, in the local slots and in L2."""
    tables = npu.l2[: 4 * TABLE * SLOTS]
    return npu.ddr.tobytes() + npu.lmem[0, : SLOT_BYTES * SLOTS].tobytes() + tables.tobytes()


def run_in_order(stream: Sequence[Instruction]) -> bytes:
    """The state after the commands one by one: their meaning."""
    npu = fresh_npu()
    for inst in stream:
        execute(npu, inst)
    return state(npu)


def encoded(stream: Sequence[Instruction]) -> tuple[bytes, bytes]:
    """(TIU bytes, GDMA bytes) of one group."""
    tiu, gdma = (
        b"".join(inst.pack() for inst in stream if inst.engine is engine)
        for engine in (Engine.TIU, Engine.GDMA)
    )
    return tiu, gdma
