"""bmnetu.compile on small networks: flags, what is written, and the errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bmnetu
from bmnetu.bmodel import DataType, Stage, read
from bmnetu.frontend import write_umodel
from bmnetu.report.result import CompileResult
from tests.broken import FILES, PIPELINE
from tests.networks import random_weights


def compiled(outdir: Path, precision: str = "INT8", **flags: Any) -> CompileResult:
    model, weight = FILES[precision]
    return bmnetu.compile(PIPELINE / model, PIPELINE / "Inputs" / weight, outdir, **flags)


def stage_of(result: CompileResult) -> Stage:
    assert result.bmodel is not None
    (net,) = read(result.bmodel.read_bytes(), "it").nets
    (stage,) = net.stages
    return stage


def test_an_int8_network_has_8_bit_borders_with_their_scales(tmp_path: Path) -> None:
    stage = stage_of(compiled(tmp_path))
    (data,), (prob,) = stage.inputs, stage.outputs
    assert (data.name, data.data_type, data.shape) == ("data", DataType.INT8, (5, 3, 9, 9))
    assert data.scale > 1
    assert (prob.name, prob.data_type, prob.shape) == ("prob", DataType.FLOAT32, (5, 5))
    assert prob.scale == 1


def test_borders_as_fp32(tmp_path: Path) -> None:
    result = compiled(tmp_path, input_as_fp32=("data",), output_as_fp32=("prob",))
    assert result.findings is not None
    assert result.findings.inputs["data"].dtype == np.float32
    stage = stage_of(result)
    assert [t.data_type for t in (*stage.inputs, *stage.outputs)] == [DataType.FLOAT32] * 2


@pytest.mark.parametrize("flag", ["input_as_fp32", "output_as_fp32"])
def test_borders_that_the_network_does_not_have(flag: str, tmp_path: Path) -> None:
    with pytest.raises(bmnetu.UsageError, match=f"-{flag}: the network has no 'it', it has "):
        compiled(tmp_path, "INT8", **{flag: ("it",)})


@pytest.mark.parametrize(
    ("flags", "shape"),
    [({"shapes": [[1, 3, 9, 9]]}, (1, 3, 9, 9)), ({"max_n": 7}, (7, 3, 9, 9))],
)
@pytest.mark.parametrize("precision", FILES)
def test_other_shapes(
    precision: str, flags: dict[str, Any], shape: tuple[int, ...], tmp_path: Path
) -> None:
    result = compiled(tmp_path, precision, **flags)
    assert stage_of(result).inputs[0].shape == shape
    assert result.findings is not None
    assert result.findings.ok


def test_winograd_is_reported_layer_by_layer(tmp_path: Path) -> None:
    text = (PIPELINE / FILES["FP32"][0]).read_text()
    model, weight = tmp_path / "net.prototxt", tmp_path / "net.fp32umodel"
    model.write_text(text.replace("stride: 2 pad", "use_winograd: true pad"))
    write_umodel(weight, random_weights(model, 1))
    lines: list[str] = []
    bmnetu.compile(model, weight, tmp_path, report=lines.append)
    (line,) = (line for line in lines if "winograd" in line)
    assert line.startswith("conv: winograd, cosine 1.0")


def test_the_name_of_the_network(tmp_path: Path) -> None:
    result = compiled(tmp_path, net_name="other")
    assert result.net_name == "other"
    assert result.contents is not None
    assert result.contents.nets[0].name == "other"
    assert compiled(tmp_path).net_name == "small8"


def test_the_seed_chooses_the_reference_data(tmp_path: Path) -> None:
    data = [
        (compiled(tmp_path / str(i), seed=seed).input_ref_data or tmp_path).read_bytes()
        for i, seed in enumerate((0, 0, 1))
    ]
    assert data[0] == data[1] != data[2]


@pytest.mark.parametrize("level", ["ufw", "quant", "tile"])
def test_a_stop_before_the_commands_writes_no_bmodel(level: str, tmp_path: Path) -> None:
    result = compiled(tmp_path / "out", stop_after=level, dump_ir=tmp_path / "ir")
    assert result.bmodel is None
    assert result.findings is None
    assert not (tmp_path / "out").exists()
    last = sorted((tmp_path / "ir").glob("*.mlir"))[-1].read_text()
    assert f"{level}." in last
    assert "npu." not in last


def test_a_precision_that_the_umodel_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(bmnetu.UsageError, match="is an int8umodel: use -prec=INT8"):
        compiled(tmp_path, prec="FP32")
    with pytest.raises(bmnetu.UsageError, match="make an int8umodel with bmnetu-calibrate first"):
        compiled(tmp_path, "FP32", prec="INT8")
    lines: list[str] = []
    compiled(tmp_path, report=lines.append)
    assert "note: the umodel is INT8, so it is compiled with -prec=INT8 [int8-umodel]" in lines


def test_a_layer_that_does_not_fit_is_named(tmp_path: Path) -> None:
    model = tmp_path / "net.prototxt"
    model.write_text(
        'layer { name: "in" type: "Input" top: "in" input_param { shape { dim: 5000000 } } }\n'
        'layer { name: "big" type: "Softmax" bottom: "in" top: "t" softmax_param { axis: 0 } }\n'
    )
    weight = PIPELINE / "Inputs" / FILES["FP32"][1]
    with pytest.raises(bmnetu.UnsupportedError) as caught:
        bmnetu.compile(model, weight, tmp_path / "out")
    assert str(caught.value) == (
        f'{model}:2: layer "big": a softmax over 5000000 values does not fit local memory'
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({}, "compilation.bmodel"),
        ({}, "input_ref_data.dat"),
        ({"enable_profile": True}, "compiler_profile_0.json"),
        ({"dump_ir": Path("ir")}, "weights.npz"),
    ],
)
def test_places_of_files_are_tried_before_the_network_is_read(
    flags: dict[str, Any], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flag, folder = ("dump_ir", "ir") if "dump_ir" in flags else ("outdir", "out")
    (tmp_path / folder / name).mkdir(parents=True)
    with pytest.raises(bmnetu.InputFileError) as caught:
        bmnetu.compile("no.prototxt", "no.umodel", "out", **flags)
    assert caught.value.message == f"-{flag}={folder}: {name} cannot be written: it is a folder"
    assert [p.name for p in tmp_path.rglob("*")] == [folder, name]
    with pytest.raises(bmnetu.InputFileError, match=r"no\.prototxt: no such file"):
        bmnetu.compile("no.prototxt", "no.umodel", "deep/out")
    assert not (tmp_path / "deep").exists()


def test_an_old_bmodel_is_named_where_the_run_fails(tmp_path: Path) -> None:
    (tmp_path / "compilation.bmodel").write_bytes(b"old")
    for old in (True, False):
        lines: list[str] = []
        with pytest.raises(bmnetu.InputFileError, match="no such file"):
            bmnetu.compile("no.prototxt", "no.umodel", tmp_path, report=lines.append)
        said = f"note: {tmp_path / 'compilation.bmodel'} is of an earlier run, not of this one"
        assert lines == ([f"{said} [old-bmodel]"] if old else [])
        (tmp_path / "compilation.bmodel").unlink(missing_ok=True)


def test_what_an_earlier_run_has_left_is_named(tmp_path: Path) -> None:
    compiled(tmp_path, enable_profile=True)
    lines: list[str] = []
    compiled(tmp_path, cmp=False, report=lines.append)
    names = ["input_ref_data.dat", "output_ref_data.dat"]
    names += [f"compiler_profile_0.{suffix}" for suffix in ("csv", "json", "txt")]
    said = f"note: {tmp_path}: {', '.join(names)}: of an earlier run [older-files]"
    assert [line for line in lines if "older-files" in line] == [said]
    assert all((tmp_path / name).is_file() for name in names)
    lines.clear()
    compiled(tmp_path, enable_profile=True, report=lines.append)
    assert not any("older-files" in line for line in lines)


def test_a_dump_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    ir = tmp_path / "ir"
    for opt in (2, 0):
        compiled(tmp_path / "out", opt=opt, dump_ir=ir)
        ends = [path.name for path in ir.glob("*_convert-tile-to-npu.mlir")]
        assert len(ends) == 1
    compiled(tmp_path / "out", opt=0, dump_ir=tmp_path / "fresh")
    assert {p.name for p in ir.iterdir()} == {p.name for p in (tmp_path / "fresh").iterdir()}


@pytest.mark.parametrize("make", ["calibrate", "generate_umodel"])
def test_the_other_tools_try_the_outdir_too(make: str, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    flags = {"data": "no.npy"} if make == "calibrate" else {}
    with pytest.raises(bmnetu.InputFileError, match=r"-outdir=.*out: cannot be written: .* a file"):
        getattr(bmnetu, make)("no.prototxt", "no.umodel", outdir=tmp_path / "out", **flags)


@pytest.mark.parametrize("kind", ["Eltwise", "Concat"])
def test_a_layer_of_very_many_operands(kind: str, tmp_path: Path) -> None:
    """Each of them takes local memory in an Eltwise, none in a Concat."""
    model, weight = tmp_path / "net.prototxt", PIPELINE / "Inputs" / FILES["FP32"][1]
    head = 'layer { name: "in" type: "Input" top: "in" input_param { shape { dim: 1 dim: 2 } } }'
    bottoms = 'bottom: "in" ' * 5000
    model.write_text(f'{head}\nlayer {{ name: "it" type: "{kind}" {bottoms} top: "t" }}')
    if kind == "Concat":
        bmnetu.compile(model, weight, tmp_path / "out", opt=1)
        return
    with pytest.raises(bmnetu.UnsupportedError, match=':2: layer "it": 5001 pieces of its tensors'):
        bmnetu.compile(model, weight, tmp_path / "out", opt=1)
