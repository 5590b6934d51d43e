"""Recurrent layers: all steps in one loop, weights and states in local memory.

The hidden units spread over the lanes, and the sequences of a batch lie along the width: what a
step adds to the gates is one convolution a gate. A gate takes whole rows of lanes, so that the
parts of the sums begin in the same lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import DDR, LMEM, Layout, Ref, align, contiguous, lane_rows
from dialects.expression import X
from dialects.functions import FUNCTIONS
from dialects.quant import types
from dialects.quant.reductions.recurrent import GATES, STATES, Cell, RecurrentOp
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.convolution.weights import CONV_FLOAT, load_weights
from passes.kernels.expression import compute_steps, schedule
from passes.kernels.tiling import CannotLower, ranges

LANES = BM1684.lanes
Weights = tuple[SSAValue, SSAValue | None]
TEMPORARIES = 6
"""Buffers of a function of all gates that are alive at a time, beside its operand."""


@dataclass(frozen=True)
class _Plan:
    """Sequences and steps that local memory holds at a time; whether the weights stay there."""

    batch: int
    steps: int
    resident: bool


def _plan(b: TileBuilder, op: RecurrentOp) -> _Plan:
    gates, hidden = GATES[op.cell.data], op.hidden
    if op.part % LANES:
        raise CannotLower(f"gates of {op.part} channels do not begin in one lane")
    _, _, length, batch = types.shape_of(op.x)
    rows = lane_rows(op.part)
    one = rows * CONV_FLOAT.row_bytes(hidden, 1, op.bias is not None)
    most = BM1684.lane_bytes * 7 // 8
    resident = gates * one <= most // 2
    left = most - (gates * one if resident else 2 * one)
    n = min(batch, BM1684.limits.width)
    while True:
        column = align(4 * n, BM1684.alignment)
        fixed = rows * column * (gates * (TEMPORARIES + 1) + 2 * STATES[op.cell.data] + 4)
        each = rows * 4 * n * 2 * (gates + 1) + 8 * n
        if fixed + each + 4096 <= left:
            return _Plan(n, min(length, (left - fixed - 4096) // each), resident)
        if n == 1:
            raise CannotLower(f"the weights of {hidden} hidden units do not fit local memory")
        n = -(-n // 2)


def lower_recurrent(
    b: TileBuilder, op: RecurrentOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Some sequences after the other, each from its first step to its last."""
    plan = _plan(b, op)
    kept = _weights(b, op) if plan.resident else None
    for batch in ranges(types.shape_of(op.x)[3], plan.batch):
        _Loop(b, op, sources, dest, plan, kept, batch).run()


def _weights(b: TileBuilder, op: RecurrentOp) -> list[Weights]:
    """Of all gates together where a command takes so many channels, else of every gate; the last
    one of a GRU that resets first stands alone."""
    gates, part, hidden = GATES[op.cell.data], op.part, op.hidden
    grown = np.zeros((gates, part, hidden, 1, 1), np.float32)
    grown[:, :hidden, :, 0, 0] = op.weight.array
    addends = np.zeros((gates, part), np.float32)
    if op.bias is not None:
        addends[:, :hidden] = op.bias.array
    together = gates - bool(op.resets_first.value.data)
    count = together if together * part <= BM1684.limits.channels else 1
    found: list[Weights] = []
    for first, several in ranges(gates, count):
        weight = grown[first : first + several].reshape(-1, hidden, 1, 1)
        addend = None if op.bias is None else addends[first : first + several].ravel()
        found.append(load_weights(b, CONV_FLOAT, weight, addend))
    return found


