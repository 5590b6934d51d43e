"""bmnetu-opt end to end: networks and dumps in, IR or commands out, errors in a sentence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bmnetu
from bmnetu.opt import GENERAL_PASSES, main
from bmnetu.ways.static import OPT_LEVELS
from passes import ALL_PASSES, first_sentence
from tests.broken import FILES, PIPELINE
from tests.detection_nets import faster_rcnn
from tests.frontend.onnx.graphs import Net, node
from tests.networks import random_weights
from tests.pipelines import static_text

Capture = pytest.CaptureFixture[str]
CASES = [(precision, opt) for precision in FILES for opt in OPT_LEVELS]


def files(precision: str) -> tuple[str, str]:
    """Prototxt and umodel of a small network."""
    model, weight = FILES[precision]
    return str(PIPELINE / model), str(PIPELINE / "Inputs" / weight)


def opt(capsys: Capture, *words: str | Path) -> str:
    """What a successful run prints."""
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def failed(capsys: Capture, *words: str | Path) -> tuple[int, str]:
    """Exit code and message of a run that fails."""
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("bmnetu-opt: error: ")
    assert "Traceback" not in err
    return code, err.removeprefix("bmnetu-opt: error: ").rstrip("\n")


def split_pipeline(text: str) -> list[str]:
    """The passes of a pipeline's text with their options."""
    return re.findall(r"[\w-]+(?:\{[^}]*\})?", text)


def test_list_passes_as_json(capsys: Capture) -> None:
    lines = opt(capsys, "--list-passes").splitlines()
    found = json.loads(opt(capsys, "--list-passes", "--json"))["passes"]
    assert [each["name"] for each in found] == [line.split()[0] for line in lines]
    assert all(line.endswith(each["summary"]) for each, line in zip(found, lines, strict=True))
    assert main(["--json", "net.mlir"]) == 2
    assert "--json goes with --list-passes" in capsys.readouterr().err


def test_list_passes_has_a_sentence_a_pass(capsys: Capture) -> None:
    lines = opt(capsys, "--list-passes").splitlines()
    assert [line.split()[0] for line in lines] == [item.name for item in ALL_PASSES]
    assert all(re.fullmatch(r"\S+ +[A-Z].*\.", line) for line in lines)
    sentences = [line.split(maxsplit=1)[1] for line in lines]
    assert sentences == [first_sentence(item.__doc__) for item in ALL_PASSES]


def test_the_list_is_there_before_any_pass() -> None:
    """What is slow to load is not loaded for it."""
    script = "import sys, bmnetu.start as s; sys.argv[1:] = ['--list-passes']; s.opt();"
    script += "print([m for m in ('numpy', 'xdsl', 'passes.verify_layers') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("precision", "level"), CASES)
def test_a_prototxt_goes_through_the_printed_pipeline(
    precision: str, level: int, capsys: Capture, tmp_path: Path
) -> None:
    model, weight = files(precision)
    text = static_text(level, precision, verify=True)
    opt(capsys, model, "--umodel", weight, "-p", text, "-o", tmp_path / "out.mlir")
    printed = (tmp_path / "out.mlir").read_text()
    assert "npu.tiu" in printed
    assert "@reference" in printed
    assert "quant.conv" not in printed.split("@reference")[0]


@pytest.mark.parametrize(("precision", "level"), CASES)
def test_every_dump_runs_on_to_the_same_commands(
    precision: str, level: int, capsys: Capture, tmp_path: Path
) -> None:
    dumps = tmp_path / "ir"
    result = bmnetu.compile(*files(precision), tmp_path, opt=level, dump_ir=dumps)
    passes = split_pipeline(result.pipeline)
    assert ",".join(passes) == result.pipeline
    assert passes.pop() == "verify-layers"
    found = sorted(dumps.glob("*.mlir"))
    names = [re.sub(r"\{.*", "", item) for item in passes]
    assert [path.stem for path in found] == [
        f"{i:02}_{name}" for i, name in enumerate(["load", *names])
    ]
    last = opt(capsys, found[-1], "--weights", dumps / "weights.npz", "-t", "npu-asm")
    assert len(last.splitlines()) > 10
    for i, path in enumerate(found):
        rest = ",".join([*passes[i:], "verify-layers"])
        words = (path, "--weights", dumps / "weights.npz", "-p", rest, "-t", "npu-asm")
        assert opt(capsys, *words) == last


def test_the_assembly_names_layers_and_final_tensors(capsys: Capture) -> None:
    model, weight = files("INT8")
    lines = opt(
        capsys, model, "--umodel", weight, "-p", static_text(1, "INT8"), "-t", "npu-asm"
    ).splitlines()
    form = r'0 (tiu|gdma) +\d+ < +\d+ \w+ .*; .*int8\.prototxt:\d+: layer "\w+"( final=\S+)*'
    assert all(re.fullmatch(form, line) for line in lines)
    finals = [word for line in lines for word in re.findall(r"final=(\S+)", line)]
    assert finals[:4] == ["conv_1", "conv2", "sum", "pool"]
    assert finals[4:] == ["fc/product", "fc", "prob/dequantize", "prob"]
    ids = [int(line.split()[2]) for line in lines if line.startswith("0 gdma")]
    assert ids == list(range(1, len(ids) + 1))


