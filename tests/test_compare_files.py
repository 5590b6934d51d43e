"""The compare in a compilation, and on a bmodel that is there already."""

from __future__ import annotations

from dataclasses import fields, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

import bmnetu
from bmnetu.bmodel import Bmodel, CommandGroup, Stage, Tensor, Weight, read, write
from bmnetu.emit.static import check_written
from bmnetu.errors import BmnetuError, CompareError, InputFileError
from bmnetu.report.result import CompileResult
from dialects.bm1684.isa import COMMAND_BYTES, Engine, unpack
from passes.kernels.convolution import conv
from tests.broken import FILES, PIPELINE


def compiled(outdir: Path, precision: str = "INT8", **flags: Any) -> CompileResult:
    model, weight = FILES[precision]
    return bmnetu.compile(PIPELINE / model, PIPELINE / "Inputs" / weight, outdir, **flags)


def parts(result: CompileResult) -> tuple[Path, ModuleOp]:
    """The file and the module of a whole compilation."""
    assert result.bmodel is not None
    assert result.module is not None
    return result.bmodel, result.module


def rewritten(path: Path, **changes: Any) -> Path:
    """The file with a changed stage."""
    bmodel = read(path.read_bytes(), str(path))
    stage = replace(stage_of(bmodel), **changes)
    net = replace(bmodel.nets[0], stages=(stage,))
    path.write_bytes(write(replace(bmodel, nets=(net,))))
    return path


def stage_of(bmodel: Bmodel) -> Stage:
    return bmodel.nets[0].stages[0]


@pytest.mark.parametrize("precision", FILES)
@pytest.mark.parametrize("opt", [0, 1, 2])
def test_a_compilation_holds_what_its_compare_saw(
    precision: str, opt: int, tmp_path: Path
) -> None:
    lines: list[str] = []
    result = compiled(tmp_path, precision, opt=opt, report=lines.append)
    assert result.findings is not None
    assert result.findings.ok
    assert all(layer.ok for layer in result.layers)
    assert lines[-1].startswith(f"compare passed: {len(result.layers)} layers, ")
    assert {p.name for p in tmp_path.iterdir()} == {
        "compilation.bmodel", "input_ref_data.dat", "output_ref_data.dat"
    }  # fmt: skip
    for name, arrays in (("input", result.findings.inputs), ("output", result.findings.outputs)):
        data = b"".join(np.ascontiguousarray(a).tobytes() for a in arrays.values())
        assert (tmp_path / f"{name}_ref_data.dat").read_bytes() == data
    assert bmnetu.verify(*parts(result)).ok


def test_verify_finds_a_changed_weight(tmp_path: Path) -> None:
    path, module = parts(compiled(tmp_path))
    coeff = bytearray(stage_of(read(path.read_bytes(), "it")).coeff)
    coeff[0] ^= 0x80
    findings = bmnetu.verify(rewritten(path, coeff=bytes(coeff)), module)
    assert findings.first_bad is not None
    assert findings.first_bad.layer == "conv"
    assert 'layer "conv": tensor ' in findings.verdict()


def test_verify_finds_a_missing_wait(tmp_path: Path) -> None:
    path, module = parts(compiled(tmp_path))
    (group,) = stage_of(read(path.read_bytes(), "it")).groups
    first = unpack(Engine.TIU, group.tiu[:COMMAND_BYTES])
    assert first.wait
    changed = CommandGroup(first.with_ids(1, 0).pack() + group.tiu[COMMAND_BYTES:], group.gdma)
    findings = bmnetu.verify(rewritten(path, groups=(changed,)), module)
    assert findings.failure is not None
    assert 'layer "conv": group 0, ' in findings.failure
    assert "no wait orders the two" in findings.failure


