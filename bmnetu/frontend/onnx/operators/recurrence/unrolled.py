"""The steps of a recurrent operator out of ordinary layers, for what no recurrent layer computes:
peepholes, and other activations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Node, Refusal
from bmnetu.frontend.onnx.site import Site
from dialects.constant import Array
from dialects.quant.reductions.recurrent import GATES, STATES, Cell

if TYPE_CHECKING:
    from bmnetu.frontend.onnx.operators.recurrence.recurrent import Direction

MOST_STEPS = 64
"""So many steps are made into layers of their own."""
USUAL = {
    Cell.LSTM: ("sigmoid", "tanh", "tanh"), Cell.GRU: ("sigmoid", "tanh"), Cell.RNN: ("tanh",),
}  # fmt: skip


@dataclass(frozen=True)
class Activation:
    """A function as a layer: its type, the message with its settings, and which of these ONNX's
    alpha and beta are, with their defaults."""

    kind: str
    message: str = ""
    alpha: tuple[str, float] | None = None
    beta: tuple[str, float] | None = None


ACTIVATIONS = {
    "affine": Activation("Power", "power_param", ("scale", 1.0), ("shift", 0.0)),
    "elu": Activation("ELU", "elu_param", ("alpha", 1.0)),
    "hardsigmoid": Activation("HSigmoid", "hsigmoid_param", ("alpha", 0.2), ("beta", 0.5)),
    "leakyrelu": Activation("ReLU", "relu_param", ("negative_slope", 0.01)),
    "relu": Activation("ReLU"),
    "sigmoid": Activation("Sigmoid"),
    "softplus": Activation("Softplus"),
    "softsign": Activation("Softsign"),
    "tanh": Activation("TanH"),
}


@dataclass(frozen=True)
class Activations:
    """The functions of a direction: the layer types and their settings; ``usual``: those that the
    recurrent layers have."""

    layers: Sequence[tuple[str, Mapping[str, Any]]]
    usual: bool

    @staticmethod
    def of(node: Node, cell: Cell, directions: int) -> list[Activations]:
        """Those of each direction. Raises :class:`Refusal` for unknown ones."""
        usual = USUAL[cell]
        names = [name.lower() for name in node.texts("activations") or usual * directions]
        if len(names) != len(usual) * directions:
            raise InputFileError(node.fault(f"{len(names)} activations"))
        alphas, betas = (iter(node.numbers(f"activation_{each}") or ()) for each in
                         ("alpha", "beta"))  # fmt: skip
        layers = [_layer(name, alphas, betas) for name in names]
        size = len(usual)
        return [
            Activations(layers[i : i + size], tuple(names[i : i + size]) == usual)
            for i in range(0, len(names), size)
        ]


def _layer(
    name: str, alphas: Iterator[float], betas: Iterator[float]
) -> tuple[str, Mapping[str, Any]]:
    """A function as a layer's type and settings; alphas and betas are taken in their order."""
    if name not in ACTIVATIONS:
        raise Refusal(f"its activation {name} cannot be compiled")
    row = ACTIVATIONS[name]
    settings: dict[str, float] = {}
    for own, given in ((row.alpha, alphas), (row.beta, betas)):
        if own is not None:
            settings[own[0]] = next(given, own[1])
    return row.kind, {row.message: settings} if settings else {}