def test_the_assembly_has_the_layers_on_the_host(capsys: Capture, tmp_path: Path) -> None:
    """In the order in which they run, the groups of the NPU before and behind counted on."""
    model, weight = tmp_path / "net.prototxt", tmp_path / "net.fp32umodel"
    model.write_text(faster_rcnn())
    weight.write_bytes(random_weights(model, 0).SerializeToString())
    words = (model, "--umodel", weight, "-p", static_text(1, "FP32"), "-t", "npu-asm")
    lines = opt(capsys, *words).splitlines()
    at = [i for i, line in enumerate(lines) if line.startswith("- host ")]
    first, second = (lines[i] for i in at)
    form = r"- host proposal \(prob_r@0x\w+, deltas@0x\w+, im_info@0x\w+\) -> \(rois@0x\w+\) "
    assert re.match(form + "feat_stride=16 min_size=8 .*scales=8,16,32,0,0 ratios=0.5,1,2", first)
    assert 'layer "Proposal_rois"' in first
    assert second.startswith("- host roi_pooling (f4@")
    groups = [int(line.split()[0]) for line in lines if not line.startswith("-")]
    assert groups == sorted(groups)
    assert groups[0] < int(lines[at[-1] + 1].split()[0])


@pytest.mark.parametrize("names", ["input_names", "output_names"])
@pytest.mark.parametrize("dump", ["load", "quant-outline-host", "convert-tile-to-npu"])
def test_names_that_are_too_many(
    capsys: Capture, tmp_path: Path, dump: str, names: str
) -> None:
    model, weight = tmp_path / "net.prototxt", tmp_path / "net.fp32umodel"
    model.write_text(faster_rcnn())
    weight.write_bytes(random_weights(model, 0).SerializeToString())
    passes = static_text(1, "FP32", verify=True).split(",")
    count = passes.index(dump) + 1 if dump in passes else 0
    path, rest = tmp_path / "it.mlir", ",".join(passes[count:])
    blobs = tmp_path / "ir" / "weights.npz"
    bmnetu.compile(model, weight, tmp_path / "out", opt=1, dump_ir=tmp_path / "ir")
    (found,) = (tmp_path / "ir").glob(f"*_{dump}.mlir")
    path.write_text(re.sub(rf'({names} = \[)(?=")', r'\1"x", ', found.read_text()))
    code, said = failed(capsys, path, "--weights", blobs, "-p", rest)
    assert code == 1
    verb = "takes" if names == "input_names" else "returns"
    assert re.search(rf"function @\w+ {verb} \d tensors, and {names} names \d: as many are", said)


def test_an_onnx_needs_no_weights(capsys: Capture, tmp_path: Path) -> None:
    net = Net([node("Relu", "x", "y"), node("Tanh", "y", "z")], outputs=["z"])
    converted = opt(capsys, net.write(tmp_path), "-p", "convert-ufw-to-quant")
    assert 'quant.pointwise "tanh"' in converted


def test_general_passes_are_there(capsys: Capture, tmp_path: Path) -> None:
    twice = tmp_path / "twice.mlir"
    twice.write_text("""
func.func @main(%x: tensor<1x3xf32>) -> tensor<1x3xf32> {
  %a = quant.pointwise "tanh" %x tops ["a"] : tensor<1x3xf32> -> tensor<1x3xf32>
  %b = quant.pointwise "tanh" %x tops ["b"] : tensor<1x3xf32> -> tensor<1x3xf32>
  func.return %b : tensor<1x3xf32>
}""")
    assert {item.name for item in GENERAL_PASSES} == {"canonicalize", "cse", "dce"}
    assert opt(capsys, twice, "-p", "dce").count("quant.pointwise") == 1


# -- errors ----------------------------------------------------------------------------------------


def test_files_that_are_not_there_or_are_something_else(capsys: Capture, tmp_path: Path) -> None:
    model, weight = files("FP32")
    code, said = failed(capsys, tmp_path / "gone.mlir")
    assert code == 3
    assert said == f"{tmp_path / 'gone.mlir'}: No such file or directory"
    code, said = failed(capsys, model, "--umodel", tmp_path / "gone.umodel")
    assert code == 3
    assert "gone.umodel" in said
    code, said = failed(capsys, model, "--umodel", model)
    assert code == 3
    assert "fp32.prototxt" in said
    assert failed(capsys, model) == (2, "a .prototxt needs its weights: --umodel FILE")
    dump = tmp_path / "it.mlir"
    dump.write_text("func.func @main() { func.return }")
    for junk in (weight, model):
        code, said = failed(capsys, dump, "--weights", junk)
        assert code == 3
        assert said.startswith(f"{junk}: not a weights.npz of a dump")


PRELU = """func.func @main(%x: tensor<1x3xf32>) -> tensor<1x3xf32>
    attributes {input_names = ["x"], output_names = ["a"]} {
  %a = quant.prelu %x slope <"60a430c5d19fc8d8", "float32", [1]> tops ["a"]
    : tensor<1x3xf32> -> tensor<1x3xf32>
  func.return %a : tensor<1x3xf32>
}"""


