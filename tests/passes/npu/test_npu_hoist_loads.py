"""Hoisted loads: the same commands, the same meaning."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings

from dialects.bm1684.isa import Direction, Engine, Instruction
from passes.npu.npu_hoist_loads import NpuHoistLoadsPass
from tests.passes.npu.streams import (
    COMMANDS,
    COMMANDS_AND_TABLES,
    Command,
    apply,
    instructions,
    module_of,
    run_in_order,
)


def kind_of(inst: Instruction) -> str:
    if inst.engine is Engine.TIU:
        return "tiu"
    names = {Direction.SYSTEM_TO_LOCAL: "load", Direction.SYSTEM_TO_SYSTEM: "table"}
    return names.get(Direction(inst["direction"]), "store")


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


@given(COMMANDS_AND_TABLES)
@settings(max_examples=100)
def test_the_meaning_stays_with_tables(commands: Sequence[Command]) -> None:
    module = module_of(commands)
    before = instructions(module)
    apply(module, NpuHoistLoadsPass())
    assert run_in_order(instructions(module)) == run_in_order(before)


def test_a_table_comes_before_results_are_stored_and_loaded_again() -> None:
    """Not before the store that makes it, nor before a load that needs none of the stores."""
    module = module_of([("load", 0, 0, 0), ("add", 0, 0, 1), ("store", 1, 2, 0), ("add", 1, 1, 3),
                        ("load", 3, 3, 0), ("table", 1, 0, 0)])  # fmt: skip
    apply(module, NpuHoistLoadsPass())
    assert kind_of(instructions(module)[-1]) == "table"
    module = module_of([("load", 0, 0, 0), ("add", 0, 0, 1), ("store", 1, 2, 0), ("load", 2, 3, 0),
                        ("add", 3, 3, 4), ("store", 4, 3, 0), ("table", 1, 0, 0)])  # fmt: skip
    apply(module, NpuHoistLoadsPass())
    kinds = [kind_of(inst) for inst in instructions(module)]
    assert kinds == ["load", "tiu", "table", "store", "load", "tiu", "store"]
    module = module_of([("load", 0, 0, 0), ("add", 0, 0, 1), ("store", 1, 2, 0), ("load", 2, 3, 0),
                        ("add", 3, 3, 4), ("store", 4, 3, 0), ("table", 3, 0, 0)])  # fmt: skip
    apply(module, NpuHoistLoadsPass())
    assert kind_of(instructions(module)[-1]) == "table"
