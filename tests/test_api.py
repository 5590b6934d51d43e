"""The Python functions take what the command lines take, and their results print short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bmnetu
from bmnetu.cli import main
from bmnetu.command_line.calibrate_flags import CALIBRATE_FLAGS, EVALUATE_FLAGS
from bmnetu.command_line.compile_flags import COMPILE_FLAGS
from bmnetu.command_line.flags import Flag, parse
from bmnetu.command_line.kinds import (
    BOOLEAN,
    COSINE,
    COUNT,
    COUNTS,
    DATA,
    DROP,
    IOU,
    LEVEL,
    NAME,
    NAMES,
    NUMBERS,
    PATH,
    SEED,
    SHAPE_SETS,
    SHAPES,
    SIZE,
    VERBOSITY,
    ValueKind,
)
from bmnetu.frontend import load_network
from bmnetu.options import (
    CalibrateOptions,
    CompileOptions,
    EvaluateOptions,
    calibrate_options,
    compile_options,
    evaluate_options,
    options_from,
)
from bmnetu.report.result import CompileResult
from tests.broken import FILES, PIPELINE
from tests.pipelines import static_text

VALUES: dict[ValueKind, tuple[Any, str]] = {
    BOOLEAN: (True, "true"),
    COSINE: (0.5, "0.5"),
    COUNT: (7, "7"),
    COUNTS: ([1, 4], "1,4"),
    DATA: (Path("x.npy"), "x.npy"),
    DROP: (1.5, "1.5"),
    IOU: (0.9, "0.9"),
    LEVEL: (2, "2"),
    NAME: ("it", "it"),
    NAMES: (["a", "b"], "a,b"),
    NUMBERS: ((1, 2.5), "1,2.5"),
    PATH: (Path("p"), "p"),
    SEED: (9, "9"),
    SHAPES: ([(1, 3, 8, 8), (2, 4)], "[1,3,8,8],[2,4]"),
    SHAPE_SETS: ([[(1, 3, 8, 8), (2, 4)], [(1, 3, 9, 9), (2, 5)]],
                 "[[[1,3,8,8],[2,4]],[[1,3,9,9],[2,5]]]"),
    SIZE: ((8, 9), "8x9"),
    VERBOSITY: (3, "3"),
}
"""A value of every kind, from Python and on the command line; a choice has its last word."""
TOOLS: list[tuple[Sequence[Flag], Callable[..., Any], type[Any]]] = [
    (COMPILE_FLAGS, compile_options, CompileOptions),
    (CALIBRATE_FLAGS, calibrate_options, CalibrateOptions),
    (EVALUATE_FLAGS, evaluate_options, EvaluateOptions),
]
COMMAND_LINE_ONLY = (
    "explain", "help", "version", "check", "json", "list_ops", "completion"
)  # fmt: skip


def value_of(flag: Flag) -> tuple[Any, str]:
    if flag.kind in VALUES:
        return VALUES[flag.kind]
    word = flag.kind.word.split("|")[-1]
    return word, word


@pytest.mark.parametrize(("flags", "from_python", "options"), TOOLS)
def test_every_flag_of_a_tool_is_taken_from_python(
    flags: Sequence[Flag], from_python: Callable[..., Any], options: type[Any]
) -> None:
    needed = {flag.name: value_of(flag) for flag in flags if flag.necessary}
    for flag in flags:
        if flag.name in COMMAND_LINE_ONLY:
            with pytest.raises(bmnetu.UsageError, match=f"unknown flag -{flag.name}"):
                from_python(**{flag.name: True})
            continue
        given = needed | {flag.name: value_of(flag)}
        found = from_python(**{name: value for name, (value, _) in given.items()})
        words = [f"-{name}={text}" for name, (_, text) in given.items()]
        assert found == options_from(options, parse(flags, words)), flag.name
        assert getattr(found, flag.name) is not None


def compiled(outdir: Path, precision: str = "INT8", **flags: Any) -> CompileResult:
    model, weight = FILES[precision]
    return bmnetu.compile(PIPELINE / model, PIPELINE / "Inputs" / weight, outdir, **flags)


def test_a_negated_flag_is_written_the_python_way(tmp_path: Path) -> None:
    with pytest.raises(bmnetu.UsageError, match="nocmp: write cmp=False"):
        compiled(tmp_path, nocmp=True)


def test_a_page_in_the_place_of_the_function_for_lines(tmp_path: Path) -> None:
    page: Any = tmp_path / "r.html"
    with pytest.raises(bmnetu.UsageError, match="a page is report_file=PATH"):
        compiled(tmp_path, report=page)


def test_names_in_a_list_may_have_commas_and_spaces() -> None:
    found = compile_options(model="m", weight="w", outdir="o", input_as_fp32=["a, b", " c"])
    assert found.input_as_fp32 == ("a, b", " c")


def test_the_mode_gen_umodel(tmp_path: Path) -> None:
    lines: list[str] = []
    result = compiled(tmp_path, "FP32", mode="GenUmodel", report=lines.append)
    assert result.bmodel is None
    assert result.umodel is not None
    assert result.prototxt is not None
    assert {path.name for path in tmp_path.iterdir()} == {result.umodel.name, result.prototxt.name}
    assert lines[-1] == f"wrote {result.umodel} and {result.prototxt}"
    again = bmnetu.compile(result.prototxt, result.umodel, tmp_path / "out")
    assert again.bmodel is not None
    assert str(result.umodel) in repr(result)


@pytest.mark.parametrize("precision", FILES)
def test_the_pipeline_is_told(precision: str, tmp_path: Path) -> None:
    lines: list[str] = []
    outdir = tmp_path / "out"
    result = compiled(outdir, precision, print_pipeline=True, opt=1, report=lines.append)
    assert lines[-1] == result.pipeline == static_text(1, precision)
    assert result.bmodel is None
    assert not outdir.exists()


def test_the_command_line_has_no_banner_without_a_bmodel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, weight = FILES["FP32"]
    words = [f"-model={PIPELINE / model}", f"-weight={PIPELINE / 'Inputs' / weight}"]
    words.append(f"-outdir={tmp_path}")
    for more in (["-mode=GenUmodel"], ["-stop_after=tile"]):
        assert main([*words, *more]) == 0
        assert "Store bmodel" not in capsys.readouterr().out
    assert main([*words, "-stop_after=npu"]) == 0
    assert capsys.readouterr().out.endswith("Store bmodel of BMCompiler.\n" + "#" * 38 + "\n")


@pytest.mark.parametrize("precision", FILES)
def test_a_result_prints_as_five_lines(precision: str, tmp_path: Path) -> None:
    result = compiled(tmp_path, precision)
    first, *rest = repr(result).splitlines()
    assert str(result) == repr(result)
    assert first == f'CompileResult: net "{result.net_name}", {precision}'
    assert [line.split()[0] for line in rest] == ["bmodel:", "inputs:", "outputs:", "<Findings:"]
    assert "tensors agree" in rest[-1]
    assert "data" in rest[1]
    stopped = compiled(tmp_path, precision, stop_after="tile")
    assert repr(stopped).splitlines()[1:] == ["  bmodel: none", "  not compared"]
    assert "not compared" in repr(compiled(tmp_path, precision, cmp=False))


def test_what_a_result_holds_prints_short_too(tmp_path: Path) -> None:
    result = compiled(tmp_path)
    model, weight = FILES["INT8"]
    network = load_network(PIPELINE / model, PIPELINE / "Inputs" / weight)
    np.save(tmp_path / "data.npy", np.ones((5, 3, 9, 9), np.float32))
    real, umodel = FILES["FP32"]
    calibrated = bmnetu.calibrate(
        PIPELINE / real, PIPELINE / "Inputs" / umodel, tmp_path / "data.npy", tmp_path
    )
    for each in (result.findings, result.contents, network, calibrated, *result.layers):
        assert 10 < len(repr(each)) < 1000
        assert str(each) == repr(each)
