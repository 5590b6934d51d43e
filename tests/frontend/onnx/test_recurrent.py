"""LSTM, GRU and RNN on the NPU model beside onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.frontend.onnx.graphs import Array, Net, inputs_of, kinds, loaded, node, numbers
from tests.frontend.onnx.on_npu import by_runtime, check_on_npu, on_npu

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STATES = {"LSTM": 2, "GRU": 1, "RNN": 1}
OUTPUTS = ("y", "h", "c")


@dataclass
class Recurrent:
    """A net of one node. ``states``: "" (none), "zero", "constant" or "input"; ``outputs`` are
    letters of y, h, c."""

    op: str
    length: int = 4
    batch: int = 2
    size: int = 5
    hidden: int = 3
    direction: str = "forward"
    outputs: str = "yh"
    bias: bool = True
    states: str = ""
    peepholes: bool = False
    opset: int = 14
    others: dict[str, Any] = field(default_factory=dict[str, Any])

    def net(self) -> Net:
        d = 2 if self.direction == "bidirectional" else 1
        rows, layout = GATES[self.op] * self.hidden, bool(self.others.get("layout", 0))
        constants: dict[str, Array] = {
            "w": numbers(d, rows, self.size, seed=1) * np.float32(0.6),
            "r": numbers(d, rows, self.hidden, seed=2) * np.float32(0.6),
        }
        inputs = {"x": (self.length, self.batch, self.size)}
        if layout:
            inputs = {"x": (self.batch, self.length, self.size)}
        given = ["x", "w", "r"]
        if self.bias:
            constants["b"] = numbers(d, 2 * rows, seed=3) * np.float32(0.5)
        given.append("b" if self.bias else "-")
        given.append("-")
        for i, name in enumerate(("h0", "c0")[: STATES[self.op] * bool(self.states)]):
            shape = (self.batch, d, self.hidden) if layout else (d, self.batch, self.hidden)
            if self.states == "input":
                inputs[name] = shape
            else:
                values = numbers(*shape, seed=4 + i)
                constants[name] = np.zeros_like(values) if self.states == "zero" else values
            given.append(name)
        if self.peepholes:
            given += ["-"] * (7 - len(given))
            constants["p"] = numbers(d, 3 * self.hidden, seed=7)
            given.append("p")
        last = max(OUTPUTS.index(each) for each in self.outputs)
        made = [each if each in self.outputs else "-" for each in OUTPUTS[: last + 1]]
        others = {"direction": self.direction, "hidden_size": self.hidden, **self.others}
        nodes = [node(self.op, " ".join(given), " ".join(made), **others)]
        nodes[0].name = "loop"
        return Net(nodes, constants, inputs, tuple(self.outputs), self.opset)


AFTER = {"linear_before_reset": 1}

NETS = {
    "lstm": (Recurrent("LSTM", outputs="yhc"), "Lstm"),
    "lstm, y alone": (Recurrent("LSTM", outputs="y", opset=7), "Lstm"),
    "lstm, h alone": (Recurrent("LSTM", outputs="h", bias=False), "Lstm"),
    "lstm, c alone, backward": (Recurrent("LSTM", outputs="c", direction="reverse"), "Lstm"),
    "lstm, both ways": (Recurrent("LSTM", outputs="yhc", direction="bidirectional"), "Lstm Lstm"),
    "lstm, zeros": (Recurrent("LSTM", states="zero", outputs="y"), "Lstm"),
    "lstm, states": (Recurrent("LSTM", states="constant", outputs="yhc", opset=22), "Lstm"),
    "lstm, states given, both ways": (
        Recurrent("LSTM", states="input", direction="bidirectional"), "Lstm Lstm"),
    "gru, reset behind": (Recurrent("GRU", others=AFTER), "GRU"),
    "gru, states given": (
        Recurrent("GRU", others=AFTER, states="input", direction="bidirectional"), "GRU GRU"),
    "gru, no bias": (Recurrent("GRU", others=AFTER, bias=False, direction="reverse"), "GRU"),
    "gru, reset before": (Recurrent("GRU", direction="bidirectional"), "GRU GRU"),
    "gru, reset before, no bias": (Recurrent("GRU", bias=False, outputs="h"), "GRU"),
    "rnn": (Recurrent("RNN", direction="bidirectional"), "Rnn Rnn"),
    "rnn, states": (Recurrent("RNN", states="constant", opset=7), "Rnn"),
    "rnn, relu": (Recurrent("RNN", others={"activations": ["Relu"]}), ""),
    "lstm, peepholes": (Recurrent("LSTM", peepholes=True, outputs="yhc"), ""),
    "lstm, hard sigmoid": (
        Recurrent("LSTM", others={
            "activations": ["HardSigmoid", "Tanh", "Softsign"], "activation_alpha": [0.3],
            "activation_beta": [0.45],
        }),
        ""),
    "gru, other activations": (
        Recurrent("GRU", others={**AFTER, "activations": ["Sigmoid", "Relu"]}, states="input"), ""),
    "one step": (Recurrent("GRU", length=1), "GRU"),
    "gru, reset before, other activations": (
        Recurrent("GRU", others={"activations": ["HardSigmoid", "Tanh"]}, states="constant"), ""),
    "one step, both ways": (
        Recurrent("LSTM", length=1, direction="bidirectional", peepholes=True), ""),
}  # fmt: skip
"""What is computed, and its recurrent layers."""


@pytest.mark.parametrize("name", NETS)
def test_a_recurrent_operator(name: str, tmp_path: Path) -> None:
    case, layers = NETS[name]
    net = case.net()
    network = loaded(tmp_path, net)
    assert not isinstance(network, str), network
    assert " ".join(each for each in kinds(network) if each in ("Lstm", "GRU", "Rnn")) == layers
    check_on_npu(tmp_path, net)


@pytest.mark.parametrize("case", [
    Recurrent("LSTM", outputs="yhc", states="input", direction="bidirectional"),
    Recurrent("GRU", others=AFTER, outputs="h"), Recurrent("RNN", outputs="y", states="input"),
])  # fmt: skip
def test_batch_first(case: Recurrent, tmp_path: Path) -> None:
    """Which onnxruntime does not know."""
    first = replace(case, others={**case.others, "layout": 1})
    net = first.net()
    inputs = inputs_of(net)
    given = {name: array.swapaxes(0, 1) for name, array in inputs.items()}
    wanted = by_runtime(case.net().model(), given)
    found = on_npu(tmp_path, net.model(), inputs)
    axes = {"y": (2, 0, 1, 3), "h": (1, 0, 2), "c": (1, 0, 2)}
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array.transpose(axes[name]), atol=1e-4)


def random_case(seed: int) -> Recurrent:
    rng = Random(seed)
    op = rng.choice(["LSTM", "GRU", "RNN"])
    others = {"linear_before_reset": rng.choice([0, 1, 1])} if op == "GRU" else {}
    return Recurrent(
        op, rng.randint(1, 9), rng.randint(1, 5), rng.randint(1, 40), rng.choice([1, 7, 64, 70]),
        rng.choice(["forward", "reverse", "bidirectional"]),
        rng.choice(["y", "h", "yh"] + ["yhc", "c"] * (op == "LSTM")), rng.random() < 0.8,
        rng.choice(["", "zero", "constant", "input"]), op == "LSTM" and rng.random() < 0.2,
        rng.choice([7, 14, 22]), others,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_a_random_one(seed: int, tmp_path: Path) -> None:
    check_on_npu(tmp_path, random_case(seed).net())


REFUSED = {
    "clip": (Recurrent("LSTM", others={"clip": 0.5}), "(LSTM): clip"),
    "input and forget as one": (Recurrent("LSTM", others={"input_forget": 1}), "input_forget"),
    "an unknown activation": (
        Recurrent("RNN", others={"activations": ["ThresholdedRelu"]}), "thresholdedrelu cannot"),
    "many steps": (
        Recurrent("GRU", length=65, others={"activations": ["Tanh", "Tanh"]}),
        "such activations with 65 steps"),
    "many steps with peepholes": (
        Recurrent("LSTM", length=65, peepholes=True), "peepholes with 65 steps"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal(name: str, tmp_path: Path) -> None:
    case, sentence = REFUSED[name]
    said = loaded(tmp_path, case.net())
    assert isinstance(said, str)
    assert 'node "loop"' in said
    assert sentence in said


def test_sequences_of_different_lengths_are_refused(tmp_path: Path) -> None:
    net = Recurrent("RNN").net()
    net.nodes[0].input[4] = "lengths"
    for lengths, sentence in (([4, 4], ""), ([4, 3], "different lengths")):
        constants = {**net.constants, "lengths": np.array(lengths, np.int32)}
        said = loaded(tmp_path, replace(net, constants=constants))
        assert sentence in said if isinstance(said, str) else not sentence
