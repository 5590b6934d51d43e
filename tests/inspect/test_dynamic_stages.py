"""``debug`` and ``map`` of dynamic stages: record by record it is the same run, at any shape."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bmnetu
from bmnetu.bmodel.notes import RECORD
from bmnetu.errors import FaultError, UnsupportedError, UsageError
from bmnetu.inspect.chosen import Chosen
from bmnetu.inspect.debugger import Debugger, open_stage
from bmnetu.inspect.execution import inner_names, launch, record_results, run_stage
from bmnetu.inspect.inputs import at_shapes
from bmnetu.inspect.record_lifetimes import SCRATCH, record_events
from bmnetu.inspect.records import stream_of
from dialects.bm1684.chip import BM1684
from dialects.bm1684.model import Space
from passes.verification.inputs import random_inputs
from tests.calibration.harness import data_layer, layer
from tests.inspect.files import Capture, as_json, changed, file, path_of, result, run, stage_of
from tests.networks import random_weights

Array = NDArray[Any]
KINDS = ("dynamic", "dynamic INT8")


def opened(kind: str, batch: int | None = None) -> Chosen:
    found = open_stage(file(kind))
    shapes = [(batch or t.shape[0], *t.shape[1:]) for t in found.stage.inputs]
    return at_shapes(found, shapes)


def inputs_of(found: Chosen, seed: int = 0) -> dict[str, Array]:
    kinds = [(t.shape, t.data_type.numpy) for t in found.stage.inputs]
    made = random_inputs(kinds, seed)
    return {t.name: array for t, array in zip(found.stage.inputs, made, strict=True)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 2])
def test_steps_are_the_run(kind: str, batch: int) -> None:
    found = opened(kind, batch)
    inputs = inputs_of(found)
    expected = run_stage(found, inputs, inner_names(found))
    debugger = Debugger(found, inputs)
    count = len(stream_of(found).groups)
    seen: dict[str, Array] = {}
    for number in range(count):
        (wait,) = debugger.waits()
        assert (wait.engine, wait.number, wait.needed, wait.ended) == (RECORD, number, number,
                                                                       number)  # fmt: skip
        stop = debugger.step()
        assert stop is not None
        assert (stop.engine, stop.number) == (RECORD, number)
        assert stop.layer == found.layer(0, RECORD, number + 1) != ""
        seen |= {n: debugger.tensor(n) for n in debugger.names
                 if debugger.is_final(n) and n not in seen}  # fmt: skip
    assert (debugger.step(), debugger.finished, debugger.waits()) == (None, True, [])
    assert seen.keys() == {*debugger.names}
    for name, value in (expected.inner | expected.outputs | inputs).items():
        np.testing.assert_array_equal(seen[name], value)
        assert seen[name].dtype == value.dtype


def test_breaks_and_a_reference() -> None:
    found = opened("dynamic", 1)
    inputs = inputs_of(found)
    whole = run_stage(found, inputs, inner_names(found))
    reference = whole.inner | whole.outputs
    bad = found.notes.tensors[1].name
    reference[bad] = reference[bad] + 1
    debugger = Debugger(found, inputs, reference)
    stop = debugger.run_to(layer="conv")
    assert stop is not None
    assert (stop.layer, [each.name for each in debugger.compare()][-1:]) == ("conv", [
        found.notes.tensors[stop.number].name])  # fmt: skip
    last = len(stream_of(found).groups) - 1
    stop = debugger.run_to(record=last)
    assert stop is not None
    assert stop.number == last
    assert debugger.run() is None
    assert [each.name for each in debugger.compare() if not each.equal] == [bad]
    with pytest.raises(UsageError, match=f"has no record {last + 1}: there are {last + 1}"):
        debugger.run_to(record=last + 1)


def test_what_cannot_be_looked_at() -> None:
    found = opened("dynamic")
    debugger = Debugger(found, inputs_of(found))
    (output,) = found.stage.outputs
    with pytest.raises(UsageError, match="is not yet computed"):
        debugger.tensor(output.name)
    for space in (Space.LMEM, Space.L2):
        with pytest.raises(UnsupportedError, match="the chip's firmware decides"):
            debugger.memory(space, 0, 4)
    start = BM1684.context_start
    size = found.stage.context_address + found.stage.context_size - start
    first = debugger.memory(Space.DDR, start, 4).tobytes()
    assert first == found.stage.coeff[:4]
    for address, count in ((start - 1, 4), (start + size - 3, 4), (start, -1)):
        with pytest.raises(UsageError, match="outside of the net's memory"):
            debugger.memory(Space.DDR, address, count)
    (tensor,) = found.stage.inputs
    for shape in ((tensor.shape[0] + 1, *tensor.shape[1:]), tensor.shape[1:]):
        with pytest.raises(UsageError, match="takes up to"):
            Debugger(found, {tensor.name: np.zeros(shape, np.float32)})


def test_a_session_at_a_smaller_shape(capsys: Capture) -> None:
    (tensor,) = stage_of(result("FP32", dyn=True)).inputs
    shape = ",".join(map(str, (1, *tensor.shape[1:])))
    typed = "break record:0\nrun\nwaits\nwhere\nprint data\nmem 0x105100000 4\nmem l2:0 4\nrun\n"
    code, out, err = run(capsys, "debug", file("dynamic"), f"--shapes=[{shape}]", typed=typed)
    lines = out.splitlines()
    assert f"dynamic, at \"data\" {shape.replace(',', 'x')}: " in lines[0]
    assert lines[1:4] == ["break record:0", 'record 0 of layer "conv"', lines[3]]
    assert lines[3].startswith("record 1, ")
    assert lines[3].endswith(": may start, needs 1 record, 1 has ended")
    assert lines[-1] == "the end"
    assert f"float32 {shape.replace(',', 'x')}" in out
    assert (code, err.count("error: ")) == (4, 1)  # the code of the first error: no L2
    largest = "x".join(map(str, tensor.shape))
    code, _, err = run(capsys, "debug", file("dynamic"), "--shapes=[99,3,9,9]")
    assert code == 2
    assert "--shapes: no stage takes 99x3x9x9; the net takes stage 0: " in err
    assert err.endswith(f': "data" up to {largest}\n')


def test_what_failed_is_said_again(capsys: Capture) -> None:
    code, out, err = run(capsys, "debug", flat(), "--shapes=[2,3,6,6]",
                         typed="run\nrun\nwaits\nstep\nwhere\n")  # fmt: skip
    assert (code, err.count("error: "), len({*err.splitlines()[-4:]})) == (2, 4, 1)
    assert "the end" not in out
    assert "may start" not in out
    assert out.endswith("the next one failed\n")


@cache
def flat() -> Path:
    """A dynamic net that an InnerProduct binds to one height and width."""
    folder = Path(mkdtemp())
    model, weight = folder / "net.prototxt", folder / "net.caffemodel"
    model.write_text(data_layer(2, 3, 8, 8) + layer(
        "InnerProduct", "data", "a", "inner_product_param { num_output: 2 }"
    ))  # fmt: skip
    weight.write_bytes(random_weights(model, 1).SerializeToString())
    return path_of(bmnetu.compile(model, weight, folder / "a", dyn=True, cmp=False))


@pytest.mark.parametrize("command", ["map", "run", "debug"])
def test_a_shape_that_a_record_does_not_take(command: str, capsys: Capture) -> None:
    """It is the user's fault, not the file's."""
    assert run(capsys, command, flat(), "--shapes=[1,3,8,8]", typed="run")[0] == 0
    code, _, err = run(capsys, command, flat(), "--shapes=[2,3,6,6]", typed="run")
    assert (code, err.count("error: ")) == (2, 1)
    assert ', stage 0 does not take the shape "data" 2x3x6x6, though none is larger' in err
    assert ": record " in err


def test_damaged_records_are_so_at_any_shape() -> None:
    found = open_stage(flat())
    (tensor,) = found.stage.inputs
    bad = replace(found.stage, inputs=(replace(tensor, shape=(2, 3, 9, 9)),))
    with pytest.raises(FaultError, match="stage 0, record"):
        record_events(at_shapes(replace(found, stage=bad), [(2, 3, 6, 6)]))


def test_several_nets_are_named(capsys: Capture, tmp_path: Path) -> None:
    both = tmp_path / "both.bmodel"
    assert run(capsys, "combine", file("dynamic"), flat(), f"--out={both}")[0] == 0
    _, _, err = run(capsys, "map", both, "--shapes=[99,3,9,9]")
    assert '; net "small" takes stage 0: "data" up to ' in err
    assert ', and net "net" takes stage 0: "data" up to 2x3x8x8\n' in err
    code, _, err = run(capsys, "map", both, "--shapes=[1,3,9,9],[1]")
    assert (code, '2 are given, net "small" has 1 inputs: "data"' in err) == (2, True)


# -- map -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 2])
def test_what_is_free_can_be_overwritten(kind: str, batch: int) -> None:
    """After each record all of the neurons that is not in use holds other bytes, and the outputs
    are the same; what a record writes is what it is said to write."""
    found = opened(kind, batch)
    events, blocks = record_events(found)
    inputs = inputs_of(found)
    expected = run_stage(found, inputs).outputs
    stream = stream_of(found)
    machine = launch(found, stream, list(inputs.values()))
    first = found.stage.context_address - BM1684.context_start
    rng = np.random.default_rng(3)
    for at, event in enumerate(events):
        before = machine.memory[first:].copy()
        record_results(found, machine, at)
        written = np.zeros(len(before), bool)
        for access in event.touched:
            if access.write:
                written[_part(found, access.start, access.stop)] = True
        assert not (machine.memory[first:] != before)[~written].any()
        free = np.ones(len(before), bool)
        for block in blocks:
            if block.first <= at < block.last:
                free[_part(found, block.start, block.stop)] = False
        machine.memory[first:][free] = rng.integers(1, 256)
    for id, tensor in zip(stream.outputs, found.stage.outputs, strict=True):
        value = machine.outputs[id].view(tensor.data_type.numpy)
        np.testing.assert_array_equal(value, expected[tensor.name])


def _part(found: Chosen, start: int, stop: int) -> slice:
    return slice(start - found.stage.context_address, stop - found.stage.context_address)


@pytest.mark.parametrize("kind", KINDS)
def test_the_map(kind: str, capsys: Capture) -> None:
    (record,) = as_json(capsys, "map", file(kind))
    found = opened(kind)
    count = len(stream_of(found).groups)
    assert [event["number"] for event in record["events"]] == list(range(count))
    assert record["neurons"]["peak"]["bytes"] == max(n for _, n in record["neurons"]["used"]) > 0
    names = {t["name"] for t in record["neurons"]["tensors"]}
    inner = {t.name for t in found.notes.tensors} - {t.name for t in found.stage.outputs}
    assert names >= inner
    others = {name for name in names - inner if name != SCRATCH}
    assert all(name.removeprefix("t").isdigit() for name in others)
    assert others.isdisjoint(t.name for t in found.stage.outputs)
    (tensor,) = found.stage.inputs
    smaller = ",".join(map(str, (1, *tensor.shape[1:])))
    (less,) = as_json(capsys, "map", file(kind), f"--shapes=[{smaller}]")
    if kind == "dynamic":  # 8-bit tensors have the room of four images
        assert less["neurons"]["peak"]["bytes"] < record["neurons"]["peak"]["bytes"]
    code, out, err = run(capsys, "map", file(kind))
    assert (code, err) == (0, "")
    assert "local memory: the chip's firmware decides at every launch" in out
    code, _, err = run(capsys, "map", file(kind), "--shapes=[1,3]")
    assert (code, "--shapes: no stage takes 1x3" in err) == (2, True)


def test_an_address_outside_is_a_fault(capsys: Capture, tmp_path: Path) -> None:
    """The context of the file is smaller than what its records write."""
    stage = stage_of(result("FP32", dyn=True))
    last = stage.context_address + stage.context_size
    border = [replace(t, address=stage.context_address) for t in (*stage.inputs, *stage.outputs)]
    inputs = len(stage.inputs)
    path = changed(path_of(result("FP32", dyn=True)), tmp_path, context_size=4096,
                   inputs=tuple(border[:inputs]), outputs=tuple(border[inputs:]))  # fmt: skip
    assert last - stage.context_address > 4096
    code, out, err = run(capsys, "map", path, "--json")
    assert (code, out) == (5, "")
    assert "lie outside of the neurons" in err
