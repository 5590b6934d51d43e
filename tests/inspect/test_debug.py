"""``bmnetu-model debug`` and :class:`Debugger`: step by step it is the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bmnetu.bmodel import Notes
from bmnetu.emit.static import placed, stage_program
from bmnetu.errors import FaultError, UsageError
from bmnetu.inspect.chosen import Chosen
from bmnetu.inspect.debugger import Debugger, Stop, open_stage
from bmnetu.inspect.execution import run_stage
from bmnetu.inspect.steps import decoded
from dialects.bm1684 import isa
from dialects.bm1684.isa import Engine
from dialects.bm1684.model import Space, execute
from passes.verification.inputs import random_inputs
from passes.verification.npu import started
from tests.inspect.files import (
    STATIC,
    Capture,
    changed,
    file,
    path_of,
    result,
    run,
    several,
    stage_of,
)
from tests.inspect.test_check import edited, late_wait

Array = NDArray[Any]


def inputs_of(found: Chosen) -> dict[str, Array]:
    inputs = found.stage.inputs
    made = random_inputs([(t.shape, t.data_type.numpy) for t in inputs], 0)
    return {t.name: array for t, array in zip(inputs, made, strict=True)}


def opened(kind: str, **reference: Array) -> Debugger:
    found = open_stage(file(kind))
    return Debugger(found, inputs_of(found), reference)


@pytest.mark.parametrize("kind", STATIC)
def test_steps_are_the_run(kind: str) -> None:
    debugger = opened(kind)
    stage = debugger.found.stage
    stops: list[Stop] = []
    while (stop := debugger.step()) is not None:
        stops.append(stop)
    counts = [count for g in stage.groups for count in (g.tiu_count, g.gdma_count)]
    assert len(stops) == sum(counts) + sum(s.host is not None for s in stage.subnets)
    assert len(set(stops)) == len(stops) == debugger.steps
    assert debugger.last == stops[-1]
    expected = run_stage(debugger.found, inputs_of(debugger.found)).outputs
    for name, array in expected.items():
        assert debugger.is_final(name)
        if kind != "host":  # which has rows that are not found
            np.testing.assert_array_equal(debugger.tensor(name), array)
    assert debugger.step() is None


@pytest.mark.parametrize("kind", ["FP32", "INT8"])
def test_memory_and_waits_at_each_step(kind: str) -> None:
    """As a second model has them, which executes the commands that are said to be next."""
    debugger = opened(kind)
    stage = debugger.found.stage
    (queues,) = map(decoded, stage.groups)
    tensors = {placed(t): inputs_of(debugger.found)[t.name] for t in stage.inputs}
    npu = started(stage_program(stage), tensors, None)
    rng = np.random.default_rng(2)
    while waits := debugger.waits():
        able = [wait for wait in waits if wait.needed <= wait.ended]
        expected = able[0].command
        assert expected is not None
        assert expected == queues[expected.engine][expected.number - 1]
        assert expected.instruction is not None
        execute(npu, expected.instruction)
        stop = debugger.step()
        assert stop is not None
        assert (stop.engine, stop.number) == (expected.engine, expected.number)
        for _ in range(5):
            lane, at, size = (int(n) for n in (rng.integers(64), rng.integers(4096), 500))
            np.testing.assert_array_equal(
                debugger.memory(Space.LMEM, at, size, lane), npu.lmem[lane, at : at + size]
            )
        neurons = stage.context_address, stage.context_size
        np.testing.assert_array_equal(debugger.memory(Space.DDR, *neurons), npu.ddr_view(*neurons))
    assert debugger.step() is None


def test_a_layer_is_done_where_it_stops() -> None:
    """At opt 0 each layer's tensor lies in DDR: at the stop it has its values."""
    debugger = opened("opt 0")
    found = debugger.found
    layers = [name for name, _ in found.notes.layers]
    names = [t.name for t in found.notes.tensors]
    expected = run_stage(found, inputs_of(found), names).inner
    for layer in layers:
        stop = debugger.run_to(layer=layer)
        assert stop is not None
        assert stop.layer == layer
        own = [t.name for t in found.notes.tensors
               if found.layer(t.group, t.engine, t.number) == layer]  # fmt: skip
        assert own
        for name in own:
            assert debugger.is_final(name)
            np.testing.assert_array_equal(debugger.tensor(name), expected[name])


