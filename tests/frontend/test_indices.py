"""Layers whose indices are integers: TopK, Cast, Gather, GatherElements, NonMaxSuppression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bmnetu
from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.errors import UnsupportedError
from bmnetu.frontend import load_network
from dialects.execute import execute
from dialects.ufw.reference import evaluate
from tests.frontend.samples import data, loaded, main_of
from tests.networks import random_weights

TOP_K = """layer { name: "t" type: "TopK" bottom: "data" top: "v" top: "i"
  topk_param { k: 2 axis: 1 } }
"""
CAST = 'layer {{ name: "{0}" type: "Cast" bottom: "{1}" top: "{0}" cast_param {{ to: {2} }} }}\n'
ELEMENTS = """layer { name: "e" type: "GatherElements" bottom: "data" bottom: "j" top: "e"
  gather_elements_param { axis: 1 } }
"""
DOUBLED = 'layer { name: "d" type: "Power" bottom: "f" top: "d" power_param { scale: 0.5 } }\n'
NET = (
    TOP_K + CAST.format("f", "i", "FLOAT") + DOUBLED + CAST.format("j", "d", "INT32") + ELEMENTS
)  # fmt: skip
SHAPE = (3, 200)


Array = NDArray[Any]


def numbers(rows: int = 3) -> Array:
    """Whose two largest of each row stand at even places."""
    rng = np.random.default_rng(0)
    x = rng.random((rows, 200)).astype(np.float32)
    x[:, ::2] += 1
    return x


def expected(x: Array) -> Array:
    places = np.argsort(-x, axis=1, kind="stable")[:, :2] // 2
    return np.take_along_axis(x, places, axis=1)


def write(folder: Path, text: str) -> tuple[Path, Path]:
    model, weight = folder / "net.prototxt", folder / "net.fp32umodel"
    model.write_text(text)
    weight.write_bytes(random_weights(text, 0).SerializeToString())
    return model, weight


@pytest.mark.parametrize("opt", [0, 1, 2])
def test_indices_are_computed_with(opt: int, tmp_path: Path) -> None:
    files = write(tmp_path, data(*SHAPE) + NET)
    made = bmnetu.compile(*files, tmp_path / "out", opt=opt, cmp_data={"data": numbers()})
    assert made.findings is not None
    np.testing.assert_array_equal(made.findings.outputs["e"], expected(numbers()))


def test_what_indices_are_computed_of_stays_float(tmp_path: Path) -> None:
    """Also an input of the network: 8 bits do not tell 200 places apart."""
    text = data(*SHAPE) + data(3, 2).replace('"data"', '"p"') + CAST.format("j", "p", "INT32")
    files = write(tmp_path, text + ELEMENTS)
    places = np.random.default_rng(1).integers(0, 200, (12, 2)).astype(np.float32)
    samples = tmp_path / "data.npz"
    np.savez(samples, data=numbers(12), p=places)
    int8 = bmnetu.calibrate(*files, samples, tmp_path / "int8", th_method="MAX")
    network = Int8Net(load_network(int8.prototxt, int8.umodel).module)
    found = network.run({"data": numbers(12)[:3], "p": places[:3]})["e"]
    wanted = np.take_along_axis(numbers(12)[:3], places[:3].astype(int), axis=1)
    np.testing.assert_allclose(found, wanted, atol=2 / 127)


def test_constants_are_integers(tmp_path: Path) -> None:
    """A Cast of a Parameter is no work of the NPU."""
    text = """
      layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 3 dim: 2 } } }
    """
    files = write(tmp_path, data(*SHAPE) + text + CAST.format("j", "p", "INT32") + ELEMENTS)
    made = bmnetu.compile(*files, tmp_path / "out", cmp_data={"data": numbers()})
    assert made.contents is not None
    (subnet,) = made.contents.nets[0].stages[0].subnets
    assert subnet.host is not None


def test_suppression_of_a_prototxt(tmp_path: Path) -> None:
    boxes, scores = (data(1, *shape).replace('"data"', f'"{name}"')
                     for name, shape in (("b", (4, 4)), ("s", (1, 4))))
    text = boxes + scores + """
      layer { name: "m" type: "Parameter" top: "m" parameter_param { shape { dim: 1 } } }
    """ + CAST.format("k", "m", "INT32") + """
      layer { name: "n" type: "NonMaxSuppression" bottom: "b" bottom: "s" bottom: "k" top: "n"
        non_max_suppression_param { max_output_boxes: 3 } }
    """
    net = random_weights(text, 0)
    net.layer[-3].blobs[0].data[:] = [3]
    function = main_of(loaded(tmp_path, text, net))
    corners = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [5, 5, 6, 6]]
    given = [np.array([corners], np.float32), np.array([[[0.5, 0.9, 0.7, -1]]], np.float32)]
    (found,) = execute(function, given, evaluate)
    assert found[:2].tolist() == [[0, 0, 1], [0, 0, 2]]
    assert found.shape == (3, 3)


@pytest.mark.parametrize(("layers", "sentence"), [
    ('layer { name: "r" type: "ReLU" bottom: "i" top: "r" }', "put a Cast to FLOAT between"),
    (CAST.format("f", "data", "FLOAT"), "requires the integers of a host layer"),
    (CAST.format("f", "i", "INT32"), "leave it out"),
])  # fmt: skip
def test_what_is_refused(layers: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=sentence):
        loaded(tmp_path, data(*SHAPE) + TOP_K + layers)
