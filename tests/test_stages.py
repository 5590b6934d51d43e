"""Several shapes in one bmodel: a stage each, weights once; and several nets in one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bmnetu
from bmnetu.bmodel import Bmodel, Net, Stage, read, write
from bmnetu.cli import main
from bmnetu.emit.combine import combined, moved_differences
from bmnetu.errors import InputFileError, UsageError
from bmnetu.report.result import CompileResult
from bmnetu.ways import search
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Engine, unpack
from dialects.bm1684.model import accesses
from dialects.bm1684.model.memory.access import Space
from tests.broken import FILES, PIPELINE
from tests.calibration.harness import Files, data_layer, layer
from tests.frontend.samples import written

BATCHES = (2, 5, 9)


def compiled(outdir: Path, precision: str, **flags: Any) -> CompileResult:
    model, weight = FILES[precision]
    return bmnetu.compile(PIPELINE / model, PIPELINE / "Inputs" / weight, outdir, **flags)


def stages_of(path: Path | None) -> tuple[Stage, ...]:
    assert path is not None
    (net,) = read(path.read_bytes(), "it").nets
    return net.stages


def loads(stage: Stage) -> list[bytes]:
    """The weights that the transfers read, in order."""
    found: list[bytes] = []
    for group in stage.groups:
        for at in range(0, len(group.gdma), 128):
            for access in accesses(unpack(Engine.GDMA, group.gdma[at : at + 128])):
                if access.space is Space.DDR and access.start < stage.context_address:
                    first = access.start - stage.coeff_address
                    found.append(stage.coeff[first : access.stop - stage.coeff_address])
    return found


@pytest.mark.parametrize("opt", [0, 1, 2])
@pytest.mark.parametrize("precision", FILES)
def test_a_stage_for_each_batch(precision: str, opt: int, tmp_path: Path) -> None:
    """As it is alone, but for the loads that the search merges where none shares the weights."""
    same: dict[str, Any] = {"opt": opt, "opt_budget": 1}
    result = compiled(tmp_path / "all", precision, max_n=BATCHES, **same)
    stages = stages_of(result.bmodel)
    assert [stage.inputs[0].shape for stage in stages] == [(n, 3, 9, 9) for n in BATCHES]
    assert [r.findings is not None and r.findings.ok for r in result.stages] == [True] * 3
    assert {(s.context_address, s.context_size, s.coeff) for s in stages} == {
        (stages[0].context_address, stages[0].context_size, stages[0].coeff)
    }
    sizes: list[int] = []
    for i, n in enumerate(BATCHES):
        (alone,) = stages_of(compiled(tmp_path / str(n), precision, max_n=n, **same).bmodel)
        assert loads(stages[i]) == loads(alone)
        assert [g.tiu for g in stages[i].groups] == [g.tiu for g in alone.groups]
        sizes.append(len(alone.coeff))
    assert max(sizes) <= len(stages[0].coeff) < 1.3 * max(sizes)


CONVOLUTION = """
name: "net"
layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "c" type: "Convolution" bottom: "d" top: "c"
        convolution_param { num_output: 70 kernel_size: 3 } }
