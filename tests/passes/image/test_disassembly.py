"""Command bytes as text."""

from __future__ import annotations

import pytest

from bmnetu.pipeline import run_pipeline
from dialects.bm1684.isa import ARITH, MOVE, Engine, IsaError
from passes.image.disassembly import disassemble
from passes.image.groups import Sites
from passes.image.program import Program
from passes.module.locations import location_text
from tests.pipelines import static_passes
from tests.random_nets import random_module


@pytest.fixture(scope="module")
def compiled() -> tuple[Program, Sites]:
    """A network with both engines at work."""
    module = random_module(3, True)
    run_pipeline(module, static_passes(1, "INT8"))
    return Program.of(module), Sites.of(module)


def test_lines_name_layers_and_final_tensors(compiled: tuple[Program, Sites]) -> None:
    program, sites = compiled
    lines = list(disassemble(program.groups, sites))
    ops = [op for group in sites.groups for op in group.commands]
    assert len(lines) == len(ops)
    for line, op in zip(lines, ops, strict=True):
        text, _, behind = line.partition(" ; ")
        assert behind.startswith(location_text(op.location))
        assert behind.count("final=") == len(op.observations)
        assert text.endswith(op.instruction.with_ids(0, 0).text())
    assert any("final=" in line for line in lines)


def test_bytes_alone_are_enough(compiled: tuple[Program, Sites]) -> None:
    """The same lines without layers, each command behind the one it waits for."""
    program, sites = compiled
    lines = list(disassemble(program.groups))
    known = (line.partition(" ; ")[0] for line in disassemble(program.groups, sites))
    assert sorted(lines) == sorted(known)
    done = {"tiu": 0, "gdma": 0}
    for line in lines:
        _, engine, number, wait = line.replace("<", " ").split()[:4]
        assert int(wait) <= done["gdma" if engine == "tiu" else "tiu"]
        assert int(number) == done[engine] + 1
        done[engine] += 1


def test_commands_that_wait_for_each_other_are_shown_too() -> None:
    tiu = ARITH.build().with_ids(1, 1).pack()
    gdma = MOVE.build().with_ids(1, 1).pack()
    found = [line.split()[1] for line in disassemble([(tiu, gdma)])]
    assert found == [Engine.TIU.value, Engine.GDMA.value]


def test_bytes_that_are_no_command_are_an_error() -> None:
    with pytest.raises(IsaError, match="128 bytes, not 100"):
        list(disassemble([(bytes(100), b"")]))
