"""Recurrent layers against other implementations: onnxruntime's, and Caffe's formulas written out
step by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from bmnetu.errors import UnsupportedError
from dialects.execute import execute, names_of
from dialects.quant.reductions.recurrent import Cell
from dialects.ufw import ops
from dialects.ufw.ops import Top
from dialects.ufw.reductions.recurrent import Other
from dialects.ufw.reference import evaluate
from tests.dialects.ufw.test_ops import value
from tests.dialects.ufw.test_sums import onnx_result
from tests.frontend.samples import data, loaded, main_of
from tests.networks import random_weights
from tests.one_layer import check

Array = NDArray[np.float32]
T, U, V = Top("t"), Top("u"), Top("v")


def noise(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(0, 0.6, shape).astype(np.float32)


def rows_of(array: Array, order: Sequence[int]) -> Array:
    """[D, gates * H, ...] with the gates in another order."""
    gates = len(order)
    split = array.reshape(len(array), gates, -1, *array.shape[2:])
    return split[:, list(order)].reshape(array.shape)


@settings(max_examples=15)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(1, 4),
       st.sampled_from(["forward", "reverse", "bidirectional"]))  # fmt: skip
def test_lstm_and_gru(length: int, batch: int, size: int, hidden: int, direction: str) -> None:
    d = 2 if direction == "bidirectional" else 1
    x = noise(length, batch, size)
    lstm = noise(d, 4 * hidden, size), noise(d, 4 * hidden), noise(d, 4 * hidden, hidden)
    backward = direction == "reverse"
    op = ops.RecurrentOp([value(*x.shape)], [T], Cell.LSTM, *lstm, reverse=backward)
    order = (0, 2, 1, 3)  # ONNX: i, o, f, c
    w, b, r = (rows_of(array, order) for array in lstm)
    both = np.concatenate([b, np.zeros_like(b)], axis=1)
    given: dict[str, Any] = {"direction": direction, "hidden_size": hidden}
    wanted = onnx_result("LSTM", [x, w, r, both], **given)
    shape = (length, batch, d * hidden)
    found = evaluate(op, [x])[0]
    np.testing.assert_allclose(found, wanted.transpose(0, 2, 1, 3).reshape(shape), atol=1e-5)
    gru = [*(each[:, : 3 * hidden].copy() for each in lstm), noise(d, 3 * hidden)]
    op = ops.RecurrentOp(
        [value(*x.shape)], [T], Cell.GRU, *gru[:3], hidden_bias=gru[3], reverse=backward
    )
    w, b, r, hb = (rows_of(array, (1, 0, 2)) for array in gru)  # ONNX: z, r, h
    both = np.concatenate([b, hb], axis=1)
    wanted = onnx_result("GRU", [x, w, r, both], linear_before_reset=1, **given)
    found = evaluate(op, [x])[0]
    np.testing.assert_allclose(found, wanted.transpose(0, 2, 1, 3).reshape(shape), atol=1e-5)
    op = ops.RecurrentOp(
        [value(*x.shape)], [T], Cell.GRU, *gru[:3], hidden_bias=gru[3], reverse=backward,
        resets_first=True,
    )  # fmt: skip
    wanted = onnx_result("GRU", [x, w, r, both], **given)
    found = evaluate(op, [x])[0]
    np.testing.assert_allclose(found, wanted.transpose(0, 2, 1, 3).reshape(shape), atol=1e-5)


def sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    return 1 / (1 + np.exp(-x))


CAFFE = """layer {{ name: "l" type: "{0}" bottom: "x" bottom: "cont" {1} top: "l" {2}
  recurrent_param {{ num_output: 3 {3} }} }}
"""
INPUTS = (
    data(4, 2, 5).replace('"data"', '"x"')
    + data(4, 2).replace('"data"', '"cont"')
    + data(2, 6).replace('"data"', '"static"')
    + data(1, 2, 3).replace('"data"', '"h0"')
    + data(1, 2, 3).replace('"data"', '"c0"')
)


def caffe(tmp_path: Path, kind: str, exposed: bool) -> tuple[list[Array], list[Array], list[Array]]:
    """What a layer with all its operands gives, its operands, its blobs."""
    lstm = kind == "LSTM"
    bottoms = 'bottom: "static"' + ' bottom: "h0"' * exposed + ' bottom: "c0"' * (exposed and lstm)
    tops = 'top: "h"' * exposed + ' top: "c"' * (exposed and lstm)
    text = INPUTS + CAFFE.format(kind, bottoms, tops, "expose_hidden: true" * exposed)
    net = random_weights(text, 3)
    xs = {"x": noise(4, 2, 5), "static": noise(2, 6), "h0": noise(1, 2, 3), "c0": noise(1, 2, 3)}
    xs["cont"] = np.array([[0, 1], [1, 1], [1, 0], [1, 1]], np.float32)
    function = main_of(loaded(tmp_path, text, net))
    names = names_of(function, "input_names")
    blobs = [
        np.array(blob.data, np.float32).reshape(blob.shape.dim) for blob in net.layer[-1].blobs
    ]
    given = [xs[name] for name in ("x", "cont", "static", "h0", "c0")]
    return execute(function, [xs[name] for name in names], evaluate), given, blobs


@pytest.mark.parametrize("exposed", [False, True])
def test_lstm_of_caffe(tmp_path: Path, exposed: bool) -> None:
    found, (x, cont, static, h0, c0), blobs = caffe(tmp_path, "LSTM", exposed)
    w, b, ws, wh = blobs
    h, c = (h0[0], c0[0]) if exposed else (np.zeros((2, 3)), np.zeros((2, 3)))
    for t in range(4):
        h, c = h * cont[t][:, None], c * cont[t][:, None]
        i, f, o, g = np.split(x[t] @ w.T + b + static @ ws.T + h @ wh.T, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(found[0][t], h, atol=1e-5)
    if exposed:
        np.testing.assert_allclose(found[1][0], h, atol=1e-5)
        np.testing.assert_allclose(found[2][0], c, atol=1e-5)


@pytest.mark.parametrize("exposed", [False, True])
def test_rnn_of_caffe(tmp_path: Path, exposed: bool) -> None:
    found, (x, cont, static, h0, _), blobs = caffe(tmp_path, "RNN", exposed)
    w, b, ws, wh, wo, bo = blobs
    h = h0[0] if exposed else np.zeros((2, 3))
    for t in range(4):
        h = np.tanh(x[t] @ w.T + b + static @ ws.T + (h * cont[t][:, None]) @ wh.T)
        np.testing.assert_allclose(found[0][t], np.tanh(h @ wo.T + bo), atol=1e-5)
    if exposed:
        np.testing.assert_allclose(found[1][0], h, atol=1e-5)


def test_bottoms_that_do_not_fit(tmp_path: Path) -> None:
    text = INPUTS + CAFFE.format("LSTM", 'bottom: "static"', "", "expose_hidden: true")
    with pytest.raises(UnsupportedError, match=r"3 bottoms: x, the markers, .* 2 state\(s\)"):
        loaded(tmp_path, text)


STATES = """layer {{ name: "l" type: "{0}" bottom: "x" {1} top: "y" {2}
  {3}_param {{ num_output: 3 }} }}
