"""Layers of several tensors, and of a tensor and a constant: settings, shapes, meanings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmnetu.errors import BmnetuError
from bmnetu.frontend import load_network
from bmnetu.frontend.ufw_pb2 import LayerParameter, NetParameter
from bmnetu.frontend.weights.blobs import float_blob
from dialects.execute import execute
from dialects.ufw.reference import evaluate
from passes.module.functions import main_function

Array = np.ndarray[Any, Any]
SHAPE = (2, 3, 4, 5)


def computed(folder: Path, text: str, xs: list[Array], blobs: dict[str, Array]) -> Array:
    """What a net computes; ``blobs`` are those of its layers by name."""
    model, weight = folder / "net.prototxt", folder / "net.fp32umodel"
    model.write_text(text)
    net = NetParameter(layer=[LayerParameter(name="none")])
    for name, blob in blobs.items():
        net.layer.append(LayerParameter(name=name, blobs=[float_blob(blob)]))
    weight.write_bytes(net.SerializeToString())
    function = main_function(load_network(model, weight).module)
    (y,) = execute(function, xs, evaluate)
    return y


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def declared(*shapes: tuple[int, ...]) -> str:
    """Inputs x0, x1 ..."""
    lines: list[str] = []
    for i, shape in enumerate(shapes):
        dims = " ".join(f"dim: {extent}" for extent in shape)
        param = f"input_param {{ shape {{ {dims} }} }}"
        lines.append(f'layer {{ name: "x{i}" type: "Input" top: "x{i}" {param} }}\n')
    return "".join(lines)


def layer(kind: str, rest: str = "", *, bottom: str = "x0", name: str = "y") -> str:
    bottoms = " ".join(f'bottom: "{each}"' for each in bottom.split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "y" {rest} }}\n'


A, B = numbers(*SHAPE), numbers(*SHAPE, seed=1)
SMALL = numbers(3, 1, 5, seed=2)
TWO: dict[str, tuple[str, str, Callable[[Any, Any], Any]]] = {
    "min": ("Eltwise", "eltwise_param { operation: MIN }", np.minimum),
    "sub": ("Eltwise", "eltwise_param { operation: SUB }", np.subtract),
    "div": ("Eltwise", "eltwise_param { operation: DIV }", np.divide),
    "max": ("EltwiseBinary", "eltwise_binary_param { operation: MAX }", np.maximum),
    "sub swapped": (
        "EltwiseBinary", "eltwise_binary_param { operation: SUB inversed: true }",
        lambda a, b: b - a,
    ),
    "gt": ("Compare", "compare_param { operation: GT }", np.greater),
    "le": ("Compare", "compare_param { operation: LE }", np.less_equal),
}  # fmt: skip


@pytest.mark.parametrize("name", TWO)
def test_two_tensors_of_one_shape(tmp_path: Path, name: str) -> None:
    kind, rest, function = TWO[name]
    text = declared(SHAPE, SHAPE) + layer(kind, rest, bottom="x0 x1")
    y = computed(tmp_path, text, [A, B], {})
    np.testing.assert_allclose(y, function(A, B).astype(np.float32), rtol=1e-6)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL", "DIV", "MAX", "MIN", "GE", "LT", "EQ", "NE"])
def test_two_tensors_that_repeat(tmp_path: Path, name: str, swapped: bool) -> None:
    rest = f"broadcast_binary_param {{ operation: {name} inversed: {str(swapped).lower()} }}"
    text = declared(SHAPE, SMALL.shape) + layer("BroadcastBinary", rest, bottom="x0 x1")
    a, b = (SMALL, A) if swapped else (A, SMALL)
    functions: dict[str, Any] = {
        "ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "DIV": np.divide,
        "MAX": np.maximum, "MIN": np.minimum, "GE": np.greater_equal, "LT": np.less,
        "EQ": np.equal, "NE": np.not_equal,
    }  # fmt: skip
    y = computed(tmp_path, text, [A, SMALL], {})
    np.testing.assert_array_equal(y, functions[name](a, b).astype(np.float32))


NUMBERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "ADD": ("value: 0.7", lambda x: x + 0.7),
    "SUB": ("value: 0.7", lambda x: x - 0.7),
    "SUB swapped": ("value: 0.7 inversed: true", lambda x: 0.7 - x),
    "MUL": ("value: -3", lambda x: x * -3),
    "DIV": ("value: 3", lambda x: x / 3),
    "DIV swapped": ("value: 3 inversed: true", lambda x: 3 / x),
    "POW": ("value: 3", lambda x: x**3),
    "POW swapped": ("value: 3 inversed: true", lambda x: 3**x),
    "MAX": ("value: 0.5", lambda x: np.maximum(x, 0.5)),
    "MAX with 0": ("value: 0", lambda x: np.maximum(x, 0)),
    "MIN": ("value: 0.5", lambda x: np.minimum(x, 0.5)),
    "GT": ("value: 0.5", lambda x: x > 0.5),
    "GE swapped": ("value: 0.5 inversed: true", lambda x: x <= 0.5),
    "NE": ("value: 0.5", lambda x: x != 0.5),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_tensor_and_a_number(tmp_path: Path, name: str) -> None:
    rest, function = NUMBERS[name]
    param = f"const_binary_param {{ operation: {name.split()[0]} {rest} }}"
    y = computed(tmp_path, declared(SHAPE) + layer("ConstBinary", param, bottom="x0"), [A], {})
    np.testing.assert_allclose(y, function(A).astype(np.float32), rtol=1e-5, atol=1e-6)


def test_a_tensor_and_a_blob(tmp_path: Path) -> None:
    param = "const_binary_param { operation: SUB inversed: true }"
    text = declared(SHAPE) + layer("ConstBinary", param, bottom="x0", name="c")
    y = computed(tmp_path, text, [A], {"c": SMALL})
    np.testing.assert_array_equal(y, SMALL - A)


@pytest.mark.parametrize("kind", ["Select", "Where"])
def test_a_choice(tmp_path: Path, kind: str) -> None:
    text = declared((4, 1), SHAPE, (3, 4, 5)) + layer(kind, bottom="x0 x1 x2")
    condition = np.array([[0], [1], [-1], [0]], np.float32)
    y = computed(tmp_path, text, [condition, A, A[0]], {})
    np.testing.assert_array_equal(y, np.where(condition != 0, A, A[0]))


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1, 1)])
def test_axpy(tmp_path: Path, shape: tuple[int, ...]) -> None:
    text = declared(shape, SHAPE, SHAPE) + layer("Axpy", bottom="x0 x1 x2")
    factors = numbers(*shape, seed=3)
    y = computed(tmp_path, text, [factors, A, B], {})
    np.testing.assert_allclose(y, factors.reshape(2, 3, 1, 1) * A + B, rtol=1e-6)


@pytest.mark.parametrize("given", ["parameter_param { shape { dim: 3 dim: 1 dim: 5 } }", ""])
def test_a_parameter(tmp_path: Path, given: str) -> None:
    text = declared(SHAPE) + f'layer {{ name: "p" type: "Parameter" top: "p" {given} }}'
    text += layer("BroadcastBinary", "broadcast_binary_param { operation: MUL }", bottom="x0 p")
    y = computed(tmp_path, text, [A], {"p": SMALL})
    np.testing.assert_array_equal(y, A * SMALL)


REFUSED = {
    "a quotient of 3 bottoms": (3, "Eltwise", "eltwise_param { operation: DIV }"),
    "a difference has no coefficients": (
        2, "Eltwise", "eltwise_param { operation: SUB coeff: 1 coeff: 2 }"
    ),
    "has two bottoms and a value": (2, "BroadcastBinary", "broadcast_binary_param { value: 1 }"),
    "divides by 0": (1, "ConstBinary", "const_binary_param { operation: DIV value: 0 }"),
    "a power of the base -2": (
        1, "ConstBinary", "const_binary_param { operation: POW value: -2 inversed: true }"
    ),
    "has 0 blobs; it requires one, or a value": (1, "ConstBinary", ""),
    "3 is required": (2, "Select", ""),
}  # fmt: skip


@pytest.mark.parametrize("sentence", REFUSED)
def test_refusals(tmp_path: Path, sentence: str) -> None:
    count, kind, rest = REFUSED[sentence]
    bottoms = " ".join(f"x{i}" for i in range(count))
    with pytest.raises(BmnetuError, match=sentence):
        computed(tmp_path, declared(*[SHAPE] * count) + layer(kind, rest, bottom=bottoms), [A], {})


def test_shapes_that_do_not_fit(tmp_path: Path) -> None:
    text = declared(SHAPE, (2, 5)) + layer("BroadcastBinary", bottom="x0 x1")
    with pytest.raises(BmnetuError, match="tensors of 2x3x4x5, 2x5 cannot be combined"):
        computed(tmp_path, text, [A, B], {})
