"""What a compilation ends with on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bmnetu.cli import BANNER, main
from tests.broken import FILES, PIPELINE

MODEL, WEIGHT = FILES["INT8"]


def compiled(outdir: Path, *more: str) -> int:
    return main([
        f"-model={PIPELINE / MODEL}", f"-weight={PIPELINE / 'Inputs' / WEIGHT}",
        f"-outdir={outdir}", *more,
    ])  # fmt: skip


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compiled(tmp_path) == 0
    out = capsys.readouterr().out
    lines = out.removesuffix(BANNER + "\n").splitlines()
    size = (tmp_path / "compilation.bmodel").stat().st_size
    assert lines[-5].startswith("net      ")
    assert lines[-4] == f"bmodel   {tmp_path / 'compilation.bmodel'}, {size:,} bytes"
    assert lines[-3] == "inputs   data int8 5x3x9x9"
    assert lines[-2] == "outputs  prob float32 5x5"
    assert lines[-1].startswith("time     ")
    assert lines[-1].endswith(" ms by the cost model")


def test_several_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compiled(tmp_path, "-max_n=1,4") == 0
    out = capsys.readouterr().out
    assert "stage 1 inputs   data int8 4x3x9x9\n" in out


@pytest.mark.parametrize("more", [(), ("-max_n=1,4",), ("-dyn",), ("-stop_after=quant",)])
def test_json(more: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compiled(tmp_path, "-json", *more) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["precision"] == "INT8"
    if "-stop_after=quant" in more:
        assert found["bmodel"] is None
        return
    assert Path(found["bmodel"]).is_file()
    assert len(found["stages"]) == (2 if "-max_n=1,4" in more else 1)
    for stage in found["stages"]:
        assert (stage["cycles"] is None) == ("-dyn" in more)
        assert all(layer["ok"] for layer in stage["layers"])
        assert [layer["name"] for layer in stage["layers"]][-1] == "prob"
