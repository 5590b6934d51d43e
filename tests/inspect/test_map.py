"""``bmnetu-model map``: what it calls free can be overwritten."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from bmnetu.bmodel import Notes, read
from bmnetu.emit.static import placed, stage_program
from bmnetu.inspect.chosen import Chosen
from bmnetu.inspect.commands.map import COLUMNS, EIGHTHS, ROWS, chart
from bmnetu.inspect.execution import run_stage
from bmnetu.inspect.lifetimes import Block, Event, blocks_of, events_of, joined, neurons, usage
from bmnetu.inspect.steps import decoded
from dialects.bm1684.isa import Engine
from dialects.bm1684.model import Access, Space, execute
from passes.verification.inputs import random_inputs
from passes.verification.npu import read_tensor, started
from tests.inspect.files import STATIC, Capture, as_json, file, result, run, several, stage_of


def touched(rng: Random) -> list[tuple[int, Access]]:
    """Random accesses to a small memory."""
    found: list[tuple[int, Access]] = []
    for at in range(rng.randrange(1, 12)):
        for write in sorted(rng.choices([False, True], k=rng.randrange(3))):
            start = rng.randrange(20)
            found.append((at, Access(Space.DDR, 0, 0, start, start + rng.randrange(1, 9), write)))
    return found


def uses(own: list[tuple[int, bool]]) -> set[int]:
    """The events during which one byte is in use, by its accesses alone."""
    found: set[int] = set()
    runs: list[list[tuple[int, bool]]] = []
    for at, write in own:
        if not runs or (write and not runs[-1][-1][1]):
            runs.append([])
        runs[-1].append((at, write))
    for each in runs:
        found |= set(range(each[0][0], each[-1][0] + 1))
    return found


@pytest.mark.parametrize("seed", range(200))
def test_blocks_are_those_of_each_byte(seed: int) -> None:
    given = touched(Random(seed))
    blocks = blocks_of(given)
    for byte in range(30):
        own = [(at, a.write) for at, a in given if a.start <= byte < a.stop]
        mine = [block for block in blocks if block.start <= byte < block.stop]
        ends = [block.last + (not block.replaced) for block in mine]
        found = [at for b, end in zip(mine, ends, strict=True) for at in range(b.first, end)]
        assert len(found) == len(set(found))
        assert set(found) == uses(own)


def at(cycles: range) -> Event:
    return Event(0, "tiu", 1, "", (), cycles.start, cycles.stop)


def test_usage_over_time() -> None:
    """Two engines: the second command begins while the first one runs."""
    events = [at(range(0, 10)), at(range(4, 6)), at(range(10, 12))]
    blocks = [Block(0, 100, 0, 0), Block(200, 230, 1, 2), Block(300, 305, 2, 2)]
    assert usage(blocks, events) == [(0, 100), (4, 130), (10, 35), (12, 0)]
    replaced = Block(0, 100, 0, 2, replaced=True)
    assert usage([replaced, Block(0, 100, 2, 2)], events) == [(0, 100), (10, 100), (12, 0)]


@pytest.mark.parametrize("kind", ["FP32", "INT8", "opt 0", "opt 2"])
def test_what_is_free_can_be_overwritten(kind: str) -> None:
    """After each command all that is not in use holds other bytes, and the outputs are the same."""
    ((stage,),) = (net.stages for net in read(file(kind).read_bytes(), kind).nets)
    check_free(Chosen("", 0, stage))


def check_free(found: Chosen) -> None:
    stage = found.stage
    events = events_of(found)
    local = blocks_of((at, a) for at, event in enumerate(events) for a in event.touched
                      if a.space is Space.LMEM)  # fmt: skip
    far = neurons(found, events)
    arrays = random_inputs([(t.shape, t.data_type.numpy) for t in stage.inputs], 3)
    inputs = {t.name: array for t, array in zip(stage.inputs, arrays, strict=True)}
    npu = started(stage_program(stage), {placed(t): inputs[t.name] for t in stage.inputs}, None)
    queues = [decoded(group) for group in stage.groups]
    rng = np.random.default_rng(5)
    top = max(block.stop for block in local)
    for now, event in enumerate(events):
        command = queues[event.group][Engine(event.engine)][event.number - 1].instruction
        assert command is not None
        execute(npu, command)
        free = np.ones(top, bool)
        for block in local:
            if block.first <= now < block.last:
                free[block.start : block.stop] = False
        npu.lmem[:, :top][:, free] = rng.integers(1, 256)
        free = np.ones(stage.context_size, bool)
        for block in far:
            if block.first <= now < block.last or now == block.last == len(events) - 1:
                offset = block.start - stage.context_address
                free[offset : offset + block.stop - block.start] = False
        npu.ddr_view(stage.context_address, stage.context_size)[free] = rng.integers(1, 256)
    expected = run_stage(found, inputs).outputs
    for t in stage.outputs:
        value = read_tensor(npu, placed(t).observation())
        np.testing.assert_array_equal(value, expected[t.name])


@pytest.mark.parametrize("kind", STATIC)
def test_all_lies_in_the_memory(kind: str, capsys: Capture) -> None:
    """In the neurons, and in local memory; at no time is more in use than there is."""
    for record in as_json(capsys, "map", file(kind)):
        for t in record["neurons"]["tensors"]:
            assert 0 <= t["offset"] < t["offset"] + t["bytes"] <= record["neurons"]["bytes"]
        for area, whole in (("local", "lane_bytes"), ("neurons", "bytes")):
            used = record[area]["used"]
            assert record[area]["peak"]["bytes"] == max(bytes for _, bytes in used)
            assert 0 < record[area]["peak"]["bytes"] <= record[area][whole]
            assert used[-1][1] == 0
        profile = as_json(capsys, "profile", file(kind), f"--net={record['net']}",
                          f"--stage={record['stage']}")  # fmt: skip
        assert record["cycles"] == profile[0]["total"]["cycles"]


def test_bands_are_one_tensor() -> None:
    """Two bands, the second of which comes while the first is in use, and what follows in its
    place."""
    blocks = [Block(0, 10, 0, 5, "a"), Block(0, 10, 6, 7, "b"), Block(10, 20, 4, 9, "a")]
    assert joined(blocks) == [Block(0, 20, 0, 9, "a"), Block(0, 10, 6, 7, "b")]
    apart = [Block(0, 10, 0, 3, "a"), Block(10, 20, 4, 9, "a")]
    assert joined(apart) == apart


def test_names_of_tensors(capsys: Capture) -> None:
    """At opt 0 all tensors lie in DDR and have names; inputs from the begin, outputs to the end."""
    stage = stage_of(result("FP32", 0))
    notes = Notes.parse(stage.notes)
    assert notes is not None
    (record,) = as_json(capsys, "map", file("opt 0"))
    found = {t["name"]: t for t in record["neurons"]["tensors"] if t["name"]}
    tensors = (*stage.inputs, *stage.outputs)
    last = {(t.engine, t.number, t.address): t.name for t in notes.tensors}  # of one place
    assert found.keys() == {t.name for t in tensors} | {*last.values()}
    for t in tensors:
        assert found[t.name]["offset"] == t.address - stage.context_address
        assert found[t.name]["bytes"] == t.size
    assert [found[t.name]["first"] for t in stage.inputs] == [0] * len(stage.inputs)
    assert {found[t.name]["last"] for t in stage.outputs} == {len(record["events"]) - 1}


def test_the_layer_that_sets_the_peak(capsys: Capture) -> None:
    (record,) = as_json(capsys, "map", file("FP32"))
    event = record["events"][record["local"]["peak"]["event"]]
    _, text, _ = run(capsys, "map", file("FP32"))
    assert (f"of a lane in use, during group {event['group']}, {event['engine']} command"
            f" {event['number']} of layer \"{event['layer']}\"") in text  # fmt: skip


def test_several_stages(capsys: Capture) -> None:
    assert run(capsys, "map", several())[1].count("local memory: at most") == 3


def test_the_chart() -> None:
    lines = chart([(0, 10), (50, 80), (75, 0)], 100)
    assert len(lines) == ROWS + 2
    assert lines[0] == "80 |" + " " * (COLUMNS // 2) + EIGHTHS[8] * (COLUMNS // 4)
    assert lines[ROWS - 1].count(EIGHTHS[8]) == COLUMNS * 3 // 4
    assert lines[-1].endswith("100 cycles")
    assert chart([(0, 0)], 0)[0] == "0 |"
