"""Waits that are filled: the same meaning in fewer cycles."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from xdsl.dialects.builtin import ArrayAttr

from dialects.bm1684.cycles import schedule
from dialects.bm1684.isa import Engine, Instruction
from dialects.bm1684.npu import CommandOp, LocalBox, Observation, ObserveAttr
from passes.commands import filling
from passes.commands.waits import numbered
from passes.module.functions import main_function
from passes.npu.npu_fill_waits import NpuFillWaitsPass
from tests.passes.npu.streams import (
    COMMANDS,
    ROWS,
    SLOT_BYTES,
    WIDTH,
    WORDS,
    Command,
    apply,
    instructions,
    module_of,
    run_in_order,
)

WAITING: Sequence[Command] = [
    ("load", 0, 0, 0), ("load", 1, 1, 0), ("load", 2, 1, 0),
    ("add", 1, 1, 2),  # waits for all loads
    ("add", 0, 0, 3),  # waits for the first one
]  # fmt: skip


def total(commands: Sequence[Instruction]) -> int:
    return schedule(numbered(commands)).total


def computed(commands: Sequence[Instruction]) -> list[tuple[int, range]]:
    """The slot and the rows of the first operand of the tensor unit's commands."""
    found: list[tuple[int, range]] = []
    for command in commands:
        if command.engine is Engine.TIU:
            slot, row = divmod(command["opd0_addr"] & 0xFFFFF, SLOT_BYTES)
            first = row // (4 * WIDTH)
            found.append((slot, range(first, first + command["res0_h"])))
    return found


@pytest.mark.parametrize("long", [filling.LONG, 0])
@given(COMMANDS)
@settings(max_examples=80)
def test_the_meaning_stays(long: int, commands: Sequence[Command]) -> None:
    """Also where all computations may be cut."""
    module = module_of(commands)
    before = instructions(module)
    with patch.object(filling, "LONG", long):
        apply(module, NpuFillWaitsPass())
    after = instructions(module)
    assert run_in_order(after) == run_in_order(before)
    assert total(after) < total(before) or after == before


def test_a_transfer_waits_for_some_rows_of_a_long_computation() -> None:
    """A row of slot 0 is loaded anew as soon as it has been read."""
    module = module_of([("add", 0, 0, 1), ("row", 3, 0, 0), ("add", 0, 0, 2)])
    before = instructions(module)
    with patch.object(filling, "LONG", 0):
        apply(module, NpuFillWaitsPass())
    after = instructions(module)
    assert run_in_order(after) == run_in_order(before)
    rows = [(0, range(row, row + 1)) for row in range(ROWS)]
    assert computed(after)[:ROWS] == rows
    assert total(after) < total(before)


def test_a_computation_that_waits_is_overtaken() -> None:
    module = module_of(WAITING)
    before = instructions(module)
    apply(module, NpuFillWaitsPass())
    assert computed(before) == [(1, range(4)), (0, range(4))]
    assert computed(instructions(module)) == [(0, range(4)), (1, range(4))]


def test_rows_whose_operands_are_there_go_first() -> None:
    """The last row of slot 0 comes last."""
    module = module_of([
        ("row", 0, 0, 0), ("row", 0, 0, 1), ("row", 0, 0, 2), ("load", 2, 2, 0), ("row", 0, 0, 3),
        ("add", 2, 2, 4), ("add", 0, 0, 3),
    ])  # fmt: skip
    before = instructions(module)
    apply(module, NpuFillWaitsPass())
    after = instructions(module)
    assert run_in_order(after) == run_in_order(before)
    found = computed(after)
    assert [(slot, rows.stop) for slot, rows in found[-2:]] == [(2, ROWS), (0, ROWS)]
    assert found[-1] == (0, range(3, 4))


def test_what_depends_on_one_that_waits_stays_behind_it() -> None:
    module = module_of([("load", 1, 1, 0), ("add", 1, 1, 2), ("add", 2, 2, 3)])
    before = instructions(module)
    apply(module, NpuFillWaitsPass())
    assert instructions(module) == before


def compared(slot: int) -> ArrayAttr[ObserveAttr]:
    """A slot that is compared when a command is done."""
    box, shape = LocalBox((1, 1, ROWS, WIDTH), (WORDS, WORDS, WIDTH, 1)), (1, 1, ROWS, WIDTH)
    tensor = Observation("y", slot * SLOT_BYTES, shape, "float32", packed=False, local=box)
    return ArrayAttr([ObserveAttr(tensor)])


@pytest.mark.parametrize("slot", [2, 4])
def test_what_is_compared_is_complete(slot: int) -> None:
    """The addition that waits makes slot 2: some rows of the other one come behind it."""
    module = module_of([("load", 1, 1, 0), ("add", 1, 1, 2), ("add", 4, 4, 3)])
    ops = [op for op in main_function(module).body.block.ops if isinstance(op, CommandOp)]
    ops[2].observe = compared(slot)
    apply(module, NpuFillWaitsPass())
    slots = [found for found, _ in computed(instructions(module))]
    assert slots[-1] == (4 if slot == 2 else 1)


def test_what_a_cut_computation_makes_is_compared_behind_its_last_part() -> None:
    module = module_of([("add", 0, 0, 1), ("row", 3, 0, 0), ("add", 0, 0, 2)])
    ops = [op for op in main_function(module).body.block.ops if isinstance(op, CommandOp)]
    ops[0].observe = compared(1)
    with patch.object(filling, "LONG", 0):
        apply(module, NpuFillWaitsPass())
    found = [op for op in main_function(module).body.block.ops if isinstance(op, CommandOp)]
    local = [op for op in found if op.instruction.engine is Engine.TIU]
    made = [op for op in local if (op.instruction["res0_addr"] & 0xFFFFF) // SLOT_BYTES == 1]
    assert len(made) > 1
    assert [op.observe is not None for op in made] == [False] * (len(made) - 1) + [True]


@pytest.mark.parametrize("seen", [False, True])
def test_what_is_compared_is_not_overwritten(seen: bool) -> None:
    """Slot 3 may be compared behind the addition that waits; the other one writes there."""
    module = module_of([("load", 1, 1, 0), ("add", 1, 1, 2), ("add", 4, 4, 3)])
    ops = [op for op in main_function(module).body.block.ops if isinstance(op, CommandOp)]
    if seen:
        ops[1].observe = compared(3)
    apply(module, NpuFillWaitsPass())
    slots = [slot for slot, _ in computed(instructions(module))]
    assert slots == ([1, 4] if seen else [4, 1])


def test_loads_of_what_goes_first_come_earlier() -> None:
    """A row of slot 4, behind loads of slot 1 that depend on a computation."""
    module = module_of([
        *[("load", 0, 0, 0)] * 3, ("add", 0, 0, 1), ("load", 1, 1, 0), ("row", 4, 4, 0),
        ("add", 1, 1, 2), *[("add", 4, 4, 3)] * 4,
    ])  # fmt: skip
    apply(module, NpuFillWaitsPass())
    slots = [slot for slot, _ in computed(instructions(module))]
    assert set(slots) == {0, 1, 4}
    assert slots[0] == 4