"""


@pytest.mark.parametrize(("kind", "states"), [("Lstm", "hc"), ("GRU", "h"), ("Rnn", "h")])
def test_states_of_descendants(tmp_path: Path, kind: str, states: str) -> None:
    """A layer on the last steps goes on where one on the first steps has ended."""
    bottoms = " ".join(f'bottom: "{each}0"' for each in states)
    tops = " ".join(f'top: "{each}"' for each in states)

    def run(xs: dict[str, Array]) -> list[Array]:
        inputs = "".join(data(*x.shape).replace('"data"', f'"{name}"') for name, x in xs.items())
        text = inputs + STATES.format(kind, bottoms, tops, kind.lower())
        function = main_of(loaded(tmp_path, text, random_weights(text, 3)))
        return execute(function, list(xs.values()), evaluate)

    x, given = noise(5, 2, 4), {f"{each}0": noise(1, 2, 3) for each in states}
    whole = run({"x": x, **given})
    first = run({"x": x[:3], **given})
    last = run({"x": x[3:], **{f"{each}0": y for each, y in zip(states, first[1:], strict=True)}})
    np.testing.assert_allclose(np.concatenate([first[0], last[0]]), whole[0], atol=1e-6)
    for found, wanted in zip(last[1:], whole[1:], strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_array_equal(whole[1][0], whole[0][-1])


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("hidden", [3, 70])
def test_all_operands_on_the_npu(hidden: int, integer: bool) -> None:
    rows, shapes = 4 * hidden, [(3, 2, 5), (3, 2), (2, 6), (1, 2, hidden), (1, 2, hidden)]
    roles = [Other.CONT, Other.STATIC, Other.STATE, Other.STATE]
    weights = noise(1, rows, 5), noise(1, rows), noise(1, rows, hidden)

    def build(*xs: SSAValue) -> ops.LayerOp:
        return ops.RecurrentOp(
            xs, [T, U, V], Cell.LSTM, *weights, others=roles,
            static_weight=noise(1, rows, 6), clip=0.9,
        )  # fmt: skip

    assert check(build, *shapes, integer=integer, opts=(1,) if integer else (0, 2)) <= 1e-5


@pytest.mark.parametrize("hidden", [3, 70, 1000])
@pytest.mark.parametrize("biased", [False, True])
def test_a_reset_before_the_product_on_the_npu(hidden: int, biased: bool) -> None:
    rows = 3 * hidden
    weights = noise(1, rows, 5), noise(1, rows), noise(1, rows, hidden) * np.float32(0.05)

    def build(x: SSAValue, h: SSAValue) -> ops.LayerOp:
        return ops.RecurrentOp(
            [x, h], [T, U], Cell.GRU, *weights, others=[Other.STATE],
            hidden_bias=noise(1, rows) if biased else None, resets_first=True,
        )  # fmt: skip

    assert check(build, (3, 2, 5), (1, 2, hidden), opts=(0, 2)) <= 1e-5
    assert check(build, (3, 2, 5), (1, 2, hidden), integer=True, opts=(1,)) <= 1e-5


def test_weights_that_do_not_stay_in_local_memory() -> None:
    hidden = 1000
    scale = np.float32(0.05)
    weights = noise(1, 4 * hidden, 3) * scale, noise(1, 4 * hidden), noise(1, 4 * hidden, hidden)

    def build(x: SSAValue) -> ops.LayerOp:
        inner = weights[2] * scale
        return ops.RecurrentOp([x], [T], Cell.LSTM, weights[0], weights[1], inner)

    assert check(build, (2, 3, 3), opts=(2,)) <= 1e-5


def test_many_sequences_are_cut() -> None:
    weights = noise(1, 520, 3), noise(1, 520), noise(1, 520, 130)

    def build(x: SSAValue) -> ops.LayerOp:
        return ops.RecurrentOp([x], [T], Cell.LSTM, *weights)

    assert check(build, (1, 1200, 3), opts=(2,)) <= 1e-5
