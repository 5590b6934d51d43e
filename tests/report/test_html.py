"""``-report``: what the page of a compilation or a calibration says, and that names are inert."""

from __future__ import annotations

import hashlib
import html
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from xdsl.dialects.builtin import ModuleOp

import bmnetu
from bmnetu.cli import main
from bmnetu.errors import InputFileError, UsageError
from bmnetu.report.html.page import SCRIPTS
from bmnetu.report.html.provenance import hash_row
from bmnetu.report.numbers import digits
from bmnetu.report.profile import profile
from bmnetu.version import VERSION
from dialects.bm1684.chip import BM1684
from dialects.bm1684.npu import InstructionAttr, TiuOp
from passes.image.program import Program
from passes.verify_layers import VerifyLayersPass, verify_program
from tests.report.reports import (
    HOSTILE,
    LAYERS,
    NET,
    SMALL_THRESHOLD,
    calibrated,
    compiled,
    data_of,
    failed,
    files,
    verdict_of,
)

CHAIN = 150
MOST_BYTES = 3_000_000


class Elements(HTMLParser):
    """All elements of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_closed(page: Path) -> None:
    """The page holds our scripts alone, loads nothing, and shows names as text."""
    text = page.read_text("utf-8")
    elements = Elements(text).found
    scripts = [attributes for tag, attributes in elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}, {}]
    for tag, attributes in elements:
        assert tag not in ("img", "link", "iframe", "object", "embed", "base", "form")
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name) or "#"
            assert value.startswith("#"), f"{tag} {name}={value}"
    assert "url(" not in text
    assert "@import" not in text
    policy = next(a["content"] or "" for _, a in elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    addresses = set(re.findall(r"https?://[^'\"\s]*", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of SVG, which nobody loads


@pytest.mark.parametrize("opt", [0, 2])
def test_a_compilation(tmp_path: Path, opt: int) -> None:
    result, page = compiled(tmp_path, opt=opt)
    check_closed(page)
    found, verdict = data_of(page), verdict_of(page)
    assert "net: passed, the NPU computes what the CPU computes" in verdict
    costs = profile(result.module)
    assert f"{digits(costs.milliseconds)} ms" in verdict
    assert [layer["name"] for layer in found["layers"]] == ["data", *LAYERS]
    assert [layer["type"] for layer in found["layers"]][:4] == [
        "Input", "Convolution", "ReLU", "Pooling",
    ]  # fmt: skip
    rows = {layer["name"]: layer for layer in found["layers"]}
    for cost in costs.layers:
        row = rows[cost.layer]
        assert (row["cycles"], row["macs"]) == (cost.cycles, cost.macs)
        assert row["read"] + row["written"] == cost.ddr_read + cost.ddr_written
    assert sum(row.get("share", 0) for row in rows.values()) == pytest.approx(1, abs=1e-4)
    assert rows["fc"]["verdict"] in ("equal", "within tolerance")
    line = next(i for i, text in enumerate(NET.split("\n"), 1) if '"InnerProduct"' in text)
    assert rows["fc"]["where"] == f"{tmp_path / 'net.prototxt'}:{line}"
    assert "num_output: 10" in rows["fc"]["settings"]
    assert rows["sum"]["in"] == [["branch", "1x32x6x6", "float32"],
                                 ["<img src=x>", "1x32x6x6", "float32"]]  # fmt: skip
    with_others = {name for name, row in rows.items() if "part_of" in row}
    assert with_others == ({"relu"} if opt else set())
    if opt:  # the convolution computes its ReLU, whose numbers are compared
        assert found["layers"][rows["relu"]["part_of"]]["name"] == "conv"
        assert found["layers"][rows["conv"]["compared_as"]]["name"] == "relu"
    assert found["time"]["total"] == costs.total.cycles
    busy = [sum(bar[3] for bar in bars) for bars in found["time"]["engines"].values()]
    assert sorted(busy) == sorted([costs.total.tiu_cycles, costs.total.gdma_cycles])


def test_options_versions_and_hashes(tmp_path: Path) -> None:
    result, page = compiled(tmp_path, opt=1, seed=7)
    found = data_of(page)
    assert result.bmodel is not None
    assert [row[2] for row in found["hashes"]] == [
        sha256(path) for path in (tmp_path / "net.prototxt", tmp_path / "net.caffemodel",
                                  result.bmodel)
    ]  # fmt: skip
    assert ["bmnetu", VERSION] in found["versions"]
    assert ["-seed", "7", "given"] in found["options"]
    assert ["-opt_budget", "3", "default"] in found["options"]
    first = page.read_bytes()
    compiled(tmp_path, opt=1, seed=7)
    assert page.read_bytes() == first


def test_memory(tmp_path: Path) -> None:
    result, page = compiled(tmp_path, opt=2)
    memory = data_of(page)["memory"]
    assert 0 < memory["peak"] <= BM1684.lane_bytes
    assert max(used for _, used in memory["curve"]) == memory["peak"]
    assert memory["curve"][-1][1] == 0
    assert sum(size for _, size in memory["holders"]) == memory["peak"]
    assert result.contents is not None
    stage = result.contents.nets[0].stages[0]
    assert memory["ddr"]["sizes"]["coefficients"] == len(stage.coeff)
    end = stage.context_address + stage.context_size
    assert memory["ddr"]["total"] == end - stage.coeff_address
    rows = {(kind, name): (at, size) for kind, name, at, size in memory["ddr"]["rows"]}
    assert rows["input", "data"] == (stage.inputs[0].address, stage.inputs[0].size)
    assert rows["output", "fc"] == (stage.outputs[0].address, stage.outputs[0].size)
    weights = [name.split(", ") for kind, name in rows if kind == "coefficients"]
    assert {"conv", "branch", "fc"} <= {name for names in weights for name in names}


def test_tensors_between_layers_lie_in_ddr_without_groups(tmp_path: Path) -> None:
    _, page = compiled(tmp_path, opt=0)
    rows = data_of(page)["memory"]["ddr"]["rows"]
    assert {"conv", "branch", "sum"} <= {row[1] for row in rows if row[0] == "intermediate"}


def test_a_compare_that_fails(tmp_path: Path) -> None:
    error, page = failed(tmp_path)
    check_closed(page)
    assert error.exit_code == 5
    assert not (tmp_path / "out").exists()
    verdict, found = verdict_of(page), data_of(page)
    assert 'net: failed, layer "branch" is the first that differs from the CPU' in verdict
    sentence, *_, cause = error.message.removeprefix("compare failed: ").split("; ")
    assert sentence in verdict
    assert cause.startswith("likely cause: the weights or the bias of channel 0")
    assert f"L{cause[1:]}." in verdict
    assert "not stored" in verdict
    bad = found["layers"][found["first_bad"]]
    assert bad["name"] == "branch"
    assert bad["verdict"] == "differs"
    assert bad["isolated"] > 1e-3
    wrong = [layer["name"] for layer in found["layers"] if layer.get("verdict") == "differs"]
    assert wrong == ["branch"]
    behind = next(layer for layer in found["layers"] if layer["name"] == "sum")
    assert behind["accumulated"] > behind["isolated"]
    assert found["hashes"][-1] == ["bmodel", "not stored", ""]
    assert found["time"]["total"] > 0


def test_commands_that_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deadlock fails the compare, and leaves no time to show."""

    def circle(self: VerifyLayersPass, module: ModuleOp) -> None:
        tiu = next(op for op in module.walk() if isinstance(op, TiuOp))
        tiu.command = InstructionAttr(tiu.instruction.with_ids(1, 60_000))
        verify_program(module, Program.of(module), self.findings, self.data, self.seed)

    model, weight = files(tmp_path)
    page = tmp_path / "report.html"
    monkeypatch.setattr(VerifyLayersPass, "compare", circle)
    with pytest.raises(bmnetu.CompareError, match="60000"):
        bmnetu.compile(model, weight, tmp_path / "out", report_file=page)
    check_closed(page)
    assert "net: failed " in verdict_of(page)
    assert "not estimated deadlock" in " ".join(verdict_of(page).split())
    assert "time" not in data_of(page)


