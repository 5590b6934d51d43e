"""``bmnetu-model dis``: what it prints is every command, record and host layer of the file."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bmnetu.bmodel import CommandGroup, Weight
from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import COMMAND_BYTES, KINDS, Engine, unpack
from dialects.bm1684.record import stream
from passes.image.record_text import record_lines
from tests.inspect.files import (
    KINDS as FORMS,
)
from tests.inspect.files import (
    Capture,
    as_json,
    changed,
    contents,
    file,
    host_result,
    path_of,
    result,
    run,
    stage_of,
)


def lines(capsys: Capture, *words: str | Path) -> list[str]:
    code, out, err = run(capsys, "dis", *words)
    assert (code, err) == (0, "")
    return out.splitlines()


def coded(record: dict[str, Any], bases: dict[str, int]) -> bytes:
    """The bytes of a command, made of its JSON alone."""
    kind = KINDS[record["kind"]]
    values = dict(record["fields"])
    for side in ("src", "dst"):
        if side in record:
            address = record[side]["offset"] + bases.get(record[side]["area"], 0)
            assert {n: v for n, v in isa.start(side, address).items() if v} == {
                n: v for n, v in values.items() if n.startswith(f"{side}_start_addr")
            }
    values |= {kind.layout.id_field: record["id"], kind.layout.wait_field: record["wait"]}
    return isa.Instruction(kind, kind.normalise(values)).pack()


@pytest.mark.parametrize("kind", FORMS)
def test_the_json_has_all_that_the_bytes_have(kind: str, capsys: Capture) -> None:
    path = file(kind)
    records = as_json(capsys, "dis", path)
    stages = [stage for net in contents_of(path).nets for stage in net.stages]
    assert len(records) == len(stages)
    for record, stage in zip(records, stages, strict=True):
        assert record["dynamic"] == stage.is_dynamic
        if stage.is_dynamic:
            found = stream.unpack(stage.records, len(stage.inputs), len(stage.outputs))
            kinds = [group["kind"] for group in record["records"]["groups"]]
            assert kinds == [group.kind.name for group in found.groups]  # pyright: ignore
            continue
        bases = {"weights": stage.coeff_address, "neurons": stage.context_address,
                 "L2": BM1684.l2_base}  # fmt: skip
        groups = [{Engine.TIU: b"", Engine.GDMA: b""} for _ in stage.groups]
        for subnet in record["subnets"]:
            for command in subnet.get("commands", ()):
                groups[command["group"]][Engine(command["engine"])] += coded(command, bases)
        assert [(g[Engine.TIU], g[Engine.GDMA]) for g in groups] == [
            (g.tiu, g.gdma) for g in stage.groups
        ]


def contents_of(path: Path) -> Any:
    from bmnetu.bmodel import read

    return read(path.read_bytes(), "it")


@pytest.mark.parametrize("kind", FORMS)
def test_the_text_has_a_line_for_each(kind: str, capsys: Capture) -> None:
    path = file(kind)
    found = lines(capsys, path)
    stages = [stage for net in contents_of(path).nets for stage in net.stages]
    assert sum(line.startswith("; net ") for line in found) == len(stages)
    shown = [line for line in found if not line.startswith(";")]
    expected: list[str] = []
    commands = 0
    for stage in stages:
        commands += sum(g.tiu_count + g.gdma_count for g in stage.groups)
        if stage.is_dynamic:
            found = stream.unpack(stage.records, len(stage.inputs), len(stage.outputs))
            expected += record_lines(found)
    if expected:
        assert [line.split(" ; layer ")[0] for line in shown] == expected
        assert all(' ; layer "' in line for line in shown[1:])
        return
    form = (r"\d+ (tiu |gdma) +\d+ < +\d+ \w+( \w+=\S+)* ; layer \"\w+\""
            r"( (src|dst): \w+ \".*\"(\+0x\w+)?)*")  # fmt: skip
    assert len([line for line in shown if re.fullmatch(form, line)]) == commands
    assert len(shown) == commands + (kind == "host")


def test_addresses_are_offsets_with_names(capsys: Capture, tmp_path: Path) -> None:
    stage = stage_of(result("FP32"))
    path = changed(path_of(result("FP32")), tmp_path, weights=(Weight("all", 0, len(stage.coeff)),))
    text = "\n".join(lines(capsys, path))
    assert re.search(r' src=neurons\+0x0 ; layer "conv" src: input "data"$', text, re.M)
    assert re.search(r' src=weights\+0x\w+ ; layer "\w+" src: weight "all"(\+0x\w+)?$', text, re.M)
    assert re.search(r' dst=neurons\+0x\w+ ; layer "prob" dst: output "prob"$', text, re.M)
    assert "0x5100000" not in text


def test_a_host_layer_is_a_line(capsys: Capture) -> None:
    found = lines(capsys, path_of(host_result()))
    (line,) = (line for line in found if line.startswith("- host"))
    assert re.fullmatch(
        r"- host detection_output \(loc@0x\w+, prob_f@0x\w+, prior@0x\w+\) -> \(found@0x\w+\)"
        r" num_classes=3 .*", line,
    )  # fmt: skip
    assert [text for text in found if text.startswith("; subnet")] == [
        "; subnet 0, on the NPU", "; subnet 1, on the host",
    ]  # fmt: skip


def test_one_command_more_is_one_line_more(capsys: Capture, tmp_path: Path) -> None:
    """A command before all others changes every id, and no other line with --diff."""
    path = path_of(result("FP32"))
    (group,) = stage_of(result("FP32")).groups
    first = unpack(Engine.GDMA, group.gdma[:COMMAND_BYTES])
    commands = [first.with_ids(1, 0)]
    for at in range(0, len(group.gdma), COMMAND_BYTES):
        found = unpack(Engine.GDMA, group.gdma[at : at + COMMAND_BYTES])
        commands.append(found.with_ids(found.id + 1, found.wait))
    tiu = [unpack(Engine.TIU, group.tiu[at : at + COMMAND_BYTES])
           for at in range(0, len(group.tiu), COMMAND_BYTES)]  # fmt: skip
    tiu = [found.with_ids(found.id, found.wait + (found.wait > 0)) for found in tiu]
    made = CommandGroup(*(b"".join(c.pack() for c in some) for some in (tiu, commands)))
    (tmp_path / "old").mkdir()
    path = changed(path, tmp_path / "old", notes=b"")
    longer = changed(path, tmp_path, groups=(made,))
    before, after = (lines(capsys, each, "--diff") for each in (path, longer))
    different = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert len(different) == 1
    assert different[0].startswith("+ gdma")
    assert len(set(lines(capsys, path)) - set(lines(capsys, longer))) > 10  # without --diff


def test_bytes_that_are_no_command(capsys: Capture, tmp_path: Path) -> None:
    path = path_of(result("FP32"))
    (group,) = stage_of(result("FP32")).groups
    wrong = b"\xff" * COMMAND_BYTES
    group = replace(group, tiu=wrong + group.tiu[COMMAND_BYTES:])
    broken = changed(path, tmp_path, groups=(group,))
    (line,) = (line for line in lines(capsys, broken) if " ? " in line)
    assert line.startswith(f"0 tiu      1 <    0 ? {wrong.hex()} ; no tiu instruction has ")
    (record,) = (c for c in as_json(capsys, "dis", broken)[0]["subnets"][0]["commands"]
                 if c["kind"] is None)  # fmt: skip
    assert (record["number"], record["bytes"]) == (1, wrong.hex())


def test_records_that_are_none(capsys: Capture, tmp_path: Path) -> None:
    path = path_of(result("FP32", dyn=True))
    records = stage_of(result("FP32", dyn=True)).records[:-4]
    broken = changed(path, tmp_path, records=records)
    code, _, err = run(capsys, "dis", broken)
    assert code == 3
    name = contents(result("FP32", dyn=True)).nets[0].name
    assert err.startswith(f'bmnetu-model: error: net "{name}", stage 0: the records end within')
