"""Hoisted loads: the same commands, the same meaning."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings

from dialects.bm1684.isa import Direction, Engine, Instruction
from passes.npu.npu_hoist_loads import NpuHoistLoadsPass
from tests.passes.npu.streams import (
    COMMANDS,
    Command,
    apply,
    instructions,
    module_of,
    run_in_order,
)


def kind_of(inst: Instruction) -> str:
    if inst.engine is Engine.TIU:
        return "tiu"
    return "load" if inst["direction"] == Direction.SYSTEM_TO_LOCAL else "store"


@given(COMMANDS)
@settings(max_examples=60)
def test_the_meaning_stays(commands: Sequence[Command]) -> None:
    module = module_of(commands)
    before = instructions(module)
    apply(module, NpuHoistLoadsPass())
    after = instructions(module)
    assert sorted(i.text() for i in after) == sorted(i.text() for i in before)
    assert run_in_order(after) == run_in_order(before)
    for kind in ("load", "store", "tiu"):
        assert [i for i in after if kind_of(i) == kind] == [i for i in before if kind_of(i) == kind]


def test_the_next_tile_is_loaded_while_this_one_is_computed() -> None:
    module = module_of([("load", 0, 0, 0), ("add", 0, 0, 1), ("store", 1, 2, 0),
                        ("load", 1, 2, 0), ("add", 2, 2, 3), ("store", 3, 3, 0)])  # fmt: skip
    apply(module, NpuHoistLoadsPass())
    kinds = [kind_of(inst) for inst in instructions(module)]
    assert kinds == ["load", "tiu", "load", "store", "tiu", "store"]
