"""Recurrent layers of a fixed length: LSTM, GRU and plain ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from xdsl.dialects.builtin import BoolAttr, FloatAttr
from xdsl.dialects.utils.enum_attribute import EnumAttribute
from xdsl.ir import SpacedOpaqueSyntaxAttribute
from xdsl.irdl import (
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure
from xdsl.utils.str_enum import StrEnum

from dialects.constant import ConstantAttr
from dialects.quant import types
from dialects.quant.base import AnyTensor, Array, QuantOp, require, require_floats


class Cell(StrEnum):
    """What a step computes."""

    LSTM = "lstm"
    GRU = "gru"
    RNN = "rnn"


GATES = {Cell.LSTM: 4, Cell.GRU: 3, Cell.RNN: 1}
"""Parts of the sums of a step: input, forget, output and cell; reset, update and new; one."""

STATES = {Cell.LSTM: 2, Cell.GRU: 1, Cell.RNN: 1}
"""What a step hands on: h, and the LSTM's c behind it."""


@irdl_attr_definition
class CellAttr(EnumAttribute[Cell], SpacedOpaqueSyntaxAttribute):
    name = "quant.cell"


def sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def step(
    cell: Cell,
    x: Array,
    product: Callable[[Array], Array],
    state: Sequence[Array],
    clip: float | None,
    resets_first: bool,
) -> tuple[Array, ...]:
    """The states behind a step: x is [gates, ...], and so is ``product`` of the h before it."""
    sums = product(state[0])
    if cell is Cell.RNN:
        return (np.tanh(x[0] + sums[0]),)
    if cell is Cell.GRU:
        reset, update = sigmoid(x[0] + sums[0]), sigmoid(x[1] + sums[1])
        inner = product(reset * state[0])[2] if resets_first else reset * sums[2]
        new = np.tanh(x[2] + inner)
        return (new + update * (state[0] - new),)
    gates = x + sums
    entry, forget, output = (sigmoid(gate) for gate in gates[:3])
    c = forget * state[1] + entry * np.tanh(gates[3])
    if clip is not None:
        c = np.clip(c, -clip, clip)
    return output * np.tanh(c), c


@irdl_op_definition
class RecurrentOp(QuantOp):
    """All steps of a recurrent layer, float32.

    x [1, gates * P, T, N] holds what the inputs add to the gates, P channels a gate of which H are
    used. ``weight`` is [gates, H, H]: the sums of step t
    are ``weight h``, plus ``bias`` [gates, H] where there is one. Result [1, H, T, N]: h of every
    step; with ``gives_cell`` [1, H, T + 1, N], the LSTM's last c behind them. ``reverse``: the last
    step comes first. ``others``: first, with ``has_state``, the state before the first step,
    [1, P, 1, N] or [1, 2 P, 1, N] (h, c), which is else 0; then, where there is another one,
    [1, 1, T, N], by which h and c are multiplied before each step. ``clip`` bounds c. The reset of
    a GRU is multiplied with the sums, or ``resets_first`` with h before these.
    """

    name = "quant.recurrent"
    x = operand_def(AnyTensor)
    others = var_operand_def(AnyTensor)
    cell = prop_def(CellAttr)
    weight = prop_def(ConstantAttr)
    bias = opt_prop_def(ConstantAttr)
    reverse = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    gives_cell = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    has_state = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    clip = opt_prop_def(FloatAttr)
    resets_first = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = (
        "$cell $x (`,` $others^)? `weight` $weight (`bias` $bias^)? (`reverse` $reverse^)?"
        " (`gives_cell` $gives_cell^)? (`has_state` $has_state^)? (`clip` $clip^)?"
        " (`resets_first` $resets_first^)?"
        " `tops` $tops attr-dict `:` functional-type(operands, results)"
    )

    @property
    def hidden(self) -> int:
        """H."""
        return self.weight.shape[1]

    @property
    def part(self) -> int:
        """P."""
        return types.shape_of(self.x)[1] // GATES[self.cell.data]

    @property
    def state(self) -> int | None:
        """Which of ``others`` is the state before the first step."""
        return 0 if self.has_state.value.data else None

    @property
    def cont(self) -> int | None:
        """Which of ``others`` holds the markers that the states are multiplied by."""
        first = 1 if self.has_state.value.data else 0
        return first if len(self.others) > first else None

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, *[True] * (len(self.operands) + 1))
        kind, shape = self.cell.data, self.weight.shape
        gates, x = GATES[kind], types.shape_of(self.x)
        square = len(shape) == 3 and shape[0] == gates and shape[1] == shape[2]
        require(square, self, f"the weights must be [{gates}, H, H]")
        fits = len(x) == 4 and x[0] == 1 and x[1] % gates == 0 and x[1] >= gates * self.hidden
        require(fits, self, f"x must be [1, {gates} P, T, N], P at least {self.hidden}")
        part = self.part
        require(self.bias is None or self.bias.shape == shape[:2], self, "bias must be [gates, H]")
        cells = bool(self.gives_cell.value.data)
        require(not cells or kind is Cell.LSTM, self, "only an LSTM has a cell")
        first = bool(self.resets_first.value.data)
        require(not first or kind is Cell.GRU, self, "only a GRU has a reset")
        expected = (1, self.hidden, x[2] + cells, x[3])
        require(types.shape_of(self.y) == expected, self, f"the result must be {expected}")
        wanted = [(1, STATES[kind] * part, 1, x[3])] * (self.state is not None)
        wanted += [(1, 1, *x[2:])] * (self.cont is not None)
        given = [types.shape_of(other) for other in self.others]
        require(given == wanted, self, f"state and markers must be {wanted}")

    def meaning(self, inputs: Sequence[Array]) -> Array:
        kind, hidden = self.cell.data, self.hidden
        gates, part = GATES[kind], self.part
        length, batch = inputs[0].shape[2:]
        x = inputs[0].astype(np.float64).reshape(gates, part, length, batch)[:, :hidden]
        weight = self.weight.array.astype(np.float64)
        bias = 0.0 if self.bias is None else self.bias.array[..., None]
        resets = bool(self.resets_first.value.data)

        def product(h: Array) -> Array:
            return np.matmul(weight, h) + bias

        state = [np.zeros((hidden, batch))] * STATES[kind]
        if self.state is not None:
            first = inputs[1 + self.state].reshape(STATES[kind], part, batch)
            state = [each[:hidden].astype(np.float64) for each in first]
        found = np.zeros(types.shape_of(self.y), np.float32)
        clip = None if self.clip is None else float(self.clip.value.data)
        for t in range(length)[:: -1 if self.reverse.value.data else 1]:
            if self.cont is not None:
                state = [each * inputs[1 + self.cont][0, 0, t] for each in state]
            state = list(step(kind, x[:, :, t], product, state, clip, resets))
            found[0, :, t] = state[0]
        if self.gives_cell.value.data:
            found[0, :, length] = state[1]
        return found