@dataclass
class _Loop:
    """The steps of some sequences."""

    b: TileBuilder
    op: RecurrentOp
    sources: Sequence[SSAValue]
    dest: SSAValue
    plan: _Plan
    kept: list[Weights] | None
    batch: tuple[int, int]

    def run(self) -> None:
        op, b, (n0, count) = self.op, self.b, self.batch
        gates, part = GATES[op.cell.data], op.part
        length = types.shape_of(op.x)[2]
        states = self.first_states(part, count)
        parts = list(ranges(length, self.plan.steps))
        backward = -1 if op.reverse.value.data else 1
        for t0, steps in parts[::backward]:
            extent = (gates, part, steps, count)
            x = b.local(f32, extent)
            b.load(x, b.window(self.by_gate(part), (0, 0, t0, n0), extent))
            marks = self.markers(t0, steps)
            made = b.local(f32, (1, part, steps, count))
            for t in range(steps)[::backward]:
                if marks is not None:
                    mark = _repeated_rows(b, _step_of(b, marks, t), part)
                    states = [
                        b.arith("mul", b.local(f32, (1, part, 1, count)), each, mark)
                        for each in states
                    ]
                states = self.step(_step_of(b, x, t), states, part, count)
                b.arith("copy", _step_of(b, made, t), states[0])
            shape = (1, op.hidden, steps, count)
            b.store(b.window(self.dest, (0, 0, t0, n0), shape), b.window(made, (0, 0, 0, 0), shape))
        if op.gives_cell.value.data:
            shape = (1, op.hidden, 1, count)
            last = b.window(states[1], (0, 0, 0, 0), shape)
            b.store(b.window(self.dest, (0, 0, length, n0), shape), last)

    def by_gate(self, part: int) -> SSAValue:
        """x as [gates, P, T, N]."""
        _, _, length, width = types.shape_of(self.op.x)
        shape = (GATES[self.op.cell.data], part, length, width)
        return self.b.view(self.sources[0], Ref(f32, shape, contiguous(shape, 4), DDR))

    def first_states(self, part: int, count: int) -> list[SSAValue]:
        b, op = self.b, self.op
        found: list[SSAValue] = []
        for index in range(STATES[op.cell.data]):
            state = b.local(f32, (1, part, 1, count))
            if op.state is None:
                b.fill(state, 0)
            else:
                source = self.sources[1 + op.state]
                begin = (0, index * part, 0, self.batch[0])
                b.load(state, b.window(source, begin, (1, part, 1, count)))
            found.append(state)
        return found

    def markers(self, t0: int, steps: int) -> SSAValue | None:
        """What the states are multiplied by, the same in every lane."""
        op, b, (n0, count) = self.op, self.b, self.batch
        if op.cont is None:
            return None
        width = types.shape_of(op.x)[3]
        local = b.local(f32, (1, LANES, steps, count))
        layout = Layout(4, 1, (0, 0, width, 1))
        ref = Ref(f32, (1, LANES, steps, count), layout, DDR)
        b.load(local, b.view(self.sources[1 + op.cont], ref, 4 * (t0 * width + n0)))
        return local

    def step(
        self, x: SSAValue, states: list[SSAValue], part: int, count: int
    ) -> list[SSAValue]:
        b, op = self.b, self.op
        gates = GATES[op.cell.data]
        sums = b.local(f32, (gates, part, 1, count))
        weights = self.kept or _weights(b, op)
        if op.resets_first.value.data:
            *first, last = weights
            self.products(sums, states[0], first, 0)
            reset = self.opened(x, sums)
            gated = b.arith("mul", b.local(f32, Ref.of(states[0]).shape), reset[0], states[0])
            self.products(sums, gated, [last], 2)
            return [_gru(b, x, _gates(b, sums, 2, 1), states[0], reset[1])]
        self.products(sums, states[0], weights, 0)
        if op.cell.data is Cell.RNN:
            b.arith("add", sums, sums, x)
            return [_function(b, "tanh", sums)]
        if op.cell.data is Cell.GRU:
            reset, update = self.opened(x, sums)
            new = _gates(b, sums, 2, 1)
            b.arith("mul", new, new, reset)
            return [_gru(b, x, new, states[0], update)]
        b.arith("add", sums, sums, x)
        inner = _gates(b, sums, 3, 1)  # tanh x = 2 sigmoid 2 x - 1: one function for all gates
        b.scalar("mul", inner, inner, 2.0)
        open_ = _function(b, "sigmoid", sums)
        new = _gates(b, open_, 3, 1)
        b.scalar("mul", new, new, 2.0)
        b.scalar("sub", new, new, 1.0)
        entry, forget, output = (_gates(b, open_, gate, 1) for gate in range(3))
        cell = b.local(f32, (1, part, 1, count))
        b.arith("mul", cell, forget, states[1])
        b.arith("mul", new, new, entry)
        b.arith("add", cell, cell, new)
        if op.clip is not None:
            bound = float(op.clip.value.data)
            b.arith("min", cell, cell, float_bits(bound))
            b.arith("max", cell, cell, float_bits(-bound))
        h = b.local(f32, (1, part, 1, count))
        b.arith("mul", h, _function(b, "tanh", cell), output)
        return [h, cell]


    def products(
        self, sums: SSAValue, h: SSAValue, weights: Sequence[Weights], first: int
    ) -> None:
        """The sums of some gates from one on, each of the weights those of equally many."""
        b, op = self.b, self.op
        hidden = b.window(h, (0, 0, 0, 0), (1, op.hidden, 1, Ref.of(h).shape[3]))
        for kernel, addend in weights:
            several = Ref.of(kernel).shape[0] // op.part
            target = _as_channels(b, _gates(b, sums, first, several))
            b.add(tile.ConvOp, [target, hidden, kernel, [] if addend is None else [addend]], {})
            first += several

    def opened(self, x: SSAValue, sums: SSAValue) -> list[SSAValue]:
        """Reset and update of a GRU."""
        b = self.b
        first = _gates(b, sums, 0, 2)
        b.arith("add", first, first, _gates(b, x, 0, 2))
        open_ = _function(b, "sigmoid", first)
        return [_gates(b, open_, gate, 1) for gate in range(2)]