def test_commands() -> None:
    debugger = opened("FP32")
    stop = debugger.run_to(command=(0, Engine.GDMA, 3))
    assert stop is not None
    assert (stop.group, stop.engine, stop.number) == (0, "gdma", 3)
    last = debugger.found.stage.groups[0].tiu_count
    stop = debugger.run([(0, Engine.GDMA, 2), (0, Engine.TIU, last)])
    assert stop is not None
    assert (stop.engine, stop.number) == ("tiu", last)
    assert debugger.run() is None
    assert debugger.finished


def layer_weight(layer: str) -> int:
    """The offset of the first weight that a layer of the file of opt 0 loads."""
    stage = stage_of(result("FP32", 0))
    found = Chosen("", 0, stage)
    (group,) = stage.groups
    for command in decoded(group)[Engine.GDMA]:
        assert command.instruction is not None
        offset = isa.start_of(command.instruction, "src") - stage.coeff_address
        if 0 <= offset < len(stage.coeff) and found.layer(0, "gdma", command.number) == layer:
            return offset
    raise AssertionError(layer)


@pytest.mark.parametrize("layer", ["conv", "fc"])
def test_a_wrong_weight_is_found_in_its_layer(
    layer: str, capsys: Capture, tmp_path: Path
) -> None:
    stage = stage_of(result("FP32", 0))
    notes = Notes.parse(stage.notes)
    assert notes is not None
    names = list(dict.fromkeys(t.name for t in notes.tensors))
    good = tmp_path / "good.npz"
    words = ("run", file("opt 0"), f"--dump={','.join(names)}", f"--out={good}")
    assert run(capsys, *words)[0] == 0
    debug = ("debug", file("opt 0"), f"--reference={good}")
    code, out, _ = run(capsys, *debug, typed="run\ncompare\n")
    assert (code, out.count(", ok"), "DIFFERS" in out) == (0, len(names), False)
    at = layer_weight(layer)
    value = np.frombuffer(stage.coeff[at : at + 4], np.float32) + np.float32(9)
    bad = changed(file("opt 0"), tmp_path, coeff=stage.coeff[:at] + value.tobytes()
                  + stage.coeff[at + 4 :])  # fmt: skip
    code, out, _ = run(capsys, "debug", bad, debug[2], typed="run\ncompare\n")
    assert code == 5
    first = out.rpartition("the first that differs: ")[2].strip().strip('"')
    assert first.split("/")[0] == layer


def test_references_that_do_not_fit() -> None:
    (name,) = (t.name for t in open_stage(file("INT8")).stage.outputs)
    debugger = opened("INT8", **{name: np.ones(3, np.int8)})
    debugger.run()
    (found,) = debugger.compare()
    assert (found.equal, "the reference has the shape [3]" in found.trouble) == (False, True)
    value = debugger.tensor(name)
    other = value.astype(np.float32 if value.dtype.kind in "iu" else np.int64)
    debugger = opened("INT8", **{name: other})
    assert debugger.compare() == []
    debugger.run()
    (found,) = debugger.compare()
    assert (found.equal, f"the reference holds {other.dtype}" in found.trouble) == (False, True)


@pytest.mark.parametrize("kind", STATIC)
def test_inputs_are_stored_as_the_stage_has_them(kind: str) -> None:
    found = open_stage(file(kind))
    given = inputs_of(found)
    wide = {
        name: array.astype(np.float64 if array.dtype.kind == "f" else np.int64)
        for name, array in given.items()
    }
    outputs: list[Array] = []
    for inputs in (given, wide):
        debugger = Debugger(found, inputs)
        debugger.run()
        outputs.append(debugger.tensor(found.stage.outputs[0].name))
    first, second = outputs
    np.testing.assert_array_equal(first, second)


def test_inputs_that_do_not_fit() -> None:
    found = open_stage(file(STATIC[0]))
    (name, array), *_ = inputs_of(found).items()
    with pytest.raises(UsageError, match=f'takes .*"{name}".*, not none'):
        Debugger(found, {})
    with pytest.raises(UsageError, match=f'takes .*, not "{name}x"'):
        Debugger(found, {f"{name}x": array})
    with pytest.raises(UsageError, match=f'input "{name}" takes'):
        Debugger(found, {**inputs_of(found), name: array[:, :, :1]})


