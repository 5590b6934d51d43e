"""The command lines: what is called, what is printed, and the exit codes."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bmnetu.cli import calibrate_main, main
from bmnetu.errors import (
    BmnetuError,
    CompareError,
    InputFileError,
    UnsupportedError,
    UsageError,
)
from bmnetu.options import CalibrateOptions, CompileOptions
from bmnetu.version import VERSION

NECESSARY = ["-model=m.prototxt", "-weight=w.int8umodel", "-outdir=out"]
BANNER = (
    "######################################\n"
    "# Store bmodel of BMCompiler.\n"
    "######################################\n"
)
Report = Callable[[str], None]
Compile = Callable[[CompileOptions, Report, Report], object]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a module in place whose functions are those given."""

    def put(module: str, **functions: Callable[..., Any]) -> None:
        made = ModuleType(module)
        for name, function in functions.items():
            setattr(made, name, function)
        monkeypatch.setitem(sys.modules, module, made)

    return put


def compile_nothing(options: CompileOptions, report: Report, _: Report) -> object:
    """A compile_network that succeeds at once and stores nothing."""
    return SimpleNamespace(bmodel=None)


def raising(error: BaseException) -> Compile:
    """A compile_network that fails."""

    def compile_network(options: CompileOptions, report: Report, _: Report) -> None:
        raise error

    return compile_network