def _gru(b: TileBuilder, x: SSAValue, new: SSAValue, h: SSAValue, update: SSAValue) -> SSAValue:
    """``n + z (h - n)``, n = tanh(x_n + new)."""
    b.arith("add", new, new, _gates(b, x, 2, 1))
    new = _function(b, "tanh", new)
    result = b.local(f32, Ref.of(h).shape)
    b.arith("sub", result, h, new)
    b.arith("mul", result, result, update)
    return b.arith("add", result, result, new)


def _function(b: TileBuilder, name: str, x: SSAValue) -> SSAValue:
    """sigmoid or tanh, by the recipe of its row."""
    return compute_steps(b, schedule(FUNCTIONS[name].recipe(X, {})), x)


def _gates(b: TileBuilder, tensor: SSAValue, first: int, count: int) -> SSAValue:
    """Some gates of a local [gates, P, H, W]."""
    ref = Ref.of(tensor)
    shape = (count, *ref.shape[1:])
    return b.view(tensor, ref.with_(shape=shape), 4 * first * ref.layout.strides[0])


def _as_channels(b: TileBuilder, tensor: SSAValue) -> SSAValue:
    """Local [gates, P, 1, N] as [1, gates * P, 1, N]."""
    ref = Ref.of(tensor)
    gates, part, h, w = ref.shape
    row = ref.layout.strides[1]
    layout = Layout(4, 1, (gates * lane_rows(part) * row, row, w, 1))
    return b.view(tensor, ref.with_(shape=(1, gates * part, h, w), layout=layout))


def _step_of(b: TileBuilder, tensor: SSAValue, t: int) -> SSAValue:
    """One step, [gates, P, 1, N], of a local [gates, P, T, N]."""
    gates, c, _, n = Ref.of(tensor).shape
    return b.window(tensor, (0, 0, t, 0), (gates, c, 1, n))


def _repeated_rows(b: TileBuilder, marks: SSAValue, part: int) -> SSAValue:
    """[1, 64, 1, N] as [1, P, 1, N]: every row of lanes is the first."""
    ref = Ref.of(marks)
    n, _, h, w = ref.layout.strides
    layout = Layout(4, 1, (n, 0, h, w))
    return b.view(marks, Ref(f32, (1, part, *ref.shape[2:]), layout, LMEM))
