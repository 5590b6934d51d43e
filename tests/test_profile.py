"""``-enable_profile``: the files it writes, and that layers add up to the network."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import bmnetu
from bmnetu.report.profile import one_bank, profile, text
from bmnetu.report.result import CompileResult
from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles import schedule
from dialects.bm1684.isa import ARITH, Engine, Eu, Instruction, Precision
from tests.bench.commands import instructions
from tests.networks import random_weights

NET = """
name: "net"
input: "data"
input_shape { dim: 1 dim: 16 dim: 12 dim: 12 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 36 kernel_size: 3 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "relu" }
layer { name: "fc" type: "InnerProduct" bottom: "relu" top: "fc"
  inner_product_param { num_output: 40 } }
"""
CONV_MACS, FC_MACS = 12 * 12 * 36 * 9 * 16, 12 * 12 * 36 * 40


@pytest.fixture(params=[0, 1, 2])
def compiled(request: pytest.FixtureRequest, tmp_path: Path) -> CompileResult:
    """A small float network with its profile beside it."""
    model, weight = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    model.write_text(NET)
    weight.write_bytes(random_weights(model, 1).SerializeToString())
    out = tmp_path / "out"
    return bmnetu.compile(
        model, weight, out, opt=request.param, cmp=False, enable_profile=True
    )


def test_layers_add_up_to_the_schedule(compiled: CompileResult) -> None:
    assert compiled.bmodel is not None
    assert compiled.contents is not None
    found = json.loads((compiled.bmodel.parent / "compiler_profile_0.json").read_text())
    layers: list[dict[str, Any]] = found["layers"]
    expected = schedule(instructions(compiled.contents))
    for name, sum_of_all in (("cycles", expected.total), ("tiu_cycles", expected.busy[Engine.TIU]),
                             ("gdma_cycles", expected.busy[Engine.GDMA])):
        assert sum(layer[name] for layer in layers) == found["total"][name] == sum_of_all
    assert max(layer["end"] for layer in layers) == expected.total
    assert found["milliseconds"] == pytest.approx(expected.total / 550e3)
    assert found["unknown"] == {}
    macs = {layer["layer"]: layer["macs"] for layer in layers}
    assert (macs["conv"], macs["fc"]) == (CONV_MACS, FC_MACS)


def test_slow_ddr_and_banks(compiled: CompileResult) -> None:
    found = profile(compiled.module)
    total = found.total
    assert total.cycles < found.slow_ddr_cycles <= total.tiu_cycles + total.gdma_cycles / 0.6 + 2
    assert 0 <= found.one_bank <= 1
    shown = text(found)
    assert f"With DDR at 60% of its rate: {found.slow_ddr_cycles} cycles" in shown


def test_commands_with_two_tensors_in_a_bank() -> None:
    """An operand and the result next to each other; in place; a bank apart."""

    def copy(src: int, dst: int) -> Instruction:
        return ARITH.build(
            tsk_eu_typ=Eu.COPY, tsk_opd_num=1, opt_res0_prec=Precision.FP32,
            opt_opd0_prec=Precision.FP32, opt_opd1_prec=Precision.FP32, res0_n=1, res0_c=64,
            res0_h=4, res0_w=8, res0_addr=BM1684.local_address(0, dst),
            opd0_addr=BM1684.local_address(0, src),
        )  # fmt: skip

    pairs = [(0, 128), (256, 256), (0, BM1684.bank_bytes), (BM1684.bank_bytes - 128, 0)]
    shares = [one_bank([copy(*pair)]) for pair in pairs]
    assert shares == [1, 0, 0, 1]


def test_what_bounds_a_layer(compiled: CompileResult) -> None:
    assert compiled.bmodel is not None
    found = json.loads((compiled.bmodel.parent / "compiler_profile_0.json").read_text())
    layers = {layer["layer"]: layer for layer in found["layers"]}
    assert layers["fc"]["bound"] == "weights"
    assert layers["fc"]["where"].endswith("net.prototxt:8")
    assert layers["fc"]["ddr_read"] >= 4 * 40 * 32 * 144
    assert layers["conv"]["multiplier_use"] == pytest.approx(
        CONV_MACS / 2048 / layers["conv"]["tiu_cycles"]
    )


def test_table_and_csv_have_a_row_a_layer(compiled: CompileResult) -> None:
    assert compiled.bmodel is not None
    stem = compiled.bmodel.parent / "compiler_profile_0"
    found = json.loads(stem.with_suffix(".json").read_text())
    records = [*found["layers"], found["total"]]
    with stem.with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [{name: str(value) for name, value in record.items()} for record in records]
    lines = stem.with_suffix(".txt").read_text().splitlines()
    assert lines[0].startswith(f"net: {found['total']['cycles']} cycles, ")
    header = next(i for i, line in enumerate(lines) if line.startswith("layer "))
    shown = [line.split()[:2] for line in lines[header + 1 :] if line]
    assert shown == [[record["layer"], str(record["cycles"])] for record in records]
