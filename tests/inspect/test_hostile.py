"""Damaged bmodels through every subcommand: one sentence, no bug, in little memory. ``python -m
tests.fuzz`` has many more of these, each in a process of its own."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from random import Random

import pytest

from bmnetu.bmodel import COEFF_ADDRESS
from bmnetu.inspect.command_line import SUBCOMMANDS, subcommand
from tests.fuzz.cases import damaged_bmodel
from tests.fuzz.seeds import Seeds
from tests.inspect.files import Capture, changed, command, files, path_of, result, run, stage_of

COUNT = 60
MIB = 1 << 20


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_damaged_files(name: str, capsys: Capture, tmp_path: Path) -> None:
    seeds = Seeds(bmodels=[path.read_bytes() for path in files().values()])
    path, out = tmp_path / "x.bmodel", tmp_path / "out.bmodel"
    codes: set[int] = set()
    for index in range(COUNT):
        data = damaged_bmodel(Random(f"{name} {index}"), seeds)
        path.write_bytes(data)
        code, _, err = run(capsys, *command(name, path, out))
        assert code in (0, 2, 3, 4, 5) or (code, name) == (1, "diff"), (index, err)
        assert ("error: " in err) == (code > 1), (index, err)
        assert [line for line in err.splitlines() if not line.startswith("bmnetu-model: ")] == []
        stores = subcommand(name).all_flags[0].necessary and code == 0
        assert {*tmp_path.iterdir()} == {path, *([out] if stores else [])}
        out.unlink(missing_ok=True)
        codes.add(code)
    assert codes & {0, 1}
    assert 3 in codes


@pytest.mark.parametrize("name", ["info", "dis", "check", "profile", "map"])
@pytest.mark.parametrize("dyn", [False, True])
def test_a_claim_of_much_memory_takes_none(
    name: str, dyn: bool, capsys: Capture, tmp_path: Path
) -> None:
    """16 GiB of neurons in a file of 17 kB."""
    made = result("FP32", dyn=dyn)
    size = (1 << 34) - (stage_of(made).context_address - COEFF_ADDRESS)
    path = changed(path_of(made), tmp_path, context_size=size)
    run(capsys, name, path)
    tracemalloc.start()
    code, _, err = run(capsys, name, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = 4 if dyn and name == "profile" else 0
    assert (code, bool(err)) == (expected, expected > 0)
    assert peak < 5 * MIB


@pytest.mark.parametrize("dyn", [False, True])
def test_a_session_needs_no_more_memory_than_the_model_has(
    dyn: bool, capsys: Capture, tmp_path: Path
) -> None:
    made = result("FP32", dyn=dyn)
    path = changed(path_of(made), tmp_path, context_size=1 << 33)
    code, _, err = run(capsys, "debug", path)
    assert (code, "the model of the NPU has" in err) == (4, True)
