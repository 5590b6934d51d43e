"""``bmnetu-model profile``: the cycles are the schedule's, and rows add up to them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bmnetu.bmodel import read
from bmnetu.report.profile import profile
from dialects.bm1684.cycles import schedule, traced_cycles_of
from dialects.bm1684.isa import COMMAND_BYTES, Engine
from tests.bench.commands import instructions
from tests.inspect.files import (
    STATIC,
    Capture,
    as_json,
    changed,
    contents,
    file,
    path_of,
    result,
    run,
    several,
    stage_of,
)
from tests.inspect.test_check import edited, late_wait


@pytest.mark.parametrize("kind", STATIC)
def test_rows_add_up_to_the_schedule(kind: str, capsys: Capture) -> None:
    bmodel = read(file(kind).read_bytes(), "it")
    found = as_json(capsys, "profile", file(kind))
    nets = [replace(bmodel, nets=(replace(net, stages=(stage,)),))
            for net in bmodel.nets for stage in net.stages]  # fmt: skip
    assert len(found) == len(nets)
    for record, one in zip(found, nets, strict=True):
        expected = schedule(instructions(one))
        total = record["total"]
        assert total["cycles"] == expected.total
        assert total["tiu_cycles"] == expected.busy[Engine.TIU]
        assert total["gdma_cycles"] == expected.busy[Engine.GDMA]
        assert record["traced_cycles"] == schedule(instructions(one), traced_cycles_of).total
        for column in ("cycles", "tiu_cycles", "gdma_cycles", "macs", "ddr_read", "ddr_written"):
            assert sum(row[column] for row in record["layers"]) == total[column]


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
@pytest.mark.parametrize("opt", [0, 1, 2])
def test_the_whole_is_that_of_the_compilation(precision: str, opt: int, capsys: Capture) -> None:
    compiled = result(precision, opt)
    (found,) = as_json(capsys, "profile", path_of(compiled))
    own: dict[str, Any] = profile(compiled.module).record()
    for name in ("net", "mhz", "milliseconds", "unknown", "slow_ddr_cycles", "one_bank"):
        assert found[name] == own[name]
    assert found["total"] == own["total"]
    for row, expected in zip(found["layers"], own["layers"], strict=True):
        line = expected["where"].rpartition(":")[2]
        assert row == expected | {"where": f":{line}"}


def test_without_notes_a_row_is_a_kind_of_command(capsys: Capture, tmp_path: Path) -> None:
    stage = stage_of(result("FP32"))
    path = changed(path_of(result("FP32")), tmp_path, notes=b"")
    (found,) = as_json(capsys, "profile", path)
    kinds = Counter(c.kind.mnemonic for group in instructions(contents(result("FP32")))
                    for c in group)  # fmt: skip
    assert {row["layer"] for row in found["layers"]} == set(kinds)
    assert sum(row["cycles"] for row in found["layers"]) == found["total"]["cycles"]
    path = changed(path_of(result("FP32")), tmp_path, notes=b"", groups=stage.groups * 2)
    (found,) = as_json(capsys, "profile", path)
    assert {row["layer"] for row in found["layers"]} == {
        f"group {number}, {kind}" for number in (0, 1) for kind in kinds
    }


def test_text_and_csv(capsys: Capture) -> None:
    found = as_json(capsys, "profile", several())
    _, text, _ = run(capsys, "profile", several())
    heads = [line for line in text.splitlines() if line.startswith('net "')]
    assert heads == ['net "first", stage 0', 'net "first", stage 1', 'net "second", stage 0']
    for record in found:
        assert f"{record['net']}: {record['total']['cycles']} cycles, " in text
    _, out, _ = run(capsys, "profile", several(), "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    expected = [
        {"net": record["net"], "stage": str(record["stage"])}
        | {name: str(value) for name, value in row.items()}
        for record in found for row in (*record["layers"], record["total"])
    ]  # fmt: skip
    assert rows == expected


def test_layers_on_the_host_are_named(capsys: Capture) -> None:
    (found,) = as_json(capsys, "profile", file("host"))
    assert found["on_host"] == ["detection_output"]
    assert "On the host, and not estimated: detection_output." in run(
        capsys, "profile", file("host")
    )[1]  # fmt: skip


def test_a_dynamic_net_has_nothing_to_count(capsys: Capture) -> None:
    code, out, err = run(capsys, "profile", file("dynamic"))
    assert (code, out) == (4, "")
    assert 'error: net "small", stage 0 is dynamic: ' in err


def test_wrong_commands(capsys: Capture, tmp_path: Path) -> None:
    stage = stage_of(result("FP32"))
    (group,) = stage.groups
    wrong = replace(group, tiu=b"\xff" * COMMAND_BYTES + group.tiu[COMMAND_BYTES:])
    for groups, sentence in (
        (edited(stage, late_wait), "deadlock: tiu command 1 waits for "),
        ((wrong,), "group 0, tiu command 1: no tiu instruction has "),
    ):
        path = changed(path_of(result("FP32")), tmp_path, groups=groups)
        code, out, err = run(capsys, "profile", path)
        assert (code, out) == (5, "")
        assert f'error: net "small", stage 0{"," if "group" in sentence else ":"} {sentence}' in err


def test_one_form_at_a_time(capsys: Capture) -> None:
    code, _, err = run(capsys, "profile", file("FP32"), "--json", "--csv")
    assert (code, err) == (2, "bmnetu-model: error: --json and --csv: one of them can be\n")
