"""Numbers that the CPU leaves undefined are no fault of the chip; all others are compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bmnetu
from bmnetu.frontend import write_umodel
from bmnetu.report.result import CompileResult
from bmnetu.ways.static import OPT_LEVELS
from dialects.expression import Expr
from dialects.functions import FUNCTIONS, Parameters
from tests.networks import random_weights

INPUT = """layer { name: "x" type: "Input" top: "x"
  input_param { shape { dim: 2 dim: 8 dim: 6 dim: 5 } } }"""


def layer(name: str, kind: str, settings: str = "", bottoms: str = "") -> str:
    read = " ".join(f'bottom: "{b}"' for b in bottoms.split())
    return f'layer {{ name: "{name}" type: "{kind}" {read} top: "{name}" {settings} }}'


NETS = {
    "root": [layer("root", "Power", "power_param { power: 0.5 }", "x")],
    "division": [
        layer("relu", "ReLU", bottoms="x"),
        layer("inverse", "Power", "power_param { power: -1 }", "relu"),
    ],
    "overflow": [layer("large", "Power", "power_param { power: 3 scale: 1e13 }", "x")],
    "what follows": [
        layer("root", "Power", "power_param { power: 0.5 }", "x"),
        layer("rest", "ReLU", bottoms="root"),
        layer("max", "Eltwise", "eltwise_param { operation: MAX }", "root x"),
        layer("pool", "Pooling", "pooling_param { kernel_size: 2 stride: 1 }", "root"),
        layer("conv", "Convolution", "convolution_param { num_output: 9 kernel_size: 3 }", "root"),
        layer("norm", "BatchNorm", "", "conv"),
        layer("last", "ReLU", "", "norm"),
        layer("fc", "InnerProduct", "inner_product_param { num_output: 5 }", "last"),
        layer("prob", "Softmax", "", "fc"),
    ],
}  # fmt: skip


def compiled(folder: Path, layers: list[str], lines: list[str], **flags: Any) -> CompileResult:
    model, weight = folder / "net.prototxt", folder / "net.fp32umodel"
    model.write_text("\n".join([INPUT, *layers]))
    write_umodel(weight, random_weights(model, 1))
    return bmnetu.compile(model, weight, folder / "out", report=lines.append, **flags)


@pytest.mark.parametrize("opt", OPT_LEVELS)
@pytest.mark.parametrize("name", NETS)
def test_undefined_elements_are_counted_and_the_others_compared(
    name: str, opt: int, tmp_path: Path
) -> None:
    lines: list[str] = []
    result = compiled(tmp_path, NETS[name], lines, opt=opt)
    found = result.findings
    assert found is not None
    x = found.inputs["x"]
    first = next(each for each in result.layers if each.undefined)
    with np.errstate(all="ignore"):
        expected = {
            "root": x < 0, "division": x <= 0, "what follows": x < 0,
            "overflow": ~np.isfinite((x * np.float32(1e13)) ** np.float32(3)),
        }[name]  # fmt: skip
    count = int(expected.sum())
    assert first.undefined == count > 10
    (line,) = (each for each in lines if f" {first.name} -> " in each)
    assert line.endswith(f", {count} of {x.size} elements are undefined on the CPU")
    assert any(f"{found.undefined} undefined elements left out" in each for each in lines)
    assert any("-cmp_data=FILE" in each for each in lines)
    assert found.undefined == count, "what follows is computed from the chip's numbers"
    assert all(np.isfinite(each.accumulated) for each in result.layers)


@pytest.mark.parametrize("opt", OPT_LEVELS)
def test_absurd_numbers_are_not_summed_up(opt: int, tmp_path: Path) -> None:
    """The chip has 1.7e38 for 0 ** -1.5: its sums overflow in one order, not in another."""
    nets = [
        layer("relu", "ReLU", bottoms="x"),
        layer("huge", "Power", "power_param { power: -1.5 }", "relu"),
        layer("conv", "Convolution", "convolution_param { num_output: 9 kernel_size: 3 }", "huge"),
        layer("fc", "InnerProduct", "inner_product_param { num_output: 5 }", "conv"),
        layer("same", "Eltwise", "eltwise_param { coeff: 1 coeff: -0.5 }", "huge relu"),
    ]
    result = compiled(tmp_path, nets, [], opt=opt)
    assert result.findings is not None
    undefined = {t.top: t.undefined for t in result.findings.tensors}
    assert undefined["huge"] == undefined["same"] > 10
    assert undefined["fc"] == 10
    assert [t.top for t in result.findings.unproved] == ["conv", "fc"]


def test_nothing_is_said_where_all_is_defined(tmp_path: Path) -> None:
    lines: list[str] = []
    result = compiled(tmp_path, [layer("y", "TanH", "", "x")], lines)
    assert result.findings is not None
    assert result.findings.undefined == 0
    assert not any("undefined" in line for line in lines)


def test_a_tensor_without_a_defined_element_is_told(tmp_path: Path) -> None:
    nets = [
        layer("sigmoid", "Sigmoid", "", "x"),
        layer("root", "Power", "power_param { power: 0.5 shift: -2 }", "sigmoid"),
    ]
    lines: list[str] = []
    result = compiled(tmp_path, nets, lines)
    assert result.findings is not None
    assert [t.top for t in result.findings.unproved] == ["root"]
    said = "NPU=CPU none root -> root float32 2x8x6x5: nothing compared, all 480 elements are"
    assert any(line.startswith(said) for line in lines)
    assert any(line.startswith('note: nothing is known of "root"') for line in lines)


@pytest.mark.parametrize("opt", OPT_LEVELS)
def test_a_fault_among_undefined_elements_is_found(
    opt: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = FUNCTIONS["power"]

    def wrong(x: Expr, p: Parameters) -> Expr:
        return right.recipe(x, {**p, "scale": p["scale"] * 1.01})

    monkeypatch.setitem(FUNCTIONS, "power", replace(right, recipe=wrong))
    with pytest.raises(bmnetu.CompareError, match='layer "root": tensor "root"'):
        compiled(tmp_path, NETS["what follows"], [], opt=opt)


@pytest.mark.parametrize("opt", OPT_LEVELS)
def test_a_float_island_of_an_int8_net(opt: int, tmp_path: Path) -> None:
    """What is quantised behind it is compared exactly, on the chip's own numbers."""
    lines: list[str] = []
    compiled(tmp_path, NETS["what follows"], lines, cmp=False)
    data = tmp_path / "data.npy"
    np.save(data, np.random.default_rng(3).uniform(0, 2, (4, 8, 6, 5)).astype(np.float32))
    bmnetu.calibrate(
        tmp_path / "net.prototxt", tmp_path / "net.fp32umodel", data, tmp_path,
        fpfwd_blocks=("root",),
    )  # fmt: skip
    (model,) = tmp_path.glob("*_unique_top.prototxt")
    (weight,) = tmp_path.glob("*.int8umodel")
    result = bmnetu.compile(model, weight, tmp_path / "out", opt=opt)
    found = result.findings
    assert found is not None
    x = found.inputs["x"]
    assert x.dtype == np.int8
    assert {t.layer: t.undefined for t in found.tensors if t.undefined} == {"root": (x < 0).sum()}
    assert any(t.dtype != "float32" and t.layer == "conv" for t in found.tensors)


@pytest.mark.parametrize("opt", OPT_LEVELS)
def test_winograd_behind_undefined_numbers(opt: int, tmp_path: Path) -> None:
    """It is judged by the numbers that are defined."""
    nets = [
        layer("root", "Power", "power_param { power: 0.5 }", "x"),
        layer(
            "conv", "Convolution",
            "convolution_param { num_output: 9 kernel_size: 3 use_winograd: true }", "root",
        ),
    ]  # fmt: skip
    lines: list[str] = []
    assert compiled(tmp_path, nets, lines, opt=opt).findings is not None
    assert [line for line in lines if line.startswith("conv: winograd, cosine 1.0")]