def other(value: Any) -> Any:
    """Another value of that type."""
    if isinstance(value, IntEnum):
        return next(kind for kind in type(value) if kind != value)
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, tuple):
        return (*value[:-1], value[-1] + 1) if value else (Weight("w", 0, 1),)
    return float(np.nextafter(np.float32(value), np.float32(9))) if value == 1.0 else value * 2


NETS = ["name"]
STAGES = ["context_address", "context_size", "coeff_address", "weights"]
TENSORS = [field.name for field in fields(Tensor)]
BORDER = [(field, "") for field in NETS + STAGES] + [
    (field, side) for side in ("inputs", "outputs") for field in TENSORS
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> CompileResult:
    return compiled(tmp_path_factory.mktemp("sound"))


@pytest.mark.parametrize(("field", "side"), BORDER)
def test_verify_finds_every_change_of_the_border(
    field: str, side: str, sound: CompileResult
) -> None:
    assert sound.contents is not None
    (net,) = sound.contents.nets
    (stage,) = net.stages
    if side:
        (tensor,) = getattr(stage, side)
        changed = replace(tensor, **{field: other(getattr(tensor, field))})
        net = replace(net, stages=(replace(stage, **{side: (changed,)}),))
    elif field in STAGES:
        changed = replace(stage, **{field: other(getattr(stage, field))})
        net = replace(net, stages=(changed,))
    else:
        net = replace(net, **{field: other(getattr(net, field))})
    bmodel = replace(sound.contents, nets=(net,))
    findings = bmnetu.verify(bmodel, sound.module)
    assert f" has {field} " in findings.verdict()
    assert not findings.ok
    with pytest.raises(BmnetuError, match=f"^it: .* has {field} "):
        check_written(bmodel, sound.module, "it")


@pytest.mark.parametrize("side", ["inputs", "outputs"])
@pytest.mark.parametrize("count", [0, 2])
def test_verify_counts_inputs_and_outputs(side: str, count: int, sound: CompileResult) -> None:
    assert sound.contents is not None
    (net,) = sound.contents.nets
    stage = replace(net.stages[0], **{side: getattr(net.stages[0], side) * count})
    bmodel = replace(sound.contents, nets=(replace(net, stages=(stage,)),))
    verdict = bmnetu.verify(bmodel, sound.module).verdict()
    assert verdict == f"the file has {count} {side}, the module 1"


def test_verify_refuses_what_does_not_belong_together(tmp_path: Path) -> None:
    path, _ = parts(compiled(tmp_path / "int8"))
    _, module = parts(compiled(tmp_path / "fp32", "FP32"))
    with pytest.raises(InputFileError, match="was not made from that module"):
        bmnetu.verify(path, module)
    torn = tmp_path / "torn.bmodel"
    torn.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputFileError, match=r"torn\.bmodel"):
        bmnetu.verify(torn, module)
    with pytest.raises(InputFileError, match=r"gone\.bmodel"):
        bmnetu.verify(tmp_path / "gone.bmodel", module)


def test_a_compilation_with_a_fault_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = conv.load_weights

    def wrong(b: Any, form: Any, weight: Any, bias: Any, lane: int) -> Any:
        return load(b, form, weight[::-1].copy(), bias, lane)

    monkeypatch.setattr(conv, "load_weights", wrong)
    lines: list[str] = []
    with pytest.raises(CompareError) as caught:
        compiled(tmp_path / "out", report=lines.append)
    assert 'int8.prototxt:20: layer "conv": tensor "conv_1" at [' in str(caught.value)
    assert any("FAIL" in line for line in lines)
    assert not (tmp_path / "out").exists()


def test_without_the_compare_nothing_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unread(*_: Any, **__: Any) -> None:
        raise AssertionError("the NPU model ran")

    monkeypatch.setattr("passes.verify_layers.execute", unread)
    result = compiled(tmp_path, cmp=False)
    assert result.findings is None
    assert result.layers == ()
    assert [p.name for p in tmp_path.iterdir()] == ["compilation.bmodel"]
