"""LSTM, GRU and RNN: a recurrent layer a direction, or its steps as layers of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.operators.recurrence.unrolled import Activations, Steps
from bmnetu.frontend.onnx.site import Conversion, Made, Site
from dialects.constant import Array
from dialects.quant.reductions.recurrent import GATES, STATES, Cell
from dialects.ufw.shapes import Shape, show

GATE_ORDER = {Cell.LSTM: (0, 2, 1, 3), Cell.GRU: (1, 0, 2), Cell.RNN: (0,)}
"""ONNX's gates (i, o, f, c; z, r, h) in the order of the layers (i, f, o, g; r, z, n)."""
KINDS = {
    Cell.LSTM: ("Lstm", "lstm_param"), Cell.GRU: ("GRU", "gru_param"),
    Cell.RNN: ("Rnn", "rnn_param"),
}  # fmt: skip
DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
SEQUENCE_LENGTHS, INITIAL, PEEPHOLES = 4, (5, 6), 7
"""Inputs."""


@dataclass(frozen=True)
class Direction:
    """What one direction has: ``weight`` [G H, I] and ``hidden`` [G H, H] of G gates, a bias
    [G H] for the sums of each, ``peepholes`` [3 H] (i, o, f), and the states before the first step,
    [1, N, H] each; none where they are 0.
    """

    backward: bool
    weight: Array
    hidden: Array
    bias: Array
    hidden_bias: Array
    peepholes: Array | None
    states: Sequence[Blob]
    activations: Activations


def recurrent(cell: Cell) -> Conversion:
    """The conversion of an operator whose steps are those of the cell."""

    def convert(site: Site) -> Made:
        node = site.node
        batch_first = bool(node.integer("layout", 0))
        x = _swapped(site, site.tensor(0), "steps_first") if batch_first else site.tensor(0)
        if len(x.shape) != 3:
            raise InputFileError(node.fault(f"its input is {show(x.shape)}, T x N x I is required"))
        _refuse_others(site, x.shape[0])
        wanted = [bool(site.graph.used([name])) for name in node.outputs]
        directions = _directions(site, cell, x.shape)
        made = [_direction(site, cell, x, each, wanted) for each in directions]
        return [
            _joined(site, i, [parts[i] for parts in made], batch_first)
            if wanted[i] else np.empty(0, np.float32)
            for i in range(len(wanted))
        ]  # fmt: skip

    return convert


def _refuse_others(site: Site, length: int) -> None:
    """Raises for what neither the layers nor the steps compute."""
    lengths = site.constant(SEQUENCE_LENGTHS)
    if lengths is not None and not (lengths == length).all():
        raise Refusal("its sequences have different lengths; pad them, and leave sequence_lens out")
    if site.node.number_of("clip", 0.0):
        raise Refusal("clip")
    if site.node.integer("input_forget", 0):
        raise Refusal("input_forget")


# -- what the node reads ---------------------------------------------------------------------------


def _directions(site: Site, cell: Cell, shape: Shape) -> list[Direction]:
    """What the directions have."""
    word = site.node.text("direction", "forward")
    if word not in DIRECTIONS:
        raise InputFileError(site.node.fault(f"direction is {word}"))
    backward = DIRECTIONS[word]
    gates, count = GATES[cell], len(backward)
    weights, hiddens = site.weights(1), site.weights(2)
    hidden = hiddens.shape[-1]
    rows = gates * hidden
    biases = _numbers(site, 3, (count, 2 * rows))
    biases = np.zeros((count, 2 * rows), np.float32) if biases is None else biases
    for array, size in ((weights, shape[2]), (hiddens, hidden)):
        if array.shape != (count, rows, size):
            raise InputFileError(
                site.node.fault(f"weights are {show(array.shape)}, {count}x{rows}x{size} required")
            )
    peepholes = _numbers(site, PEEPHOLES, (count, 3 * hidden)) if cell is Cell.LSTM else None
    states = _states(site, cell, (count, shape[1], hidden))
    activations = Activations.of(site.node, cell, count)
    found: list[Direction] = []
    for d, back in enumerate(backward):
        arrays = (weights[d], hiddens[d], biases[d, :rows], biases[d, rows:])
        weight, hidden_weight, bias, hidden_bias = (
            _reordered(array, GATE_ORDER[cell]) for array in arrays
        )
        own = None if peepholes is None else peepholes[d]
        found.append(
            Direction(
                back, weight, hidden_weight, bias, hidden_bias, own, states[d], activations[d]
            )
        )
    return found