def test_faults(tmp_path: Path) -> None:
    stage = stage_of(result("FP32"))
    path = changed(path_of(result("FP32")), tmp_path, groups=edited(stage, late_wait))
    found = open_stage(path)
    debugger = Debugger(found, inputs_of(found))
    with pytest.raises(FaultError, match="deadlock"):
        debugger.run()
    assert debugger.finished
    with pytest.raises(FaultError, match="deadlock"):
        debugger.step()
    assert [each.may_start for each in debugger.waits()] == [False, False]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("brake conv", "there is no command 'brake'"),
        ("break cnov", 'did you mean "conv"?'),
        ("break 0:gdma:999", "has no gdma command 999 in a group 0"),
        ("break 1:tiu:1", "has no tiu command 1 in a group 1"),
        ("break 0:gdma:0", "has no gdma command 0"),
        ("print dta", 'did you mean "data"?'),
        ("step -1", "'-1' is no number from 0 on"),
        ("mem 0 8", "are outside"),
        ("mem lmem:64:0 8", "there is no lane 64"),
        ("mem lmem:0:0x7fffe 8", "lmem has 0x80000 bytes"),
        ("mem l2:0x400000 8", "l2 has 0x400000 bytes"),
        ("mem weights:0 9999", "at most 4096 bytes"),
        ("mem x 8", "mem ADDRESS SIZE, as in"),
        ("mem 010", "mem ADDRESS SIZE, as in"),
        ("compare", "give --reference=FILE.npz"),
        ("where now", "where takes no words"),
        ("help me", "there is no command 'me'"),
        ("!ls", "there is no command '!ls'"),
    ],
)
def test_what_is_typed_wrong(line: str, sentence: str, capsys: Capture) -> None:
    """One sentence, and the session goes on; the exit code tells it."""
    words = ("debug", file("FP32"), "--seed=1")
    code, out, err = run(capsys, *words, typed=f"{line}\nstep\nwhere\n")
    assert code == 2
    assert err.count("error: ") == 1
    assert sentence in err
    assert "1 executed" in out


def test_a_session(capsys: Capture, tmp_path: Path) -> None:
    stage = stage_of(result("FP32"))
    (tensor,) = stage.inputs
    np.save(tmp_path / "in.npy", np.full(tensor.shape, 1.5, np.float32))
    typed = """
        break conv
        break 0:tiu:1
        where
        print data
        run
        run
        where
        mem neurons:0 20
        mem weights:0 4
        waits
        step 10000
        where
        waits
        quit
        step
    """
    words = ("debug", file("FP32"), f"--input={tmp_path / 'in.npy'}")
    code, out, err = run(capsys, *words, typed=typed)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[1:5] == ["break conv", "break conv", "break 0:tiu:1", "at the begin: 0 executed"]
    assert lines[5].startswith('"data" float32 2x3x9x9, from 1.5 to 1.5')
    assert lines[6] == "1.5 " * 16 + "..."
    assert lines[7] == 'group 0, tiu command 1 of layer "conv"'
    assert lines[8].endswith(' of layer "conv"')
    assert lines[9].startswith(lines[8] + ": ")
    address = stage.context_address
    assert lines[10] == f"{address:#x}: 0000c03f 0000c03f 0000c03f 0000c03f"
    assert lines[11] == f"{address + 16:#x}: 0000c03f"
    assert lines[12] == f"{stage.coeff_address:#x}: {stage.coeff[:4].hex()}"
    assert lines[-1] == "no command is next"
    assert ", at the end" in lines[-2]


def test_help_has_all_commands(capsys: Capture) -> None:
    _, out, _ = run(capsys, "debug", file("FP32"), typed="help\n")
    for name in ("step", "run", "break", "print", "mem", "waits", "where", "compare", "quit"):
        assert any(line.startswith(name) for line in out.splitlines())
        _, own, _ = run(capsys, "debug", file("FP32"), typed=f"help {name}\n")
        assert own.splitlines()[-1].startswith(name)


def test_a_fault_in_a_session(capsys: Capture, tmp_path: Path) -> None:
    stage = stage_of(result("FP32"))
    path = changed(path_of(result("FP32")), tmp_path, groups=edited(stage, late_wait))
    code, out, err = run(capsys, "debug", path, typed="run\nwhere\nwaits\n")
    assert (code, err.count("deadlock")) == (5, 1)
    assert "tiu command 1, conv: waits" in out
    assert "executed, the next one failed" in out


def test_files_of_the_reference(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK no")
    for name, sentence in (("none.npz", "no such file"), ("bad.npz", "bad.npz")):
        words = ("debug", file("FP32"), f"--reference={tmp_path / name}")
        code, _, err = run(capsys, *words)
        assert (code, sentence in err) == (3, True)
    code, _, err = run(capsys, "debug", several())
    assert (code, "--net must be given" in err) == (2, True)


def test_stages_of_a_file() -> None:
    assert open_stage(several(), "first", 1).stage.inputs[0].shape[0] == 1
    for net, stage in (("third", 0), ("second", 1)):
        with pytest.raises(UsageError, match="has no net"):
            open_stage(several(), net, stage)
