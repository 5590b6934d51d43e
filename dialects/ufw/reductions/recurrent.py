"""LSTM, GRU and plain recurrent layers of a fixed length."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import BoolAttr, DenseArrayBase, Float32Type, FloatAttr, TensorType, i64
from xdsl.ir import SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import Pure
from xdsl.utils.str_enum import StrEnum

from dialects.constant import ConstantAttr
from dialects.quant.reductions.recurrent import GATES, STATES, Cell, CellAttr, step
from dialects.ufw.facts import Array, FloatArray
from dialects.ufw.layer import Coefficients, LayerOp, Top, shape_of
from dialects.ufw.shapes import Shape, require, show

FALSE = BoolAttr.from_bool(False)


class Other(StrEnum):
    """What an operand behind x is for: the markers [T, N], an operand of every step [N, ...], a
    state before the first step, [1, N, H]."""

    CONT = "cont"
    STATIC = "static"
    STATE = "state"


BLOBS = (
    "weight", "bias", "static_weight", "hidden_weight", "hidden_bias", "out_weight", "out_bias",
)  # fmt: skip
"""The coefficients in Caffe's order; an Lstm has its bias behind its weights."""


@irdl_op_definition
class RecurrentOp(LayerOp):
    """``h_t`` of every step t, [T, N, D H], of x [T, N, ...] with I numbers a step; D directions.

    ``gates = W x_t + b + W_static x_static + W_h h_(t-1)``, gates [4 H] (i, f, o, g) of an LSTM:
    ``c_t = sigmoid(f) c_(t-1) + sigmoid(i) tanh(g)``, within plus and minus ``clip``;
    ``h_t = sigmoid(o) tanh(c_t)``. GRU (r, z, n): ``n = tanh(n + r (W_h h + b_h))``, or with
    ``resets_first`` ``tanh(n + W_h (r h) + b_h)``; ``h_t = n + z (h - n)``. Plain (one gate):
    ``h_t = tanh(gates)``, and with ``out_weight`` the result is ``tanh(W_o h_t + b_o)``. Before
    each step h and c are multiplied by ``cont``.

    ``weight`` [D, G H, I], ``bias`` [D, G H], ``hidden_weight`` [D, G H, H]. The second direction,
    or the only one with ``reverse``, begins with the last step. ``others`` says what the operands
    behind x are; with two results or three the others are the states behind the last step,
    [1, N, H]. With ``batch`` x is [T N, ...], the steps of a sequence N apart, and the result
    [T N, D H].
    """

    name = "ufw.recurrent"

    bottoms = var_operand_def(TensorType)
    cell = prop_def(CellAttr)
    others = prop_def(DenseArrayBase.constr(i64), default_value=DenseArrayBase.from_list(i64, []))
    weight = prop_def(ConstantAttr)
    bias = prop_def(ConstantAttr)
    static_weight = opt_prop_def(ConstantAttr)
    hidden_weight = prop_def(ConstantAttr)
    hidden_bias = opt_prop_def(ConstantAttr)
    out_weight = opt_prop_def(ConstantAttr)
    out_bias = opt_prop_def(ConstantAttr)
    reverse = prop_def(BoolAttr, default_value=FALSE)
    bias_last = prop_def(BoolAttr, default_value=FALSE)
    clip = opt_prop_def(FloatAttr[Float32Type])
    resets_first = prop_def(BoolAttr, default_value=FALSE)
    batch = prop_def(DenseArrayBase.constr(i64), default_value=DenseArrayBase.from_list(i64, []))
    tops_ = var_result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = (
        "$cell $tops $bottoms (`others` $others^)? `weight` $weight `bias` $bias "
        "(`static_weight` $static_weight^)? `hidden_weight` $hidden_weight "
        "(`hidden_bias` $hidden_bias^)? (`out_weight` $out_weight^)? (`out_bias` $out_bias^)? "
        "(`reverse` $reverse^)? (`bias_last` $bias_last^)? (`clip` $clip^)? "
        "(`resets_first` $resets_first^)? (`batch` $batch^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottoms: Sequence[SSAValue],
        tops: Sequence[Top],
        cell: Cell,
        weight: Coefficients,
        bias: Coefficients,
        hidden_weight: Coefficients,
        *,
        others: Sequence[Other] = (),
        static_weight: Coefficients | None = None,
        hidden_bias: Coefficients | None = None,
        out_weight: Coefficients | None = None,
        out_bias: Coefficients | None = None,
        reverse: bool = False,
        bias_last: bool = False,
        clip: float | None = None,
        resets_first: bool = False,
        batch: int | None = None,
    ) -> None:
        settings = {
            "cell": CellAttr(cell), "others": [list(Other).index(other) for other in others],
            "weight": weight, "bias": bias, "static_weight": static_weight,
            "hidden_weight": hidden_weight, "hidden_bias": hidden_bias, "out_weight": out_weight,
            "out_bias": out_bias, "reverse": BoolAttr.from_bool(reverse),
            "bias_last": BoolAttr.from_bool(bias_last), "clip": clip,
            "resets_first": BoolAttr.from_bool(resets_first),
            "batch": [] if batch is None else [batch],
        }  # fmt: skip
        self.setup([bottoms], tops, settings, variadic=True)

    @property
    def roles(self) -> list[Other]:
        """What the operands behind x are."""
        return [list(Other)[index] for index in self.others.get_values()]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Steps, sequences, numbers of a sequence's step."""
        shape, batch = shape_of(self.bottoms[0]), self.batch.get_values()
        if batch:
            return shape[0] // batch[0], batch[0], prod(shape[1:])
        return shape[0], shape[1], prod(shape[2:])

    @property
    def hidden(self) -> int:
        """H."""
        return self.hidden_weight.shape[2]

    @property
    def directions(self) -> int:
        """1 or 2."""
        return self.weight.shape[0]

    def of_role(self, role: Other) -> list[SSAValue]:
        """The operands of a role."""
        given = zip(self.roles, list(self.bottoms)[1:], strict=True)
        return [value for each, value in given if each is role]

    def infer_shapes(self) -> list[Shape]:
        shape, batch = shape_of(self.bottoms[0]), self.batch.get_values()
        require(len(shape) >= 2, f"a recurrent layer needs T x N x I, has {show(shape)}")
        fits = not batch or (batch[0] > 0 and shape[0] % batch[0] == 0)
        require(fits, f"{shape[0]} steps are no multiple of {show(batch)} sequences")
        require(len(self.roles) == len(self.bottoms) - 1, "one role an operand behind x")
        length, sequences, inputs = self.sizes
        hidden, directions, gates = self.hidden, self.directions, GATES[self.cell.data]
        rows = gates * hidden
        wanted: dict[str, Shape] = {
            "weight": (directions, rows, inputs), "bias": (directions, rows),
            "hidden_weight": (directions, rows, hidden), "hidden_bias": (directions, rows),
        }  # fmt: skip
        for name, size in wanted.items():
            blob = self.properties.get(name)
            given = blob.shape if isinstance(blob, ConstantAttr) else size
            require(given == size, f"{name} is {show(given)}, {show(size)} is required")
        for value in self.of_role(Other.CONT):
            given = shape_of(value)
            require(given == (length, sequences), f"the markers are {show(given)}, not T x N")
        for value in self.of_role(Other.STATIC):
            given = shape_of(value)
            require(given[:1] == (sequences,), f"the static bottom is {show(given)}, not N x ...")
        states = self.of_role(Other.STATE)
        for value in states:
            require(shape_of(value) == (1, sequences, hidden), "a state must be 1 x N x H")
        count, most = len(self.tops.data), 1 + STATES[self.cell.data]
        require(count in (1, most), f"{count} results of a recurrent layer")
        require(len(states) in (0, most - 1), "a state an operand of the cell is required")
        require(directions == 1 or (count == 1 and not states), "two directions hand on no state")
        result = (length * sequences,) if batch else (length, sequences)
        outputs = directions * hidden if self.out_weight is None else self.out_weight.shape[1]
        return [(*result, outputs), *[(1, sequences, hidden)] * (count - 1)]

    def stored_blobs(self) -> list[Array]:
        order = [name for name in BLOBS if name != "bias" or not self.bias_last.value.data]
        order += ["bias"] * bool(self.bias_last.value.data)
        found = [blob for name in order if (blob := self.properties.get(name)) is not None]
        arrays = [blob.array for blob in found if isinstance(blob, ConstantAttr)]
        return [array[d] for d in range(self.directions) for array in arrays]

    def meaning(self, inputs: Sequence[FloatArray]) -> list[Array]:
        length, sequences, size = self.sizes
        x = inputs[0].reshape(length, sequences, size).astype(np.float64)
        given = dict[Other, list[Array]]()
        for role, array in zip(self.roles, inputs[1:], strict=True):
            given.setdefault(role, []).append(array.astype(np.float64))
        parts: list[Array] = []
        states: list[Array] = []
        for direction in range(self.directions):
            backward = direction == 1 or bool(self.reverse.value.data)
            outputs, states = self._direction(x, given, direction, backward)
            parts.append(outputs)
        y = np.concatenate(parts, axis=2)
        if self.out_weight is not None and self.out_bias is not None:
            y = np.tanh(y @ self.out_weight.array[0].T.astype(np.float64) + self.out_bias.array[0])
        found = [y, *(state.T[None] for state in states)]
        shaped = zip(found, [shape_of(top) for top in self.tops_], strict=False)
        return [array.reshape(shape).astype(np.float32) for array, shape in shaped]

    def _direction(
        self, x: Array, given: dict[Other, list[Array]], direction: int, backward: bool
    ) -> tuple[Array, list[Array]]:
        """h of every step [T, N, H], and the last states [H, N]."""
        cell, hidden = self.cell.data, self.hidden
        sums = x @ self.weight.array[direction].T.astype(np.float64) + self.bias.array[direction]
        for static in given.get(Other.STATIC, []):
            assert self.static_weight is not None
            sums = sums + static.reshape(len(static), -1) @ self.static_weight.array[direction].T
        weight = self.hidden_weight.array[direction].astype(np.float64)
        addend = None if self.hidden_bias is None else self.hidden_bias.array[direction][:, None]
        states = [state[0].T for state in given.get(Other.STATE, [])]
        states = states or [np.zeros((hidden, x.shape[1]))] * STATES[cell]
        clip = None if self.clip is None else float(self.clip.value.data)
        first, shape = bool(self.resets_first.value.data), (GATES[cell], hidden, x.shape[1])

        def product(h: Array) -> Array:
            return (weight @ h + (0 if addend is None else addend)).reshape(shape)

        y = np.zeros((*x.shape[:2], hidden))
        for t in range(len(x))[:: -1 if backward else 1]:
            for cont in given.get(Other.CONT, []):
                states = [state * cont[t] for state in states]
            states = list(step(cell, sums[t].T.reshape(shape), product, states, clip, first))
            y[t] = states[0].T
        return y, states
