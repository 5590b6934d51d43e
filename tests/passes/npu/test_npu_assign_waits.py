"""Waits: enough of them for every order of the engines, and none too many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Engine, Instruction
from dialects.bm1684.model import RaceError, run
from passes.commands import waits
from passes.image.groups import command_groups
from passes.module.functions import main_function
from passes.npu.npu_assign_waits import NpuAssignWaitsPass
from passes.npu.npu_hoist_loads import NpuHoistLoadsPass
from tests.passes.npu.streams import (
    COMMANDS,
    Command,
    apply,
    encoded,
    fresh_npu,
    instructions,
    module_of,
    run_in_order,
    state,
)


def numbered(commands: Sequence[Command], serial: bool = False) -> list[Instruction]:
    """The commands with their ids and waits."""
    module = module_of(commands)
    apply(module, NpuAssignWaitsPass(serial))
    return instructions(module)


@given(COMMANDS)
@settings(max_examples=40)
def test_every_order_that_the_waits_allow_gives_the_same(commands: Sequence[Command]) -> None:
    expected = run_in_order(instructions(module_of(commands)))
    for serial in (False, True):
        stream = numbered(commands, serial)
        for engine in Engine:
            ids = [inst.id for inst in stream if inst.engine is engine]
            assert ids == list(range(1, len(ids) + 1))
        for seed in (None, 0, 1):
            npu = fresh_npu()
            run(npu, [encoded(stream)], seed=seed)
            assert state(npu) == expected


@given(COMMANDS)
@settings(max_examples=25)
def test_every_wait_is_needed(commands: Sequence[Command]) -> None:
    stream = numbered(commands)
    for i, inst in enumerate(stream):
        if inst.wait:
            lowered = [*stream]
            lowered[i] = inst.with_ids(inst.id, inst.wait - 1)
            with pytest.raises(RaceError):
                run(fresh_npu(), [encoded(lowered)])


@given(COMMANDS)
@settings(max_examples=25)
def test_hoisted_streams_are_ordered_too(commands: Sequence[Command]) -> None:
    module = module_of(commands)
    expected = run_in_order(instructions(module))
    apply(module, NpuHoistLoadsPass(), NpuAssignWaitsPass())
    for seed in (None, 0):
        npu = fresh_npu()
        run(npu, [encoded(instructions(module))], seed=seed)
        assert state(npu) == expected


@given(COMMANDS)
@settings(max_examples=15)
def test_ids_start_again_in_a_new_group(commands: Sequence[Command]) -> None:
    limits = replace(BM1684.limits, ids_per_group=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waits, "BM1684", replace(BM1684, limits=limits))
        module = module_of(commands)
        apply(module, NpuAssignWaitsPass())
    groups = command_groups(main_function(module))
    streams = [encoded([op.instruction for op in group.commands]) for group in groups]
    assert all(len(data) <= 4 * 128 for group in streams for data in group)
    assert len(groups) >= -(-len(commands) // 8)
    npu = fresh_npu()
    run(npu, streams)
    assert state(npu) == run_in_order(instructions(module))


def test_a_serial_stream_waits_for_everything_before() -> None:
    stream = numbered([("load", 0, 0, 0), ("load", 1, 1, 0), ("add", 0, 0, 1), ("store", 4, 4, 0)],
                      serial=True)  # fmt: skip
    assert [(inst.id, inst.wait) for inst in stream] == [(1, 0), (2, 0), (1, 2), (3, 1)]
