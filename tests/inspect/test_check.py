"""``bmnetu-model check``: files of ours are right, planted faults are found and named."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bmnetu.bmodel import COEFF_ADDRESS, CommandGroup, HostCall, Stage
from bmnetu.inspect.chosen import Chosen
from bmnetu.inspect.faults import stage_faults
from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import COMMAND_BYTES, Direction, Engine, Instruction, unpack
from dialects.bm1684.model import ModelError, Npu
from dialects.bm1684.model import run as execute
from dialects.bm1684.record.stream import Neuron, RecordCode, pack
from dialects.bm1684.record.stream import unpack as unpack_records
from tests.inspect.files import (
    KINDS,
    Capture,
    as_json,
    changed,
    file,
    host_result,
    path_of,
    result,
    run,
    stage_of,
)

ENGINES = (Engine.TIU, Engine.GDMA)
Edit = Callable[[list[Instruction], list[Instruction]], None]


@pytest.mark.parametrize("kind", KINDS)
def test_our_own_files_have_no_fault(kind: str, capsys: Capture) -> None:
    code, out, err = run(capsys, "check", file(kind))
    assert (code, err) == (0, "")
    assert out.startswith(f"{file(kind)}: no fault (")
    found = as_json(capsys, "check", file(kind))
    assert (found["ok"], found["findings"]) == (True, [])
    assert found["commands"] > 0 or found["bytes_of_records"] > 0


def commands(stage: Stage) -> tuple[list[Instruction], list[Instruction]]:
    (group,) = stage.groups
    tiu, gdma = (
        [unpack(engine, data[at : at + COMMAND_BYTES]) for at in range(0, len(data), COMMAND_BYTES)]
        for engine, data in zip(ENGINES, (group.tiu, group.gdma), strict=True)
    )
    return tiu, gdma


def group_of(tiu: list[Instruction], gdma: list[Instruction]) -> CommandGroup:
    return CommandGroup(*(b"".join(c.pack() for c in some) for some in (tiu, gdma)))


def edited(stage: Stage, edit: Edit) -> tuple[CommandGroup]:
    both = commands(stage)
    edit(*both)
    return (group_of(*both),)


def field(engine: int, number: int, **values: int) -> Edit:
    def edit(*both: list[Instruction]) -> None:
        both[engine][number] = both[engine][number].replace(**values)

    return edit


def no_wait(*both: list[Instruction]) -> None:
    """The first TIU command no longer waits for what it reads."""
    tiu, _ = both
    (at, *_) = [i for i, c in enumerate(tiu) if c.wait]
    tiu[at] = tiu[at].with_ids(tiu[at].id, tiu[at].wait - 1)


def late_wait(*both: list[Instruction]) -> None:
    tiu, gdma = both
    tiu[0] = tiu[0].with_ids(1, len(gdma) + 1)


def stores(gdma: list[Instruction]) -> list[int]:
    return [i for i, c in enumerate(gdma) if c["direction"] == Direction.LOCAL_TO_SYSTEM]


def store_to(address: int) -> Edit:
    def edit(tiu: list[Instruction], gdma: list[Instruction]) -> None:
        at = stores(gdma)[-1]
        gdma[at] = gdma[at].replace(**isa.start("dst", address))

    return edit


CONTEXT = stage_of(result("FP32")).context_address
END = CONTEXT + stage_of(result("FP32")).context_size
FAULTS: dict[str, tuple[Edit, str, str]] = {
    "id": (
        lambda tiu, gdma: tiu.__setitem__(2, tiu[2].with_ids(7, tiu[2].wait)),
        "command", r"tiu command 3: its id is 7: ids must be 1, 2, 3 \.\.\. in each group",
    ),
    "race": (
        no_wait, "race",
        r"gdma command 2: move writes lmem 0x\w+\.\.0x\w+ of lanes 0\.\.2, tiu command 1 \(conv\)"
        r" reads lmem 0x.*, and no wait orders the two",
    ),
    "deadlock": (late_wait, "wait", r"tiu command 1: deadlock: tiu command 1 waits for gdma .*"),
    "field": (
        field(0, 0, opd0_addr=BM1684.local_base + 2), "command",
        r"tiu command 1: opd0_addr=0x8000002 is not a multiple of \d+ bytes",
    ),
    "behind the neurons": (
        store_to(END), "command",
        rf"gdma command \d+: it writes ddr {END:#x}\.\.0x\w+, which is neither in the weights .*",
    ),
    "before the weights": (store_to(COEFF_ADDRESS - 4096), "command", r"gdma command \d+: .*"),
    "into the weights": (
        store_to(COEFF_ADDRESS), "command",
        rf"gdma command \d+: it writes ddr {COEFF_ADDRESS:#x}\.\.0x\w+, which holds weights",
    ),
    "another output": (store_to(CONTEXT), "border", r'subnet 0: no command writes "prob" at 0x.*'),
}  # fmt: skip


@pytest.mark.parametrize("what", FAULTS)
def test_a_planted_fault_is_named(what: str, capsys: Capture, tmp_path: Path) -> None:
    edit, kind, sentence = FAULTS[what]
    stage = stage_of(result("FP32"))
    path = changed(path_of(result("FP32")), tmp_path, groups=edited(stage, edit))
    code, out, err = run(capsys, "check", path)
    assert code == 5
    place = 'net "small", stage 0, ' + ("" if kind == "border" else "group 0, ")
    named = re.sub(r'( command \d+) of layer "\w+":', r"\1:", out)
    assert (named == out) == (kind == "border")
    assert any(re.fullmatch(re.escape(place) + sentence, line) for line in named.splitlines()), out
    assert err.startswith(f"bmnetu-model: error: {path}: ")
    assert f"{kind} " in err
    code, out, _ = run(capsys, "check", path, "--json")
    found = json.loads(out)
    assert (code, found["ok"]) == (5, False)
    assert kind in {each["kind"] for each in found["findings"]}


def test_bytes_that_are_no_command(capsys: Capture, tmp_path: Path) -> None:
    """One finding: what then waits in vain for the others is none of its own."""
    (group,) = stage_of(result("FP32")).groups
    wrong = group.tiu[:COMMAND_BYTES] + b"\xff" * COMMAND_BYTES + group.tiu[2 * COMMAND_BYTES :]
    path = changed(path_of(result("FP32")), tmp_path, groups=(replace(group, tiu=wrong),))
    code, out, _ = run(capsys, "check", path)
    assert code == 5
    (line,) = out.splitlines()
    assert 'group 0, tiu command 2 of layer "conv": no tiu instruction has ' in line


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        (HostCall(9999, b""), "there is no host layer of number 9999"),
        (HostCall(0, b"\0" * 400), "400 bytes of parameters, the struct has "),
    ],
)
def test_a_host_layer(host: HostCall, sentence: str, capsys: Capture, tmp_path: Path) -> None:
    stage = stage_of(host_result())
    subnets = tuple(each if each.host is None else replace(each, host=host)
                    for each in stage.subnets)  # fmt: skip
    path = changed(path_of(host_result()), tmp_path, subnets=subnets)
    code, out, _ = run(capsys, "check", path)
    assert code == 5
    (line,) = out.splitlines()
    assert line.startswith('net "')
    assert ", stage 0, subnet 1: " in line
    assert sentence in line


def test_records(capsys: Capture, tmp_path: Path) -> None:
    found = result("FP32", dyn=True)
    stage = stage_of(found)
    stream = unpack_records(stage.records, len(stage.inputs), len(stage.outputs))
    first, *rest = stream.groups
    assert isinstance(first, RecordCode)
    (made,) = first.results
    for results, sources, sentence in (
        ((replace(made, address=COEFF_ADDRESS),), first.sources, "lies outside of the neurons"),
        (first.results, (Neuron(77), *first.sources[1:]), "it reads tensor 77 before it is made"),
    ):
        group = replace(first, results=results, sources=sources)
        records = pack(replace(stream, groups=(group, *rest)))
        path = changed(path_of(found), tmp_path, records=records)
        code, out, _ = run(capsys, "check", path)
        assert code == 5
        assert ', stage 0, record 0 of layer "conv": ' in out
        assert sentence in out


def test_a_changed_weight_is_a_finding_of_the_file(capsys: Capture, tmp_path: Path) -> None:
    data = bytearray(path_of(result("FP32")).read_bytes())
    at = bytes(data).index(stage_of(result("FP32")).coeff[:64])
    data[at] ^= 1
    path = tmp_path / "x.bmodel"
    path.write_bytes(data)
    code, out, err = run(capsys, "check", path)
    assert (code, out) == (3, "")
    assert "do not have the SHA-256 that the file says" in err
    code, out, _ = run(capsys, "check", path, "--json")
    assert code == 3
    assert '"ok": false' in out


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 30))
def test_what_the_model_refuses_is_found(seed: int) -> None:
    """One command with some bits turned: where its execution stops, the check has a finding."""
    rng = random.Random(seed)
    stage = stage_of(result(rng.choice(["FP32", "INT8"]), rng.randrange(3)))
    index = rng.randrange(len(stage.groups))
    group = stage.groups[index]
    which = rng.choice(["tiu", "gdma"])
    data = bytearray(getattr(group, which))
    at = rng.randrange(len(data) // COMMAND_BYTES) * COMMAND_BYTES
    for _ in range(rng.randrange(1, 4)):
        data[at + rng.randrange(90)] ^= 1 << rng.randrange(8)
    changed_group = replace(group, **{which: bytes(data)})
    groups = (*stage.groups[:index], changed_group, *stage.groups[index + 1 :])
    npu = Npu(stage.context_address + stage.context_size - BM1684.context_start)
    npu.ddr[: len(stage.coeff)] = np.frombuffer(stage.coeff, np.uint8)
    npu.protected = range(stage.coeff_address, stage.coeff_address + len(stage.coeff))
    found = list(stage_faults(Chosen("net", 0, replace(stage, groups=groups))))
    refused = ""
    try:
        execute(npu, [(each.tiu, each.gdma) for each in groups])
    except ModelError as error:
        refused = str(error)
    assert found or not refused, refused