def test_without_the_compare(tmp_path: Path) -> None:
    _, page = compiled(tmp_path, cmp=False)
    assert "compiled, not compared" in verdict_of(page)
    assert all("verdict" not in layer for layer in data_of(page)["layers"])


def test_a_dynamic_network(tmp_path: Path) -> None:
    _, page = compiled(tmp_path, dyn=True)
    check_closed(page)
    assert "not estimated" in verdict_of(page)
    found = data_of(page)
    assert "time" not in found
    assert [layer["name"] for layer in found["layers"]][:7] == ["data", *LAYERS]
    assert any(layer.get("verdict") for layer in found["layers"])


def test_a_calibration(tmp_path: Path) -> None:
    page = calibrated(tmp_path, sensitivity=True, fpfwd_blocks="fc")
    check_closed(page)
    found, verdict = data_of(page), verdict_of(page)
    assert "net: calibrated" in verdict
    assert "-th_method=KL" in verdict
    rows = {layer["name"]: layer for layer in found["layers"]}
    assert set(rows) == {"data", *LAYERS}
    assert rows["relu"]["held"] == "unsigned"
    assert rows["fc"]["held"] == "float"
    assert found["layers"][rows["conv"]["part_of"]]["name"] == "relu"
    histograms = {each["blob"]: each for each in found["histograms"]}
    assert sum(histograms["data"]["counts"]) == 8 * 16 * 12 * 12
    clipped = histograms["relu"]
    assert clipped["threshold"] == rows["relu"]["threshold"] == SMALL_THRESHOLD
    assert 0.01 < clipped["beyond"] < 1
    saturated = [loss["layer"] for loss in found["losses"] if loss["kind"] == "saturated"]
    assert saturated == ["relu"]
    assert f"{len(found['losses'])} things look lost in 8 bits" in verdict
    assert f"The worst: {found['losses'][0]['said']}" in verdict
    assert [cost[0] for cost in found["costs"]]
    assert all(len(cost) == 3 for cost in found["costs"])
    paths = [tmp_path / "net.prototxt", tmp_path / "net.caffemodel", tmp_path / "data.npz",
             tmp_path / "out" / "net.int8umodel"]  # fmt: skip
    assert {sha256(path) for path in paths} <= {row[2] for row in found["hashes"]}