@dataclass
class Steps:
    """The layers of all steps of a direction, float in an INT8 net, too."""

    site: Site
    cell: Cell
    direction: Direction
    word: str
    resets_first: bool
    count: int = field(default=0)

    def run(self, x: Blob) -> list[Blob]:
        """h of every step [T, N, H], and the states behind the last one, of x [T, N, I]."""
        d, (length, batch, _) = self.direction, x.shape
        if length > MOST_STEPS:
            reason = "peepholes" if d.peepholes is not None else "such activations"
            raise Refusal(f"{reason} with {length} steps; {MOST_STEPS} can be compiled")
        hidden = d.hidden.shape[1]
        zero = np.zeros((1, batch, hidden), np.float32)
        states = list(d.states) or [self.constant(zero, "zero")] * STATES[self.cell]
        sums = self.of_inputs(x)
        made: list[Blob | None] = [None] * length
        for t in range(length)[:: -1 if d.backward else 1]:
            states = self.step(sums[t], states)
            made[t] = states[0]
        steps = [blob for blob in made if blob is not None]
        y = self.layer("Concat", steps, concat_param={"axis": 0}) if length > 1 else steps[0]
        return [y, *states]

    def of_inputs(self, x: Blob) -> list[Blob]:
        """What the inputs add to the gates at each step, [1, N, G H]."""
        d = self.direction
        apart = 2 * d.hidden.shape[1] if self.cell is Cell.GRU else len(d.bias)
        bias = d.bias + np.where(np.arange(len(d.bias)) < apart, d.hidden_bias, 0)
        if self.resets_first:
            bias = d.bias + d.hidden_bias
        settings = {"num_output": len(d.weight), "axis": 2}
        sums = self.layer("InnerProduct", [x], d.weight, bias, inner_product_param=settings)
        return self.cut(sums, 0, x.shape[0])

    def step(self, sums: Blob, states: Sequence[Blob]) -> list[Blob]:
        """The states behind a step."""
        match self.cell:
            case Cell.LSTM:
                return self.lstm(sums, *states)
            case Cell.GRU:
                return [self.gru(sums, states[0])]
            case Cell.RNN:
                return [self.function(0, self.add(sums, self.product(states[0], 0, 1)))]

    def lstm(self, sums: Blob, h: Blob, c: Blob) -> list[Blob]:
        gates = self.cut(self.add(sums, self.product(h, 0, 4)), 2, 4)
        entry, forget, output, new = gates
        of_entry, of_output, of_forget = np.split(self.peepholes(h.shape[2]), 3)
        entry, forget = self.peeping(entry, c, of_entry), self.peeping(forget, c, of_forget)
        kept = self.times(self.function(0, forget), c)
        c = self.add(kept, self.times(self.function(0, entry), self.function(1, new)))
        output = self.peeping(output, c, of_output)
        return [self.times(self.function(0, output), self.function(2, c)), c]

    def peepholes(self, hidden: int) -> Array:
        """[3 H], 0 without them."""
        given = self.direction.peepholes
        return np.zeros(3 * hidden, np.float32) if given is None else given

    def peeping(self, gate: Blob, c: Blob, factors: Array) -> Blob:
        """``gate + factors c``."""
        return self.add(gate, self.scaled(c, factors)) if factors.any() else gate

    def gru(self, sums: Blob, h: Blob) -> Blob:
        """``n + z (h - n)``."""
        size = h.shape[2]
        of_gates, of_new = self.cut(sums, 2, [2 * size, size])
        opened = self.function(0, self.add(of_gates, self.product(h, 0, 2)))
        reset, update = self.cut(opened, 2, 2)
        if self.resets_first:
            inner = self.product(self.times(reset, h), 2, 3)
        else:
            bias = self.constant(self.direction.hidden_bias[2 * size :], "bias")
            inner = self.times(reset, self.add(self.product(h, 2, 3), bias))
        new = self.function(1, self.add(of_new, inner))
        return self.add(new, self.times(update, self.binary("SUB", h, new)))

    # -- the layers ------------------------------------------------------------------------------

    def layer(self, kind: str, bottoms: Sequence[Blob], *arrays: Array, **settings: Any) -> Blob:
        self.count += 1
        part = f"{self.word}{self.count}"
        return self.site.layer(kind, bottoms, *arrays, part=part, **settings)

    def cut(self, x: Blob, axis: int, sizes: int | Sequence[int]) -> list[Blob]:
        """Pieces along an axis: so many of one size, or of these sizes."""
        if isinstance(sizes, int):
            sizes = [x.shape[axis] // sizes] * sizes
        if len(sizes) == 1:
            return [x]
        self.count += 1
        names = [f"{self.site.node.name}_{self.word}{self.count}"] * len(sizes)
        return self.site.pieces(x, axis, sizes, names, set(range(len(sizes))))

    def constant(self, array: Array, word: str) -> Blob:
        return self.site.parameter(array, f"{self.site.node.name}_{self.word}_{word}")

    def product(self, h: Blob, first: int, last: int) -> Blob:
        """``R h`` of some gates: [1, N, gates H]."""
        size = len(self.direction.hidden) // GATES[self.cell]
        weight = self.direction.hidden[first * size : last * size].T
        settings = {"matmul_param": {"transpose_a": False}}
        matrix = self.constant(np.ascontiguousarray(weight), f"weight{first}")
        return self.layer("MatMul", [h, matrix], **settings)

    def scaled(self, x: Blob, factors: Array) -> Blob:
        """Each of the last dimension times its factor."""
        settings = {"axis": 2, "num_axes": 1}
        return self.layer("Scale", [x], np.ascontiguousarray(factors), scale_param=settings)

    def binary(self, operation: str, a: Blob, b: Blob) -> Blob:
        param = {"operation": operation}
        return self.layer("BroadcastBinary", [a, b], broadcast_binary_param=param)

    def add(self, a: Blob, b: Blob) -> Blob:
        return self.binary("ADD", a, b)

    def times(self, a: Blob, b: Blob) -> Blob:
        return self.binary("MUL", a, b)

    def function(self, index: int, x: Blob) -> Blob:
        """An activation."""
        kind, settings = self.direction.activations.layers[index]
        return self.layer(kind, [x], **settings)
