"""-extract_layer: each layer as a network of its own, which computes the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from google.protobuf.text_format import Parse
from numpy.typing import NDArray

import bmnetu
from bmnetu import cli
from bmnetu.frontend.ufw_pb2 import NetParameter
from bmnetu.frontend.umodel import prototxt_bytes, umodel_bytes
from bmnetu.frontend.weights.blobs import float_blob
from tests.broken import FILES, PIPELINE
from tests.inspect.files import Capture

NET = """
name: "forked"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 4 dim: 6 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "cut" type: "Slice" bottom: "conv" top: "left" top: "right"
  slice_param { axis: 1 slice_point: 3 } }
layer { name: "more" type: "Convolution" bottom: "right" top: "more"
  convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "sum" type: "Eltwise" bottom: "left" bottom: "more" top: "sum" }
layer { name: "cat" type: "Concat" bottom: "sum" bottom: "right" bottom: "data" top: "cat" }
layer { name: "prob" type: "Softmax" bottom: "cat" top: "prob" }
"""
Array = NDArray[Any]
LAYERS = ("conv", "relu", "cut", "more", "sum", "cat", "prob")


@dataclass(frozen=True)
class Forked:
    """The files of NET, float and INT8, and an input."""

    folder: Path
    files: dict[str, tuple[Path, Path]]
    data: Path


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    with TemporaryDirectory() as name:
        yield made(Path(name))


def made(folder: Path) -> Forked:
    rng = np.random.default_rng(3)
    net = Parse(NET, NetParameter())
    for layer, shape in (("conv", (8, 4, 3, 3)), ("more", (3, 5, 1, 1))):
        param = next(each for each in net.layer if each.name == layer)
        param.blobs.append(float_blob(rng.normal(0, 0.4, shape).astype(np.float32)))
        param.blobs.append(float_blob(rng.normal(0, 0.4, shape[:1]).astype(np.float32)))
    model, weight, data = (folder / x for x in ("net.prototxt", "net.fp32umodel", "data.npz"))
    model.write_bytes(prototxt_bytes(net))
    weight.write_bytes(umodel_bytes(net))
    np.savez(data, data=rng.normal(0, 1, (8, 4, 6, 6)).astype(np.float32))
    int8 = bmnetu.calibrate(model=model, weight=weight, data=data, outdir=folder / "int8",
                            th_method="MAX")  # fmt: skip
    return Forked(folder, {"FP32": (model, weight), "INT8": (int8.prototxt, int8.umodel)}, data)


def same(found: Array, expected: Array) -> bool:
    if expected.dtype.kind == "f":
        return np.allclose(found, expected, rtol=1e-3, atol=1e-3)
    return found.dtype == expected.dtype and np.array_equal(found, expected)


def check(prototxt: Path, umodel: Path, outdir: Path, opt: int = 1) -> dict[str, Array]:
    """Compiles what was extracted with its own input; the outputs are those that are expected."""
    given = prototxt.with_name(f"{prototxt.stem}_input.npz")
    result = bmnetu.compile(model=prototxt, weight=umodel, cmp_data=given, outdir=outdir, opt=opt)
    assert result.findings is not None
    found = result.findings.outputs
    expected = dict(np.load(prototxt.with_name(f"{prototxt.stem}_expected.npz")))
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert same(found[name], array), name
    return expected


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_computes_what_it_did(
    precision: str, layer: str, forked: Forked, tmp_path: Path
) -> None:
    model, weight = forked.files[precision]
    made = bmnetu.compile(model=model, weight=weight, outdir=tmp_path, extract_layer=layer,
                          cmp_data=forked.data)  # fmt: skip
    assert made.bmodel is None
    assert made.prototxt is not None
    assert made.umodel is not None
    assert made.umodel.suffix == (".fp32umodel" if precision == "FP32" else ".int8umodel")
    assert len(list(tmp_path.iterdir())) == 4
    for opt in (1, 2):
        check(made.prototxt, made.umodel, tmp_path / "out", opt)


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
def test_the_input_is_that_of_the_whole_network(
    precision: str, forked: Forked, tmp_path: Path
) -> None:
    model, weight = forked.files[precision]
    whole = bmnetu.compile(model=model, weight=weight, outdir=tmp_path / "whole",
                           cmp_data=forked.data)  # fmt: skip
    assert whole.findings is not None
    made = bmnetu.compile(model=model, weight=weight, outdir=tmp_path, extract_layer="prob",
                          cmp_data=forked.data)  # fmt: skip
    assert made.prototxt is not None
    expected = np.load(tmp_path / "forked_prob_expected.npz")["prob"]
    assert same(whole.findings.outputs["prob"], expected)


@pytest.mark.parametrize("precision", FILES)
@pytest.mark.parametrize("top", ["conv", "fc", "prob"])
def test_a_made_up_input_will_do(precision: str, top: str, tmp_path: Path) -> None:
    model, weight = FILES[precision]
    made = bmnetu.compile(model=PIPELINE / model, weight=PIPELINE / "Inputs" / weight,
                          outdir=tmp_path, extract_layer=top, seed=5)  # fmt: skip
    assert made.prototxt is not None
    assert made.umodel is not None
    expected = check(made.prototxt, made.umodel, tmp_path / "out")
    assert all(array.any() for array in expected.values())


def test_a_top_names_its_layer(forked: Forked, tmp_path: Path) -> None:
    model, weight = forked.files["FP32"]
    lines: list[str] = []
    made = bmnetu.compile(model=model, weight=weight, outdir=tmp_path, extract_layer="right",
                          cmp_data=forked.data, report=lines.append)  # fmt: skip
    assert made.prototxt is not None
    assert made.prototxt.name == "forked_cut.prototxt"
    assert lines[-2].startswith('layer "cut" (Slice): wrote ')
    assert set(np.load(tmp_path / "forked_cut_expected.npz")) == {"left", "right"}
    assert f"bmnetu -model={made.prototxt} -weight={made.umodel} -cmp_data=" in lines[-1]


SWISH = """
name: "swish"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 8 dim: 12 dim: 12 } } }
layer { name: "silu" type: "Swish" bottom: "data" top: "silu" }
"""


def test_fast_functions_are_extracted_and_evaluated_as_they_are_compiled(tmp_path: Path) -> None:
    model, weight, data = (tmp_path / x for x in ("net.prototxt", "net.fp32umodel", "data.npz"))
    net = Parse(SWISH, NetParameter())
    model.write_bytes(prototxt_bytes(net))
    weight.write_bytes(umodel_bytes(net))
    samples = np.random.default_rng(0).normal(0, 2, (4, 8, 12, 12)).astype(np.float32)
    np.savez(data, data=samples)
    int8 = bmnetu.calibrate(model=model, weight=weight, data=data, outdir=tmp_path / "int8",
                            th_method="MAX")  # fmt: skip
    files: dict[str, Any] = {"model": int8.prototxt, "weight": int8.umodel, "cmp_data": data}
    found: list[Array] = []
    cosines: list[float] = []
    for fast in (False, True):
        out, lines = tmp_path / str(fast), list[str]()
        bmnetu.compile(**files, outdir=out, extract_layer="silu", fast_functions=fast,
                       report=lines.append)  # fmt: skip
        found.append(np.load(out / "swish_silu_expected.npz")["silu"])
        assert ("-fast_functions" in lines[-1]) == fast
        made = bmnetu.compile(**files, outdir=out, fast_functions=fast, report=lines.append)
        assert made.findings is not None
        assert same(made.findings.outputs["silu"], found[-1])
        assert any(line.endswith("[fast-function]") for line in lines) == fast
        evaluation = bmnetu.evaluate(model, weight, int8.prototxt, int8.umodel, data,
                                     fast_functions=fast)  # fmt: skip
        cosines.append(evaluation.outputs[0].closeness.cosine)
    assert np.abs(found[0].astype(int) - found[1]).max() == 1
    assert cosines[1] < cosines[0]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("mroe", "did you mean more?"), ("zzzzzzzz", 'its layers are "conv", "relu", "cut", ')],
)
def test_a_wrong_name_gets_the_nearest_one(
    name: str, hint: str, forked: Forked, tmp_path: Path, capsys: Capture
) -> None:
    model, weight = forked.files["FP32"]
    words = [f"-model={model}", f"-weight={weight}", f"-outdir={tmp_path}"]
    assert cli.main([*words, f"-extract_layer={name}"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"-extract_layer={name}: the network has no such layer or top: {hint}" in err
    assert not list(tmp_path.iterdir())