def test_names_are_inert(tmp_path: Path) -> None:
    _, page = compiled(tmp_path, net_name=HOSTILE)
    check_closed(page)
    text = page.read_text("utf-8")
    assert html.escape(HOSTILE) in text
    assert "<script>alert" not in text
    assert data_of(page)["net"] == HOSTILE


def test_a_network_of_300_layers(tmp_path: Path) -> None:
    lines = ['name: "chain" input: "data" input_shape { dim: 1 dim: 8 dim: 8 dim: 8 }']
    before = "data"
    for i in range(CHAIN):
        lines.append(
            f'layer {{ name: "a_name_of_usual_length/{i}" type: "Convolution" bottom: "{before}"'
            f' top: "c{i}" convolution_param {{ num_output: 8 kernel_size: 3 pad: 1 }} }}\n'
            f'layer {{ name: "relu/{i}" type: "ReLU" bottom: "c{i}" top: "r{i}" }}'
        )
        before = f"r{i}"
    _, page = compiled(tmp_path, "\n".join(lines), opt=1, cmp=False)
    found = data_of(page)
    assert len(found["layers"]) == 2 * CHAIN + 1
    assert page.stat().st_size < MOST_BYTES
    assert len(found["graph"]["edges"]) == 2 * CHAIN


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, weight = files(tmp_path)
    page = tmp_path / "a page.html"
    words = [f"-model={model}", f"-weight={weight}", f"-outdir={tmp_path / 'out'}"]
    assert main([*words, "-report", str(page)]) == 0
    assert "passed" in verdict_of(page)
    assert main([*words, f"-report={tmp_path / 'x.txt'}"]) == 2
    assert "-report requires a path that ends in .html" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [
    {"mode": "GenUmodel"}, {"stop_after": "quant"}, {"extract_layer": "conv"},
    {"print_pipeline": True},
])
def test_there_must_be_something_to_report(tmp_path: Path, flags: dict[str, Any]) -> None:
    model, weight = files(tmp_path)
    with pytest.raises(UsageError, match="nothing to report with -"):
        bmnetu.compile(model, weight, tmp_path / "out", report_file=tmp_path / "r.html", **flags)
    assert {path.name for path in tmp_path.iterdir()} == {model.name, weight.name}


@pytest.mark.parametrize("flag", ["-check", "-print_pipeline"])
def test_the_command_line_says_so_too(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flag, "-model=net.prototxt", "-report=r.html"]) == 2
    assert f"nothing to report with {flag}, " in capsys.readouterr().err


@pytest.mark.parametrize("run", [compiled, calibrated])
def test_a_place_that_cannot_be_written(tmp_path: Path, run: object) -> None:
    """It is found before anything is computed; then nothing new is there."""
    assert callable(run)
    (tmp_path / "pages").write_text("a file")
    (tmp_path / "report.html").mkdir()
    with pytest.raises(InputFileError, match=r"-report=.*cannot be written"):
        run(tmp_path)
    assert not (tmp_path / "out").exists()


def test_bad_input_leaves_no_report(tmp_path: Path) -> None:
    with pytest.raises(InputFileError):
        compiled(tmp_path, NET.replace('bottom: "sum"', 'bottom: "nowhere"'))
    assert not (tmp_path / "pages").exists()


def test_the_hash_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2").write_bytes(b"two")
    (tmp_path / "a").write_bytes(b"one")
    lines = f"{hashlib.sha256(b'one').hexdigest()}  a\n{hashlib.sha256(b'two').hexdigest()}  b/2\n"
    what, said, digest = hash_row("data", tmp_path)
    assert (what, digest) == ("data", hashlib.sha256(lines.encode()).hexdigest())
    assert "6 bytes in 2 files" in said


def test_every_script_is_in_the_page() -> None:
    folder = Path(bmnetu.__file__).parent / "report" / "html" / "assets"
    assert {path.name for path in folder.glob("*.js")} == set(SCRIPTS)
