"""Pointwise functions are those of OpenCV's importer, whatever their parameters."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.functions import FUNCTIONS
from tests.opencv import both

special: Any = import_module("scipy.special")
NUMBERS = st.floats(0.25, 2).map(lambda value: round(value, 3))
OF_OPENCV = {
    "AbsVal": "",
    "BNLL": "",
    "ELU": "elu_param {{ alpha: {a} }}",
    "Exp": "exp_param {{ base: {b} scale: {a} shift: {c} }}",
    "Power": "power_param {{ power: {p} scale: {a} shift: 9 }}",
    "ReLU6": "",
    "Sigmoid": "",
    "TanH": "",
}


@pytest.mark.parametrize("kind", OF_OPENCV)
@given(a=NUMBERS, b=st.sampled_from([-1, 2, 10]), c=NUMBERS, p=st.sampled_from([1, 2, 0.5, -1]),
       seed=st.integers(0, 99))  # fmt: skip
@settings(max_examples=8, deadline=None)
def test_functions_of_caffe(kind: str, a: float, b: int, c: float, p: float, seed: int) -> None:
    x = np.random.default_rng(seed).normal(0, 2, (1, 3, 4, 5)).astype(np.float32)
    x = np.clip(x, -4, 4)
    ours, theirs = both(kind, OF_OPENCV[kind].format(a=a, b=b, c=c, p=p), x)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


def selu(x: Any) -> Any:
    scale = 1.05070098
    above: Any = np.maximum(x, 0.0)
    below: Any = special.expm1(np.minimum(x, 0.0))
    return scale * (above + 1.67326324 * below)


OF_SCIPY: dict[str, Callable[[Any], Any]] = {
    "erf": special.erf,
    "gelu": lambda x: x * special.ndtr(x),
    "sigmoid": special.expit,
    "swish": lambda x: x * special.expit(x),
    "softplus": lambda x: special.log1p(np.exp(x)),
    "mish": lambda x: x * np.tanh(special.log1p(np.exp(x))),
    "selu": selu,
}  # fmt: skip


@pytest.mark.parametrize("name", OF_SCIPY)
def test_functions_of_scipy(name: str) -> None:
    x = np.linspace(-20, 20, 1001)
    row = FUNCTIONS[name]
    np.testing.assert_allclose(row.of(x, row.defaults), OF_SCIPY[name](x), rtol=1e-7, atol=1e-12)
