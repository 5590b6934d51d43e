"""Rows of a command one by one: the memory that the whole command leaves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dialects.bm1684 import isa
from dialects.bm1684.model import Npu, execute
from passes.commands.rows import row_step, rows_of
from tests.dialects.bm1684.cases import GENERATORS
from tests.dialects.bm1684.fields import DDR_BYTES

SPLIT = (
    "conv_int8", "conv_fp32", "depthwise_int8", "depthwise_fp32", "average_int8", "average_fp32",
    "max_pool_int8", "max_pool_fp32", "arith_float", "arith_bits", "arith_fixed", "lookup",
    "scalar", "sfu",
)  # fmt: skip
WHOLE = ("winograd_int8", "winograd_fp32", "matmul_int8", "linear", "compare")
CASES, ENOUGH = 120, 4


@pytest.fixture(scope="module")
def npu() -> Npu:
    return Npu(DDR_BYTES)


def widened(command: isa.Instruction) -> isa.Instruction:
    """The command on rows of 32 words, one plane in each lane, so that it can be cut anywhere."""
    few = {"res0_n": 1, "res0_c": 1 + command["res0_c"] % 3, "res0_w": 32, "res0_h": 6}
    if command.kind in (isa.LOOKUP, isa.SCALAR, isa.SFU):
        return command.replace(**few)
    if command.kind is isa.ARITH:
        return command
    reach = {a: (command[f"opd1_{a}"] - 1) * (command[f"opd1_{xy}_ins0"] + 1) + 1
             for a, xy in (("h", "y"), ("w", "x"))}  # fmt: skip
    width = 31 * command["res_op_x_str"] + reach["w"]
    height = 5 * command["res_op_y_str"] + reach["h"]
    return command.replace(
        **few, opd0_c=1 + command["opd0_c"] % 3, opd0_x_ins0=0, opd0_y_ins0=0,
        opd0_w=width - command["opd0_lf_pad"] - command["opd0_rt_pad"],
        opd0_h=height - command["opd0_up_pad"] - command["opd0_dn_pad"],
    )  # fmt: skip


def ranges(command: isa.Instruction) -> list[tuple[int, int]]:
    """(begin, end) of parts: a first step of rows, the rest but one, and that one."""
    step, height = row_step(command), command["res0_h"]
    borders = sorted({0, step, height - step, height})
    return list(pairwise(borders)) if step < height else []


@pytest.mark.parametrize("name", SPLIT)
def test_rows_together_are_the_whole(name: str, npu: Npu) -> None:
    rng = np.random.default_rng(list(name.encode()))
    numbers = rng.standard_normal(1 << 15, np.float32)
    tried = 0
    for _ in range(CASES):
        command = widened(GENERATORS[name](rng).inst)
        parts = [rows_of(command, first, end - first) for first, end in ranges(command)]
        if not parts or None in parts:
            continue
        tried += 1
        used = npu.lmem[:, : 1 << 17]
        used.view(np.float32)[...] = numbers
        execute(npu, command)
        expected = used.copy()
        used.view(np.float32)[...] = numbers
        for part in reversed(parts):
            assert part is not None
            part.check()
            execute(npu, part)
        np.testing.assert_array_equal(used, expected)
        if tried == ENOUGH:
            return
    pytest.fail(f"only {tried} commands could be cut")


@pytest.mark.parametrize("name", WHOLE)
def test_others_stay_whole(name: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        command = GENERATORS[name](rng).inst
        assert rows_of(command, 0, command["res0_h"]) is command
        assert not ranges(command) or rows_of(command, 0, row_step(command)) is None


def test_a_result_beside_its_operand_stays_whole() -> None:
    """Each row is the one below it: the first would be lost before it is read."""
    fields = dict(tsk_eu_typ=isa.Eu.COPY, tsk_opd_num=1, res0_h=4, res0_w=32)
    fields |= {f"opt_{name}_prec": isa.Precision.FP32 for name in ("res0", "opd0")}
    start = 0x0800_0000
    moved = isa.ARITH.build(**fields, res0_addr=start + 128, opd0_addr=start)
    in_place = isa.ARITH.build(**fields, res0_addr=start, opd0_addr=start)
    assert rows_of(moved, 0, 1) is None
    assert rows_of(in_place, 0, 1) is not None