def test_a_run_ends_with_the_banner(
    fake: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[CompileOptions] = []

    def compile_network(options: CompileOptions, report: Report, _: Report) -> object:
        seen.append(options)
        report("conv1: equal")
        report("note: layer drop1 is skipped")
        return SimpleNamespace(bmodel=Path("out/compilation.bmodel"), contents=None)

    fake("bmnetu.driver", compile_network=compile_network)
    assert main([*NECESSARY, "-prec=INT8", "-shapes=[1,3,8,8]", "-cmp", "false"]) == 0
    assert seen == [
        CompileOptions(Path("m.prototxt"), Path("w.int8umodel"), Path("out"),
                       shapes=(((1, 3, 8, 8),),), prec="INT8", cmp=False)
    ]
    assert capsys.readouterr() == (
        "conv1: equal\n" + BANNER, "bmnetu: note: layer drop1 is skipped\n"
    )


def test_no_banner_where_nothing_is_stored(
    fake: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    fake("bmnetu.driver", compile_network=compile_nothing)
    assert main([*NECESSARY, "-stop_after=quant"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (UsageError("wrong"), 2, "wrong"),
        (InputFileError("m.prototxt:3: no"), 3, "m.prototxt:3: no"),
        (UnsupportedError("layer a: no\nlayer b: no"), 4, "layer a: no\nlayer b: no"),
        (CompareError("layer c differs"), 5, "layer c differs"),
        (PermissionError(13, "Permission denied", "out/x"), 3, "out/x: Permission denied"),
        (OSError(28, "No space left on device"), 3, "No space left on device"),
        (MemoryError(), 4, "this machine has too little memory for the network;"
         " -cmp=false needs less"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (InputFileError("blob '\x1b[31m\u202e'"), 3, "blob '\\x1b[31m\\u202e'"),
    ],
)
def test_errors_are_one_message_and_an_exit_code(
    error: BaseException, code: int, sentence: str,
    fake: Callable[..., None], capsys: pytest.CaptureFixture[str],
) -> None:
    fake("bmnetu.driver", compile_network=raising(error))
    assert main(NECESSARY) == code
    assert capsys.readouterr() == ("", f"bmnetu: error: {sentence}\n")


@pytest.mark.parametrize("error", [ZeroDivisionError("a\nb"), BmnetuError("files differ")])
def test_a_bug_leaves_a_report(
    error: Exception, fake: Callable[..., None], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fake("bmnetu.driver", compile_network=raising(error))
    assert main(NECESSARY) == 70
    out, err = capsys.readouterr()
    (report,) = tmp_path.glob("bmnetu-report-*.txt")
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("bmnetu: error: this is a bug in bmnetu (")
    assert err.endswith(f"please send the report {report}\n")
    text = report.read_text()
    parts = ["Traceback", type(error).__name__, "-model=m.prototxt", f"bmnetu {VERSION}", "numpy "]
    assert all(part in text for part in parts)


def test_a_report_that_cannot_be_written_is_no_second_error(
    fake: Callable[..., None], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    fake("bmnetu.driver", compile_network=raising(ZeroDivisionError("oh")))
    assert main(NECESSARY) == 70
    assert "(ZeroDivisionError: oh): no report could be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["-opt=9", *NECESSARY], 2, "-opt=9"),
        ([], 2, "-model, -weight, -outdir must be given"),
        (["-weigth=x"], 2, "did you mean -weight?"),
        ([*NECESSARY, "-target=BM1684X"], 4, "-target=BM1684X: bmnetu compiles for BM1684 only"),
        ([*NECESSARY, "-dyn", "-stop_after=tile"], 2, "-stop_after=tile: with -dyn the levels are"),
        ([*NECESSARY, "-stop_after=record"], 2, "-stop_after=record: without -dyn the levels are"),
        ([*NECESSARY, "-dyn=true", "-fast_functions"], 2, "-fast_functions: the firmware computes"),
        ([*NECESSARY, "-dyn=true", "-enable_profile"], 2, "-enable_profile: with -dyn there are"),
    ],
)
def test_wishes_that_are_refused(
    words: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("bmnetu: error: ")
    assert sentence in err


def test_gen_umodel(fake: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[CompileOptions] = []

    def compile_network(options: CompileOptions, report: Report, _: Report) -> object:
        seen.append(options)
        return compile_nothing(options, report, report)

    fake("bmnetu.driver", compile_network=compile_network)
    assert main([*NECESSARY, "-mode=GenUmodel", "-net_name=n", "-max_n=3"]) == 0
    assert [(each.mode, each.net_name, each.max_n) for each in seen] == [("GenUmodel", "n", (3,))]
    assert capsys.readouterr().out == ""


def fake_way(text: str) -> Any:
    """A way whose passes read so."""
    return SimpleNamespace(text=text.format)


def test_print_pipeline_needs_no_files(
    fake: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    fake("bmnetu.ways.static", STATIC=fake_way("{0.opt} {0.prec} {0.seed}"))
    assert main(["--print-pipeline", "-opt=2"]) == 0
    assert main(["--print-pipeline", "-prec=INT8", "-seed=3"]) == 0
    assert capsys.readouterr().out == "2 None 0\n1 INT8 3\n"


@pytest.mark.parametrize("word", ["-help", "--help", "-h"])
def test_help(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 0
    assert calibrate_main([word]) == 0
    out = capsys.readouterr().out
    assert "usage: bmnetu -model=PATH" in out
    assert "usage: bmnetu-calibrate -model=PATH" in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert main(["-version"]) == 0
    assert capsys.readouterr().out == f"bmnetu {project['project']['version']}\n"


def test_the_compiler_is_loaded_where_it_is_used() -> None:
    script = (
        "import sys, bmnetu.cli; early = [m for m in ('numpy', 'xdsl') if m in sys.modules];"
        "from bmnetu import CompileResult, compile; print(early, 'xdsl' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[] True\n"


def test_calibrate(fake: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[CalibrateOptions] = []

    def calibrate_network(options: CalibrateOptions, report: Report) -> None:
        seen.append(options)
        report("note: 7 images")

    fake("bmnetu.calibration", calibrate_network=calibrate_network)
    words = ["-model=m", "-weight=w", "-data=d", "-outdir=o", "-th_method=max", "-keep_bn"]
    assert calibrate_main(words) == 0
    path = dict(zip(("model", "weight", "data", "outdir"), map(Path, "mwdo"), strict=True))
    assert seen == [CalibrateOptions(**path, th_method="MAX", keep_bn=True)]
    assert capsys.readouterr().err == "bmnetu-calibrate: note: 7 images\n"
    assert calibrate_main(["-model=m"]) == 2


def test_a_terminal_that_knows_only_ascii(
    fake: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    fake("bmnetu.ways.static", STATIC=fake_way("größe {0.opt}"))
    assert main(["-print_pipeline"]) == 0
    stream.seek(0)
    assert stream.read() == "gr\\xf6\\xdfe 1\n"


def test_a_reader_that_has_gone_does_no_harm() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bmnetu", "-help"], cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(30) == 0
