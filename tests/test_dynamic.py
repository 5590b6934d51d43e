"""-dyn=true from files to files: what comes out, what is said of it, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest

import bmnetu
from bmnetu.bmodel import Bmodel, StoreMode, read
from bmnetu.cli import main
from bmnetu.emit.dynamic import dynamic_program
from bmnetu.report.result import CompileResult
from bmnetu.ways.levels import DYNAMIC_LEVELS
from dialects.bm1684.record.stream import RecordCode, pack, unpack
from tests import detection_nets as nets
from tests.broken import FILES, PIPELINE
from tests.calibration.harness import Files, data_layer, layer
from tests.networks import random_weights

FREE = {"FP32": {"batch": 2}, "INT8": {"batch": 5, "height": 9, "width": 9}}


def compiled(outdir: Path, precision: str = "INT8", **flags: Any) -> CompileResult:
    model, weight = FILES[precision]
    return bmnetu.compile(PIPELINE / model, PIPELINE / "Inputs" / weight, outdir, dyn=True, **flags)


@cache
def result_of(precision: str) -> tuple[CompileResult, list[str]]:
    """A compilation with the compare, and what it said."""
    lines: list[str] = []
    folder = Path(mkdtemp())
    return compiled(folder, precision, report=lines.append), lines


def own(folder: Path, text: str, **flags: Any) -> CompileResult:
    """Compiles a net of its own with random weights."""
    model, weight = folder / "net.prototxt", folder / "net.fp32umodel"
    model.write_text(text)
    weight.write_bytes(random_weights(model, 1).SerializeToString())
    return bmnetu.compile(model, weight, folder / "out", dyn=True, **flags)


@pytest.mark.parametrize("precision", FILES)
def test_what_a_result_says(precision: str) -> None:
    result, lines = result_of(precision)
    assert result.free == FREE[precision]
    assert result.steps == dict.fromkeys(result.free, 1)
    assert set(result.fixed) == {"batch", "height", "width"} - set(result.free)
    named = ", ".join(f"{name} up to {size}" for name, size in result.free.items())
    assert f"  free at run time: {named}" in repr(result).splitlines()
    assert f"free at run time: {named}" in lines
    notes = [line for line in lines if line.startswith("note: ") and " is fixed: " in line]
    assert len(notes) == len(result.fixed)
    assert all('layer "fc"' in note for note in notes)
    assert result.precision == precision
    assert result.layers
    assert all(each.ok for each in result.layers)
    (passed,) = (line for line in lines if line.startswith("compare passed"))
    assert "; as well at " in passed


@pytest.mark.parametrize("precision", FILES)
def test_the_file(precision: str) -> None:
    result, _ = result_of(precision)
    assert result.bmodel is not None
    bmodel = read(result.bmodel.read_bytes(), "it")
    assert bmodel == result.contents
    (stage,) = bmodel.nets[0].stages
    assert stage.is_dynamic
    assert stage.batch_is_free
    assert stage.size_is_free == (precision == "INT8")
    assert stage.groups == ()
    program = dynamic_program(bmodel, "it")
    assert program.ddr_bytes >= len(stage.coeff)
    for tensor in (*stage.inputs, *stage.outputs):
        is_float = tensor.data_type.name == "FLOAT32"
        assert tensor.store_mode == (StoreMode.N1 if is_float else StoreMode.N4)
    assert len({tensor.address for tensor in (*stage.inputs, *stage.outputs)}) == len(
        (*stage.inputs, *stage.outputs)
    )


@pytest.mark.parametrize("precision", FILES)
def test_the_reference_data_are_those_of_the_largest_shape(precision: str) -> None:
    result, _ = result_of(precision)
    assert result.findings is not None
    assert result.bmodel is not None
    assert {path.name for path in result.bmodel.parent.iterdir()} == {
        "compilation.bmodel", "input_ref_data.dat", "output_ref_data.dat"
    }  # fmt: skip
    assert result.input_ref_data is not None
    assert result.output_ref_data is not None
    (given,), (made,) = result.findings.inputs.values(), result.findings.outputs.values()
    assert result.input_ref_data.read_bytes() == given.tobytes()
    assert result.output_ref_data.read_bytes() == made.tobytes()
    assert given.shape == (2 if precision == "FP32" else 5, 3, 9, 9)


def test_without_the_compare_there_is_one_file(tmp_path: Path) -> None:
    result = compiled(tmp_path, cmp=False)
    assert [path.name for path in tmp_path.iterdir()] == ["compilation.bmodel"]
    assert result.findings is None
    assert result.free == FREE["INT8"]
    with_compare, _ = result_of("INT8")
    assert result.contents == with_compare.contents


@pytest.mark.parametrize("opt", [0, 1, 2])
def test_every_opt_level_compiles(opt: int, tmp_path: Path) -> None:
    for precision in FILES:
        result = compiled(tmp_path, precision, opt=opt)
        assert result.findings is not None
        assert result.findings.ok


def test_the_same_files_give_the_same_bmodel(tmp_path: Path) -> None:
    first = compiled(tmp_path / "a", seed=3).bmodel
    again = compiled(tmp_path / "b", seed=3).bmodel
    assert first is not None
    assert again is not None
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("level", DYNAMIC_LEVELS)
def test_a_stop_after_a_level(level: str, tmp_path: Path) -> None:
    result = compiled(tmp_path / "out", stop_after=level, dump_ir=tmp_path / "ir")
    last = sorted((tmp_path / "ir").glob("*.mlir"))[-1].read_text()
    assert f"{level}." in last.split("@reference")[0]
    assert ("record." in last) == (level == "record")
    assert (result.bmodel is None) == (level != "record")
    assert (tmp_path / "out").exists() == (level == "record")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"stop_after": "tile"}, "-stop_after=tile: with -dyn the levels are ufw, quant, record"),
        ({"stop_after": "npu"}, "-stop_after=npu: with -dyn the levels are ufw, quant, record"),
        ({"enable_profile": True}, "-enable_profile: with -dyn there are no commands whose cycles"),
    ],
)
def test_flags_that_are_refused(flags: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(bmnetu.UsageError, match=re.escape(sentence)):
        compiled(tmp_path / "out", **flags)
    assert not (tmp_path / "out").exists()


def test_the_record_level_needs_dyn(tmp_path: Path) -> None:
    model, weight = FILES["INT8"]
    with pytest.raises(bmnetu.UsageError, match="-stop_after=record: without -dyn the levels are"):
        bmnetu.compile(
            PIPELINE / model, PIPELINE / "Inputs" / weight, tmp_path, stop_after="record"
        )


TEXTS = {
    (0, "FP32"): "keep-reference,convert-ufw-to-quant{dynamic=true},quant-fold-constants,"
                 "quant-drop-unread,convert-quant-to-record,record-allocate-ddr",
    (1, "FP32"): "keep-reference,ufw-fold-batch-norm,convert-ufw-to-quant{dynamic=true},"
                 "quant-fold-constants,quant-drop-unread,quant-fuse-relu,convert-quant-to-record,"
                 "record-allocate-ddr",
    (1, "INT8"): "convert-ufw-to-quant{dynamic=true},quant-fold-constants,quant-drop-unread,"
                 "quant-float-means,keep-reference,convert-quant-to-record,record-allocate-ddr",
}  # fmt: skip


@pytest.mark.parametrize(("opt", "precision"), TEXTS)
def test_the_pipeline_is_printed(
    opt: int, precision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-dyn", "-print_pipeline", f"-opt={opt}", f"-prec={precision}"]) == 0
    assert capsys.readouterr().out.splitlines() == [TEXTS[opt, precision]]
    lines: list[str] = []
    result = compiled(tmp_path, precision, opt=opt, print_pipeline=True, report=lines.append)
    assert lines[-1] == result.pipeline == TEXTS[opt, precision]
    assert not [*tmp_path.iterdir()]


def test_a_dump_runs_on_to_the_same_records(tmp_path: Path) -> None:
    from bmnetu.opt import main as opt

    compiled(tmp_path / "out", dump_ir=tmp_path / "ir")
    last = sorted((tmp_path / "ir").glob("*.mlir"))[-1]
    words = [str(last), "--weights", str(tmp_path / "ir" / "weights.npz"), "-p", "verify-records",
             "-o", str(tmp_path / "again.mlir")]  # fmt: skip
    assert opt(words) == 0
    assert "record.conv" in (tmp_path / "again.mlir").read_text()


def test_steps_are_in_the_result(tmp_path: Path) -> None:
    text = data_layer(1, 2, 16, 16)
    text += layer("Convolution", "data", "c",
                  "convolution_param { num_output: 2 kernel_size: 2 stride: 2 }")  # fmt: skip
    text += layer("Deconvolution", "c", "u",
                  "convolution_param { num_output: 2 kernel_size: 2 stride: 2 }")  # fmt: skip
    text += layer("Eltwise", "data u", "sum")
    lines: list[str] = []
    result = own(tmp_path, text, report=lines.append)
    assert result.steps == {"height": 2, "width": 2}
    assert result.fixed == {"batch": "the largest is 1"}
    assert "free at run time: height up to 16 in steps of 2, width up to 16 in steps of 2" in lines
    assert "note: batch is fixed: the largest is 1 [fixed-dimension]" in lines


def in_precision(folder: Path, text: str, precision: str) -> tuple[CompileResult, list[str]]:
    """Compiles a net of its own, calibrated for INT8, and what it said."""
    files, lines = Files.of(folder, text), list[str]()
    model, weight = files.model, files.weight
    if precision == "INT8":
        flags = {"th_method": "MAX", "equalize": False, "adaptive_rounding": False}
        found = files.calibrate(files.samples(count=2), **flags).result
        model, weight = found.prototxt, found.umodel
    outdir = folder / "compiled"
    return bmnetu.compile(model, weight, outdir, dyn=True, report=lines.append), lines


@pytest.mark.parametrize("precision", FILES)
@pytest.mark.parametrize("factor", ["zoom_factor: 2", "zoom_factor: 3"])
def test_an_interp_with_a_factor_is_free(factor: str, precision: str, tmp_path: Path) -> None:
    text = data_layer(3, 2, 9, 11) + layer("Interp", "data", "y", f"interp_param {{ {factor} }}")
    result, lines = in_precision(tmp_path, text, precision)
    assert result.precision == precision
    assert result.free == {"batch": 3, "height": 9, "width": 11}
    assert set(result.steps.values()) == {1}
    assert result.fixed == {}
    (passed,) = (line for line in lines if line.startswith("compare passed"))
    assert "; as well at " in passed
    assert result.bmodel is not None
    stage = read(result.bmodel.read_bytes(), "it").nets[0].stages[0]
    kinds = [record.kind.name for record in unpack(stage.records, 1, 1).groups
             if isinstance(record, RecordCode)]  # fmt: skip
    assert kinds.count("record.resize") == 2
    assert "record.shape_of" in kinds


def test_an_interp_that_rounds_its_size_is_fixed(tmp_path: Path) -> None:
    """Half the size, rounded up, is no multiple of it at every size."""
    text = data_layer(3, 2, 9, 11)
    text += layer("Interp", "data", "y", "interp_param { shrink_factor: 2 }")
    result, _ = in_precision(tmp_path, text, "FP32")
    assert result.free == {"batch": 3}
    for name, extent in (("height", 5), ("width", 6)):
        assert f"its extent {extent} follows from no tensor's" in result.fixed[name]


def test_an_interp_to_a_size_leaves_its_map_free(tmp_path: Path) -> None:
    text = data_layer(3, 2, 9, 11)
    text += layer("Interp", "data", "y", "interp_param { height: 12 width: 20 }")
    result, _ = in_precision(tmp_path, text, "INT8")
    assert result.free == {"batch": 3, "height": 9, "width": 11}
    assert result.findings is not None
    assert {y.shape[2:] for y in result.findings.outputs.values()} == {(12, 20)}


@pytest.mark.parametrize("precision", FILES)
def test_a_reorg_has_steps_of_its_stride(precision: str, tmp_path: Path) -> None:
    text = data_layer(3, 4, 8, 12) + layer("Reorg", "data", "y", "reorg_param { stride: 2 }")
    result, _ = in_precision(tmp_path, text, precision)
    assert result.free == {"batch": 3, "height": 8, "width": 12}
    assert result.steps == {"batch": 1, "height": 2, "width": 2}
    assert result.findings is not None
    assert result.findings.smaller


def test_a_net_that_is_free_in_nothing(tmp_path: Path) -> None:
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 6 } } }'
    text += layer("InnerProduct", "x", "y", "inner_product_param { num_output: 5 }")
    result = own(tmp_path, text)
    assert result.free == {}
    assert "free at run time: nothing, every dimension is fixed" in repr(result)


@pytest.mark.parametrize("net", [nets.ssd, nets.yolo_v3])
def test_layers_of_the_host_are_refused_by_name(net: Any, tmp_path: Path) -> None:
    with pytest.raises(bmnetu.UnsupportedError) as raised:
        own(tmp_path, net(2))
    first, *named, advice = str(raised.value).splitlines()
    assert first.endswith("layer(s) cannot be computed at run-time shapes:")
    assert any('layer "' in line for line in named)
    assert "-output_whitelist" in advice
    assert not (tmp_path / "out").exists()


def test_a_net_that_ends_before_them_compiles(tmp_path: Path) -> None:
    result = own(tmp_path, nets.ssd(2), output_whitelist="f3_loc,f3_conf")
    assert result.free == {"batch": 2, "height": 48, "width": 64}


def test_own_data_are_those_of_the_largest_shape(tmp_path: Path) -> None:
    data = np.random.default_rng(1).standard_normal((2, 3, 9, 9)).astype(np.float32)
    np.save(tmp_path / "x.npy", data)
    result = compiled(tmp_path / "out", "FP32", cmp_data=tmp_path / "x.npy")
    assert result.findings is not None
    np.testing.assert_array_equal(result.findings.inputs["data"], data)
    assert result.findings.smaller


def with_stage(bmodel: Bmodel, **changes: Any) -> Bmodel:
    """The same file with changes of its stage."""
    (net,) = bmodel.nets
    return replace(bmodel, nets=(replace(net, stages=(replace(net.stages[0], **changes),)),))


def with_values(bmodel: Bmodel, name: str, **values: Any) -> Bmodel:
    """The same file with other parameters of the last record of a kind."""
    (stage,) = bmodel.nets[0].stages
    stream = unpack(stage.records, len(stage.inputs), len(stage.outputs))
    groups = [*stream.groups]
    at, record = [
        (i, each) for i, each in enumerate(groups)
        if isinstance(each, RecordCode) and each.kind.name == name
    ][-1]  # fmt: skip
    groups[at] = replace(record, values={**record.values, **values})
    return with_stage(bmodel, records=pack(replace(stream, groups=tuple(groups))))


def test_a_file_is_verified_against_its_module() -> None:
    result, _ = result_of("INT8")
    assert result.bmodel is not None
    assert result.contents is not None
    findings = bmnetu.verify(result.bmodel, result.module, seed=4)
    assert findings.ok, findings.verdict()
    assert len(findings.smaller) > 3
    wrong = with_values(result.contents, "record.softmax", place=0)
    assert 'layer "prob": tensor "prob"' in bmnetu.verify(wrong, result.module).verdict()
    coeff = bytes(x ^ 1 for x in result.contents.nets[0].stages[0].coeff)
    findings = bmnetu.verify(with_stage(result.contents, coeff=coeff), result.module)
    assert 'layer "conv"' in findings.verdict()
    other, _ = result_of("FP32")
    assert other.contents is not None
    with pytest.raises(bmnetu.InputFileError, match="was not made from that module"):
        bmnetu.verify(other.contents, result.module)
    cut = with_stage(result.contents, records=result.contents.nets[0].stages[0].records[:-4])
    with pytest.raises(bmnetu.InputFileError, match="the records end within"):
        bmnetu.verify(cut, result.module)


@pytest.mark.parametrize("precision", FILES)
def test_flipped_bits_of_records_are_found_or_refused_or_do_not_matter(precision: str) -> None:
    result, _ = result_of(precision)
    assert result.contents is not None
    (stage,) = result.contents.nets[0].stages
    rng = np.random.default_rng(7)
    verdicts: set[str] = set()
    for _ in range(25 if precision == "INT8" else 60):
        records = bytearray(stage.records)
        records[rng.integers(len(records))] ^= 1 << int(rng.integers(8))
        changed = with_stage(result.contents, records=bytes(records))
        try:
            verdicts.add(bmnetu.verify(changed, result.module).verdict().split('"')[0])
        except bmnetu.InputFileError:
            verdicts.add("refused")
    assert "refused" in verdicts
    assert any(each.startswith("all ") for each in verdicts)
    assert any("layer" in each for each in verdicts)


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("record.conv", {"stride": (0, 1)}, 'layer "fc": record.conv: '),
        ("record.pool", {"stride": (0, 1)}, 'layer "pool": record.pool: '),
        ("record.softmax", {"place": 5 << 28}, 'layer "prob": record.softmax: '),
    ],
)
def test_records_that_cannot_be_executed_name_their_layer(
    name: str, values: dict[str, Any], sentence: str
) -> None:
    result, _ = result_of("FP32" if name == "record.pool" else "INT8")
    assert result.contents is not None
    wrong = with_values(result.contents, name, **values)
    assert sentence in bmnetu.verify(wrong, result.module).verdict()


def test_a_result_outside_of_the_memory_names_its_layer() -> None:
    result, _ = result_of("FP32")
    assert result.contents is not None
    (stage,) = result.contents.nets[0].stages
    stream = unpack(stage.records, 1, 1)
    (conv, *others) = stream.groups
    assert isinstance(conv, RecordCode)
    moved = replace(conv, results=(replace(conv.results[0], address=1 << 40),))
    records = pack(replace(stream, groups=(moved, *others)))
    findings = bmnetu.verify(with_stage(result.contents, records=records), result.module)
    assert "800 bytes at 0x10000000000 lie outside of the network's memory" in findings.verdict()
    assert "fp32.prototxt:" in findings.verdict()


def test_words_that_no_record_holds_are_refused() -> None:
    result, _ = result_of("FP32")
    assert result.contents is not None
    for records in (b"", bytes(4), b"\xff" * 64, bytes(4096)):
        with pytest.raises(bmnetu.InputFileError):
            bmnetu.verify(with_stage(result.contents, records=records), result.module)


@pytest.mark.parametrize("junk", [b"", b"\xff" * 300, b"layer {", bytes(range(256)) * 4])
def test_hostile_files_leave_nothing_behind(junk: bytes, tmp_path: Path) -> None:
    model, weight = FILES["FP32"]
    (tmp_path / "bad").write_bytes(junk)
    for files in ((tmp_path / "bad", PIPELINE / "Inputs" / weight),
                  (PIPELINE / model, tmp_path / "bad")):  # fmt: skip
        with pytest.raises(bmnetu.BmnetuError):
            bmnetu.compile(*files, tmp_path / "out", dyn=True)
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]