def _numbers(site: Site, index: int, shape: Shape) -> Array | None:
    """Constants of a shape; None where they are left out or all 0."""
    found = site.coefficients(index)
    if found is not None and found.shape != shape:
        raise InputFileError(
            site.node.fault(f"input {index + 1} is {show(found.shape)}, not {show(shape)}")
        )
    return None if found is None or not found.any() else found


def _reordered(array: Array, order: Sequence[int]) -> Array:
    """[G H, ...] with the gates in another order."""
    parts = np.split(array, len(order))
    return np.ascontiguousarray(np.concatenate([parts[gate] for gate in order]))


def _states(site: Site, cell: Cell, shape: Shape) -> list[list[Blob]]:
    """The states before the first step of each direction, [1, N, H]; none where all are 0. The
    shape is D x N x H."""
    indices = INITIAL[: STATES[cell]]
    given = {i: site.given(i) for i in indices}
    zero = {i: x is None or (not isinstance(x, Blob) and not x.any()) for i, x in given.items()}
    found: list[list[Blob]] = [[] for _ in range(shape[0])]
    for i in () if all(zero.values()) else indices:
        if zero[i]:
            blob = site.parameter(np.zeros(shape, np.float32), f"{site.node.name}_zero")
        else:
            swapped = bool(site.node.integer("layout", 0))
            blob = _swapped(site, site.tensor(i), f"state{i}") if swapped else site.tensor(i)
        if blob.shape != shape:
            raise Refusal(f"its states are {show(blob.shape)}, its input requires {show(shape)}")
        parts = [blob]
        if shape[0] > 1:
            names = [f"{site.node.name}_state{i}_{d}" for d in range(shape[0])]
            parts = site.pieces(blob, 0, [1] * shape[0], names, set(range(shape[0])))
        for states, part in zip(found, parts, strict=True):
            states.append(part)
    return found


# -- what it becomes -------------------------------------------------------------------------------


def _direction(
    site: Site, cell: Cell, x: Blob, d: Direction, wanted: Sequence[bool]
) -> list[Blob]:
    """h of every step [T, N, H] and the states behind the last one, [1, N, H] each. Those that are
    not wanted are read by a Silence."""
    word = "backward" if d.backward else "forward"
    resets_first = cell is Cell.GRU and not site.node.integer("linear_before_reset", 0)
    if d.peepholes is not None or not d.activations.usual:
        made = Steps(replace(site, in_float=True), cell, d, word, resets_first).run(x)
        return _with_silence(site, made, wanted, word)
    kind, message = KINDS[cell]
    settings = {"num_output": d.hidden.shape[1], "reverse": d.backward}
    if resets_first:
        settings["resets_first"] = True
    bias, hidden_bias = d.bias, d.hidden_bias
    blobs = [d.weight, d.hidden, bias + hidden_bias]
    if cell is Cell.GRU:
        blobs = [d.weight, bias, d.hidden, hidden_bias]
    count = 1 + STATES[cell] * any(wanted[1:])
    tops = [f"{site.node.name}_{each}" for each in ("steps", "h", "c")[:count]]
    made = site.layers(kind, [x, *d.states], tops, *blobs, part=word, **{message: settings})
    return _with_silence(site, made, wanted, word)


def _with_silence(
    site: Site, made: list[Blob], wanted: Sequence[bool], word: str
) -> list[Blob]:
    """What was made; a Silence reads what is not wanted."""
    unread = [blob for blob, use in zip(made, wanted, strict=False) if not use]
    unread += made[len(wanted) :]
    if unread:
        site.layers("Silence", unread, [], part=f"{word}_silence")
    return made


def _joined(site: Site, index: int, parts: Sequence[Blob], batch_first: bool) -> Blob:
    """An output of all directions: Y [T, D, N, H] of [T, N, H] each, Y_h and Y_c [D, N, H] of
    [1, N, H]; with ``batch_first`` [N, T, D, H] and [N, D, H]."""
    node = site.node
    site = replace(site, node=replace(node, outputs=(node.outputs[index],)))
    steps, several = index == 0, len(parts) > 1
    axis = 2 * batch_first + (not batch_first) if steps else int(batch_first)
    found: list[Blob] = []
    for d, blob in enumerate(parts):
        last = f"_{d}" if several else ""
        if batch_first:
            blob = _swapped(site, blob, f"batch_first{last}" if steps or several else "")
        if steps:
            blob = site.reshaped(
                blob, (*blob.shape[:axis], 1, *blob.shape[axis:]), f"direction{last}" * several
            )
        found.append(blob)
    return site.layer("Concat", found, concat_param={"axis": axis}) if several else found[0]


def _swapped(site: Site, x: Blob, part: str) -> Blob:
    """The tensor with its first two dimensions in the other order."""
    return site.layer("Permute", x, part=part, permute_param={"order": [1, 0, 2]})
