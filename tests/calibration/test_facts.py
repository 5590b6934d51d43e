"""Calibration of a layer that states no facts: its op has a shape, a meaning and a lowering."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from xdsl.ir import Dialect
from xdsl.irdl import irdl_op_definition, traits_def
from xdsl.traits import Pure

import bmnetu
from bmnetu import plugins
from bmnetu.errors import UnsupportedError
from bmnetu.frontend import load_network
from bmnetu.frontend.layers.importers import IMPORTERS, Importer
from bmnetu.frontend.layers.site import LayerSite
from bmnetu.ways.static import OPT_LEVELS
from dialects.ufw.facts import FloatArray
from dialects.ufw.layer import LayerOp, Top, UnaryLayerOp
from passes.layers import LAYERS, Converter
from passes.layers.arithmetic import plain_sum
from tests.calibration.harness import Files, batch, cosine, data_layer, layer

CONV = "convolution_param { num_output: 6 kernel_size: 3 pad: 1 }"
NET = "".join([
    data_layer(2, 6, 5, 7),
    layer("Convolution", "data", "a", CONV),
    layer("Double", "a", "b"),
    layer("ReLU", "b", "c"),
    layer("Double", "c", "d"),
    layer("Concat", "c d", "e"),
    layer("Convolution", "e", "f", CONV),
    layer("Double", "f", "g"),
])  # fmt: skip


@irdl_op_definition
class DoubleOp(UnaryLayerOp):
    """``y = 2 x``."""

    name = "plain.double"
    traits = traits_def(Pure())

    def __init__(self, bottom: Any, top: Top) -> None:
        self.setup([bottom], [top], {})

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        return [inputs[0] * 2]


def lowered(c: Converter, op: DoubleOp) -> None:
    c.finish(op, plain_sum(c, op, [c.as_float(c.value(op.bottom))], [2.0]))


def double(site: LayerSite) -> LayerOp:
    return DoubleOp(site.bottom, site.top)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(IMPORTERS, "Double", Importer(double, bottoms=(1, 2), tops=(1, 2)))
    monkeypatch.setitem(LAYERS, DoubleOp, lowered)
    monkeypatch.setattr(plugins, "dialects", lambda: (Dialect("plain", [DoubleOp]),))


@pytest.mark.parametrize("method", ["KL", "AUTO"])
def test_it_stays_float_and_all_else_is_8_bit(tmp_path: Path, method: str) -> None:
    files = Files.of(tmp_path, NET)
    samples = files.samples(4)
    calibrated = files.calibrate(samples, th_method=method, bias_correction=True)
    floats = {name for name, record in calibrated.records().items() if record.is_float}
    assert floats == {"b", "d", "e", "g"}  # a Concat is float where an operand is
    one = batch(samples, 1, 2)
    wanted, found = calibrated.float_outputs(one), calibrated.int8_outputs(one)
    assert cosine(wanted["g"], found["g"]) > 0.99
    result = calibrated.result
    for opt in OPT_LEVELS:
        out = tmp_path / f"opt{opt}"
        compiled = bmnetu.compile(result.prototxt, result.umodel, out, prec="INT8", opt=opt)
        assert compiled.findings is not None
        assert compiled.findings.ok


def test_a_layer_without_a_lowering_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Files.of(tmp_path, NET)
    monkeypatch.delitem(LAYERS, DoubleOp)
    with pytest.raises(UnsupportedError, match=r'layer "Double_b": plain.double has no row in'):
        bmnetu.compile(files.model, files.weight, tmp_path, cmp=False)


@pytest.mark.parametrize(
    ("bottom", "top", "sentence"),
    [
        ("a a", "b", "plain.double must have all bottoms of the layer as operands, in their order"),
        ("a", "b h", "plain.double must have the tops of the layer as results, in their order"),
    ],
)
def test_operands_are_the_bottoms_and_results_the_tops(
    tmp_path: Path, bottom: str, top: str, sentence: str
) -> None:
    files = Files.of(tmp_path, NET)
    files.model.write_text(NET.replace(layer("Double", "a", "b"), layer("Double", bottom, top)))
    with pytest.raises(UnsupportedError, match=sentence):
        load_network(files.model, files.weight)


def test_a_layer_without_a_meaning_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Files.of(tmp_path, NET)
    monkeypatch.delattr(DoubleOp, "meaning")
    with pytest.raises(UnsupportedError, match=r'layer "Double_b" .*: plain.double states no mean'):
        load_network(files.model, files.weight)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [(None, 'gives no value for "b"'), ((12, 35), 'gives "b" the shape 12x35, the op has 2x6x5x7')],
)
def test_a_wrong_lowering_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: Any, sentence: str
) -> None:
    def wrong(c: Converter, op: DoubleOp) -> None:
        if shape is not None:
            c.values[op.results[0]] = c.reshape(c.value(op.bottom), shape, "wrong")

    files = Files.of(tmp_path, NET)
    monkeypatch.setitem(LAYERS, DoubleOp, wrong)
    with pytest.raises(UnsupportedError, match=f"the lowering of plain.double {sentence}"):
        bmnetu.compile(files.model, files.weight, tmp_path, cmp=False)
