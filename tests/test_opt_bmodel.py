"""bmnetu-opt on bmodels and on dynamic networks: records and commands as text."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest

import bmnetu
from bmnetu.bmodel import Bmodel, Net, write
from bmnetu.opt import main
from bmnetu.options import PassOptions
from bmnetu.pipeline import pipeline_text
from bmnetu.ways.dynamic import DYNAMIC
from bmnetu.ways.static import STATIC
from dialects.bm1684.record.stream import pack
from passes.image.record_text import record_lines
from tests.bmodel.samples import small
from tests.broken import FILES, PIPELINE
from tests.dialects.record.streams import sample

Capture = pytest.CaptureFixture[str]
STREAM = sample(3)


def run(capsys: Capture, *words: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def dynamic(records: bytes, stages: int = 1) -> Bmodel:
    """A net whose stages hold these records; the shapes of the stages differ."""
    stage = replace(small().nets[0].stages[0], groups=(), weights=(), records=records)
    x = stage.inputs[0]
    found = [
        replace(stage, inputs=(replace(x, shape=(1, 3, 4, 4 - i), size=x.size // 4 * (4 - i)),))
        for i in range(stages)
    ]
    return Bmodel((Net("small", tuple(found)),))


def stored(folder: Path, bmodel: Bmodel) -> Path:
    """The bmodel as a file."""
    path = folder / "net.bmodel"
    path.write_bytes(write(bmodel))
    return path


def test_the_records_of_a_bmodel(capsys: Capture, tmp_path: Path) -> None:
    path = stored(tmp_path, dynamic(pack(STREAM)))
    code, out, err = run(capsys, path, "-t", "record-asm")
    assert (code, err, out.splitlines()) == (0, "", [*record_lines(STREAM)])


def test_a_bmodel_as_a_module_prints_the_same(capsys: Capture, tmp_path: Path) -> None:
    path, dump = stored(tmp_path, dynamic(pack(STREAM))), tmp_path / "net.mlir"
    assert run(capsys, path, "-o", dump) == (0, "", "")
    assert run(capsys, dump, "-t", "record-asm") == run(capsys, path, "-t", "record-asm")


def test_each_stage_has_a_header(capsys: Capture, tmp_path: Path) -> None:
    path = stored(tmp_path, dynamic(pack(STREAM), 2))
    _, out, _ = run(capsys, path, "-t", "record-asm")
    lines = [*record_lines(STREAM)]
    first, second = '; stage 0, net "small"', '; stage 1, net "small"'
    assert out.splitlines() == [first, *lines, second, *lines]


def test_the_commands_of_a_static_bmodel(capsys: Capture, tmp_path: Path) -> None:
    model, weight = FILES["INT8"]
    words = (PIPELINE / model, "--umodel", PIPELINE / "Inputs" / weight)
    passes = pipeline_text(STATIC.passes(PassOptions(opt=1, prec="INT8", cmp=False)))
    _, expected, _ = run(capsys, *words, "-p", passes, "-t", "npu-asm")
    result = bmnetu.compile(
        words[0], PIPELINE / "Inputs" / weight, tmp_path, prec="INT8", opt=1, cmp=False
    )
    assert result.bmodel is not None
    code, out, err = run(capsys, result.bmodel, "-t", "npu-asm")
    without_layers = [line.split(" ; ")[0] for line in expected.splitlines()]
    assert (code, err, sorted(out.splitlines())) == (0, "", sorted(without_layers))


@pytest.mark.parametrize("prec", FILES)
def test_the_records_of_a_compiled_module(capsys: Capture, prec: str) -> None:
    model, weight = FILES[prec]
    passes = pipeline_text(DYNAMIC.passes(PassOptions(opt=1, prec=prec, cmp=False)))
    words = (PIPELINE / model, "--umodel", PIPELINE / "Inputs" / weight, "-p", passes)
    code, out, err = run(capsys, *words, "-t", "record-asm")
    header, *lines = out.splitlines()
    assert (code, err) == (0, "")
    assert header.startswith("network t")
    form = rf'\d+ \w+ +t\d+.* <- t\d+.* (f32|8bit) \dN>\dN.* ; .*{model}:\d+: layer "\w+"( \S+)*'
    assert all(re.fullmatch(form, line) for line in lines)
    assert lines[0].split()[1] == "conv"
    assert lines[-1].endswith('layer "prob" prob')


@pytest.mark.parametrize(
    ("records", "target", "message"),
    [
        (b"", "record-asm", 'net "small" has no records: -t npu-asm prints it'),
        (pack(STREAM), "npu-asm", 'net "small" is dynamic: -t record-asm prints it'),
        (pack(STREAM)[:-4], "record-asm",
         f'net "small": the records end within 48 bytes at {len(pack(STREAM)) - 48}'),
        (struct.pack("<4I", 1, 2, 1, 9), "record-asm",
         'net "small": a group with extra shapes at 12, which is not read here'),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(
    capsys: Capture, tmp_path: Path, records: bytes, target: str, message: str
) -> None:
    path = stored(tmp_path, dynamic(records) if records else small())
    code, _, err = run(capsys, path, "-t", target)
    assert (code, err) == (3, f"bmnetu-opt: error: {message}\n")


@pytest.mark.parametrize("data", [b"", b"no bmodel", write(small())[:-1]])
def test_no_bmodel(capsys: Capture, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.bmodel"
    path.write_bytes(data)
    code, out, err = run(capsys, path, "-t", "record-asm")
    assert (code, out) == (3, "")
    assert err.startswith(f"bmnetu-opt: error: {path}: not a usable bmodel: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "bmnetu.bmodel = 1", "bmnetu.bmodel = [1]", "bmnetu.bmodel = [{}]",
        'bmnetu.bmodel = [{net = "n", inputs = -1, outputs = 1, records = "", groups = []}]',
        'bmnetu.bmodel = [{net = "n", inputs = 1, outputs = 1, records = 1, groups = []}]',
        'bmnetu.bmodel = [{net = "n", inputs = 1, outputs = 1, records = "", groups = [""]}]',
    ],
)  # fmt: skip
@pytest.mark.parametrize("target", ["record-asm", "npu-asm"])
def test_another_attribute(capsys: Capture, tmp_path: Path, text: str, target: str) -> None:
    path = tmp_path / "x.mlir"
    path.write_text(f"builtin.module attributes {{{text}}} {{}}")
    code, _, err = run(capsys, path, "-t", target)
    message = "bmnetu-opt: error: bmnetu.bmodel does not hold the stages of a bmodel\n"
    assert (code, err) == (3, message)


def test_a_module_without_records(capsys: Capture) -> None:
    model, weight = FILES["FP32"]
    words = (PIPELINE / model, "--umodel", PIPELINE / "Inputs" / weight, "-t", "record-asm")
    code, _, err = run(capsys, *words)
    assert (code, err) == (1, "bmnetu-opt: error: the function holds no records\n")