"""


def test_sets_of_shapes(tmp_path: Path) -> None:
    model, weight = written(tmp_path, CONVOLUTION)
    sets = [[[1, 3, 9, 9]], [[2, 3, 130, 11]]]
    result = bmnetu.compile(model, weight, tmp_path, shapes=sets)
    stages = stages_of(result.bmodel)
    assert [stage.inputs[0].shape for stage in stages] == [(1, 3, 9, 9), (2, 3, 130, 11)]
    line = main([
        f"-model={model}", f"-weight={weight}", f"-outdir={tmp_path / 'again'}", "-opt=2",
        "-shapes=[1,3,9,9]", "-shapes=[[2,3,130,11]]",
    ])  # fmt: skip
    assert line == 0
    assert stages_of(tmp_path / "again" / "compilation.bmodel") == stages


def test_an_error_says_of_which_stage(tmp_path: Path) -> None:
    model, weight = written(tmp_path, CONVOLUTION)
    sets = [[[1, 3, 9, 9]], [[1, 3, 2, 2]]]
    with pytest.raises(bmnetu.BmnetuError, match=r"^stage 1: .*layer \"c\""):
        bmnetu.compile(model, weight, tmp_path / "out", shapes=sets)


@pytest.mark.parametrize("kind", ["npy", "npz", "array"])
@pytest.mark.parametrize("count", [2, 6])
def test_one_array_for_all_stages(kind: str, count: int, tmp_path: Path) -> None:
    """Each stage takes its first images, and repeats them where there are too few."""
    array = np.random.default_rng(0).standard_normal((count, 3, 9, 9)).astype(np.float32)
    path = tmp_path / f"x.{kind}"
    if kind == "npz":
        np.savez(path, allow_pickle=False, data=array)
    elif kind == "npy":
        np.save(path, array)
    given = array if kind == "array" else path
    result = compiled(tmp_path, "FP32", max_n=(1, 4), cmp_data=given)
    for stage, batch in zip(result.stages, (1, 4), strict=True):
        assert stage.findings is not None
        expected = array[np.arange(batch) % count]
        np.testing.assert_array_equal(stage.findings.inputs["data"], expected)


def test_an_array_that_one_stage_does_not_take(tmp_path: Path) -> None:
    net = data_layer(1, 3, 9, 9) + layer(
        "Convolution", "data", "a", "convolution_param { num_output: 4 kernel_size: 3 }"
    )
    files = Files.of(tmp_path, net)
    array = np.ones((1, 3, 9, 9), np.float32)
    np.save(tmp_path / "x.npy", array)
    shapes = [[[1, 3, 9, 9]], [[1, 3, 7, 7]]]
    for given, kind in ((array, UsageError), (tmp_path / "x.npy", InputFileError)):
        with pytest.raises(kind, match=r"stage 1 \(1x3x7x7\): .*1x3x9x9"):
            bmnetu.compile(files.model, files.weight, tmp_path / "out", shapes=shapes,
                           cmp_data=given)  # fmt: skip
    assert not (tmp_path / "out" / "compilation.bmodel").exists()


def test_max_n_several_times(tmp_path: Path) -> None:
    model, weight = (PIPELINE / FILES["FP32"][0], PIPELINE / "Inputs" / FILES["FP32"][1])
    words = [f"-model={model}", f"-weight={weight}", f"-outdir={tmp_path}", "-cmp=false"]
    assert main([*words, "-max_n=1", "-max_n=3"]) == 0
    stages = stages_of(tmp_path / "compilation.bmodel")
    assert [stage.inputs[0].shape[0] for stage in stages] == [1, 3]


def test_the_files_of_all_stages(tmp_path: Path) -> None:
    result = compiled(tmp_path, "FP32", max_n=(1, 3), enable_profile=True)
    assert result.input_ref_data is not None
    assert len(result.input_ref_data.read_bytes()) == (1 + 3) * 3 * 9 * 9 * 4
    names = {f"compiler_profile_{i}.{suffix}" for i in (0, 1) for suffix in ("txt", "csv", "json")}
    assert names <= {path.name for path in tmp_path.iterdir()}
    assert "stage 1 inputs: data float32 3x3x9x9" in repr(result)


def test_a_report_of_each_stage(tmp_path: Path) -> None:
    compiled(tmp_path, "FP32", max_n=(1, 3), report_file=tmp_path / "page.html")
    pages = [(tmp_path / f"page_{i}.html").read_text() for i in (0, 1)]
    assert all(shape in page for page, shape in zip(pages, ("1x3x9x9", "3x3x9x9"), strict=True))
    assert not (tmp_path / "page.html").exists()


def test_the_lines_say_which_stage(tmp_path: Path) -> None:
    lines: list[str] = []
    compiled(tmp_path, "FP32", max_n=(1, 3), report=lines.append)
    assert [line for line in lines if "stage" in line] == [
        "stage 0 (1x3x9x9):", "stage 1 (3x3x9x9):",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"max_n": (2, 2)}, "2x3x9x9 is given twice"),
        ({"max_n": (1, 2), "dyn": True}, "-dyn: with one set of shapes only, 2 are given"),
        ({"max_n": (1, 2), "stop_after": "quant"}, "-stop_after: with one set"),
    ],
)
def test_what_cannot_be(flags: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(bmnetu.UsageError, match=words):
        compiled(tmp_path, "FP32", **flags)
    assert not list(tmp_path.iterdir())


def alone(outdir: Path, precision: str, name: str = "net") -> Bmodel:
    result = compiled(outdir, precision, net_name=name, cmp=False)
    assert result.contents is not None
    return result.contents


def test_a_moved_stage_is_checked(tmp_path: Path) -> None:
    stages = stages_of(compiled(tmp_path / "all", "INT8", max_n=(1, 4), opt=2).bmodel)
    (alone,) = stages_of(compiled(tmp_path / "4", "INT8", max_n=4, opt=2).bmodel)
    moved = stages[1]
    assert list(moved_differences(alone, moved)) == []
    damaged = bytes(255 - byte for byte in moved.coeff)
    assert "transfer" in next(moved_differences(alone, replace(moved, coeff=damaged)))
    elsewhere = replace(moved, context_address=moved.context_address + 4096)
    assert "is another one" in next(moved_differences(alone, elsewhere))
    assert list(moved_differences(stages[0], moved))


def test_two_nets(tmp_path: Path) -> None:
    a, b = alone(tmp_path, "FP32", "a"), alone(tmp_path, "INT8", "b")
    found = read(write(combined([("a", a), ("b", b)])), "it")
    assert [net.name for net in found.nets] == ["a", "b"]
    assert [net.stages for net in found.nets] == [a.nets[0].stages, b.nets[0].stages]


def test_nets_of_one_name_that_differ(tmp_path: Path) -> None:
    a, b = alone(tmp_path, "FP32"), alone(tmp_path, "INT8")
    with pytest.raises(InputFileError, match='b: net "net" has another type or scale of "data"'):
        combined([("a", a), ("b", b)])
    with pytest.raises(InputFileError, match='c: net "net" has the input shapes 2x3x9x9, as in a'):
        combined([("a", a), ("c", a)])
    (net,) = a.nets
    (output,) = net.stages[0].outputs
    other = replace(net.stages[0], outputs=(replace(output, name="other"),))
    with pytest.raises(InputFileError, match='d: net "net" has other outputs than in a'):
        combined([("a", a), ("d", replace(a, nets=(Net("net", (other,)),)))])


def test_no_address_before_the_weights_moves(tmp_path: Path) -> None:
    """Tables in L2 stay where they are."""
    for stage in stages_of(compiled(tmp_path, "INT8", max_n=(1, 4), opt=2).bmodel):
        for tensor in (*stage.inputs, *stage.outputs):
            assert tensor.address >= stage.context_address >= BM1684.context_start


@pytest.mark.parametrize(("batches", "times"), [((4,), 1), ((1, 4), 0)])
def test_stages_that_share_weights_merge_no_loads(
    batches: tuple[int, ...], times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[search.Candidate] = []

    def note(best: search.Candidate) -> search.Candidate:
        seen.append(best)
        return best

    monkeypatch.setattr(search, "_merged", note)
    compiled(tmp_path, "INT8", max_n=batches, opt=2)
    assert len(seen) == times