def test_constants_without_data(capsys: Capture, tmp_path: Path) -> None:
    dump, other, wrong = (tmp_path / n for n in ("it.mlir", "other.npz", "wrong.npz"))
    dump.write_text(PRELU)
    np.savez(other, a=np.zeros(3, np.float32))
    arrays: dict[str, Any] = {"60a430c5d19fc8d8": np.ones(1, np.float32)}
    np.savez(wrong, **arrays)
    message = "constant 60a430c5d19fc8d8 is not in the weights file"
    assert failed(capsys, dump, "--weights", other) == (1, message)
    message = "constant 60a430c5d19fc8d8 in the weights file has other contents"
    assert failed(capsys, dump, "--weights", wrong) == (1, message)
    code, said = failed(capsys, dump, "-p", "convert-quant-to-tile")
    assert code == 1
    assert "constant 60a430c5d19fc8d8 has no data: pass the weights.npz of the dump" in said
    assert "prelu" in opt(capsys, dump)


def test_modules_that_are_none(capsys: Capture, tmp_path: Path) -> None:
    dump = tmp_path / "it.mlir"
    dump.write_text("func.func @main( { }")
    code, said = failed(capsys, dump)
    assert code == 1
    assert "it.mlir:1:18" in said
    dump.write_text(PRELU.replace('"float32", [1]', '"float32", [2]'))
    code, said = failed(capsys, dump)
    assert code == 1
    assert "quant.prelu: slope must be [1] or [3]" in said
    dump.write_text(PRELU)
    assert failed(capsys, dump, "-t", "npu-asm") == (1, "the function holds no commands")
    assert failed(capsys, dump, "-p", "npu-assign-waits,verify-layers")[0] == 1


def test_what_cannot_be_compiled_is_exit_code_4(capsys: Capture, tmp_path: Path) -> None:
    model = tmp_path / "net.prototxt"
    model.write_text(
        'layer { name: "in" type: "Input" top: "in" input_param { shape { dim: 1 dim: 3 } } }\n'
        'layer { name: "tile" type: "SPP" bottom: "in" top: "t" }\n'
    )
    code, said = failed(capsys, model, "--umodel", files("FP32")[1])
    assert code == 4
    assert "net.prototxt:2" in said
    assert "SPP" in said
    dump = tmp_path / "it.mlir"
    dump.write_text("""
func.func @main(%x: tensor<1x90000000xf32>) -> tensor<1x90000000xf32>
    attributes {input_names = ["x"], output_names = ["y"]} {
  %y = quant.softmax %x axis 1 tops ["y"]
    : tensor<1x90000000xf32> -> tensor<1x90000000xf32> loc("soft"("net.prototxt":7:0))
  func.return %y : tensor<1x90000000xf32>
}""")
    code, said = failed(capsys, dump, "-p", "convert-quant-to-tile")
    reason = "a softmax over 90000000 values does not fit local memory"
    assert (code, said) == (4, f'net.prototxt:7: layer "soft": {reason}')


def test_debug_shows_where_an_error_comes_from() -> None:
    with pytest.raises(bmnetu.UsageError):
        main([files("FP32")[0], "--debug"])


def test_a_run_that_fails_writes_no_file(capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "out.mlir"
    model, weight = files("FP32")
    failed(capsys, model, "--umodel", weight, "-p", "quant-fuse-relu", "-o", out)
    assert not any(tmp_path.iterdir())
    out.write_text("old")
    failed(capsys, model, "--umodel", weight, "-p", "quant-fuse-relu", "-o", out)
    assert out.read_text() == "old"
    opt(capsys, model, "--umodel", weight, "-o", out)
    assert "ufw.convolution" in out.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["out.mlir"]
    opt(capsys, model, "--umodel", weight, "-o", "/dev/null")
    assert failed(capsys, model, "--umodel", weight, "-o", tmp_path)[0] == 3


@pytest.mark.parametrize(
    ("name", "hint"),
    [("quant-fuse-rel", "did you mean quant-fuse-relu?"), ("of-my-own", "--list-passes lists all")],
)
def test_a_pass_that_is_not_there(
    name: str, hint: str, capsys: Capture, tmp_path: Path
) -> None:
    module = tmp_path / "it.mlir"
    module.write_text("builtin.module {}")
    said = f'-p: there is no pass "{name}"; {hint}'
    assert failed(capsys, module, "-p", f"cse,{name}") == (2, said)


@pytest.mark.parametrize("pipeline", ["convert-quant-to-tile{", "foo bar", "a{b="])
def test_a_pipeline_that_cannot_be_read_is_bad_usage(
    tmp_path: Path, capsys: Capture, pipeline: str
) -> None:
    path = tmp_path / "empty.mlir"
    path.write_text("builtin.module {\n}\n")
    assert main([str(path), "-p", pipeline]) == 2
    said = capsys.readouterr().err
    assert said.startswith("bmnetu-opt: error: Error parsing pass pipeline specification")
    assert "Traceback" not in said
