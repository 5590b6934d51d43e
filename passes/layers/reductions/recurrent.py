"""Recurrent layers: what the inputs add to the gates of all steps in one convolution, then the
loop over the steps."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from xdsl.dialects.builtin import BoolAttr
from xdsl.ir import Operation, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.constant import Array, ConstantAttr
from dialects.quant import compute, movement, types
from dialects.quant.base import i64s, int_attr
from dialects.quant.reductions.recurrent import GATES, Cell, RecurrentOp
from dialects.ufw import ops as ufw
from dialects.ufw.reductions.recurrent import Other
from passes.layers.binary import binary, function_of
from passes.layers.converter import Converter
from passes.layers.reductions.reduce import as_result, part


def spread(hidden: int) -> int:
    """Channels that a gate takes: whole rows of lanes, so that all gates begin in one lane."""
    return -(-hidden // BM1684.lanes) * BM1684.lanes


def _turned(c: Converter, x: SSAValue, order: tuple[int, ...], step: str) -> SSAValue:
    """A float value with its dimensions in another order."""
    shape = types.shape_of(x)
    kind = types.float_tensor([shape[axis] for axis in order])
    return c.add(movement.TransposeOp, [x], kind, step, order=i64s(order))


def _product(
    c: Converter, x: SSAValue, weight: Array, bias: Array | None, step: str
) -> SSAValue:
    """``weight x + bias`` of every pixel: a convolution of one pixel."""
    n, _, h, w = types.shape_of(x)
    return c.add(
        compute.ConvOp,
        [x],
        types.float_tensor((n, len(weight), h, w)),
        step,
        weight=ConstantAttr.of(np.ascontiguousarray(weight[:, :, None, None], np.float32)),
        bias=None if bias is None else ConstantAttr.of(np.ascontiguousarray(bias, np.float32)),
    )


def _spread_rows(array: Array, gates: int) -> Array:
    """[gates * H, ...] as [gates * P, ...], zeros behind each gate."""
    hidden = len(array) // gates
    grown = np.zeros((gates, spread(hidden), *array.shape[1:]), np.float32)
    grown[:, :hidden] = array.reshape(gates, hidden, *array.shape[1:])
    return grown.reshape(-1, *array.shape[1:])


def _gates(c: Converter, op: ufw.RecurrentOp, columns: SSAValue, direction: int) -> SSAValue:
    """What the inputs add to the gates: [1, gates * P, T, N]."""
    gates, mark = GATES[op.cell.data], f"{direction}"
    weight = _spread_rows(op.weight.array[direction], gates)
    bias = op.bias.array[direction]
    y = _product(c, columns, weight, _spread_rows(bias, gates), f"gates{mark}")
    for static in op.of_role(Other.STATIC):
        assert op.static_weight is not None
        x = c.as_float(c.value(static))
        sequences = types.shape_of(x)[0]
        flat = c.reshape(x, (sequences, prod(types.shape_of(x)[1:])), "static/rows")
        turned = _turned(c, flat, (1, 0), "static/columns")
        four = c.reshape(turned, (1, types.shape_of(turned)[0], 1, sequences), "static/channels")
        matrix = _spread_rows(op.static_weight.array[direction], gates)
        y = binary(c, "add", y, _product(c, four, matrix, None, f"static{mark}"), f"all{mark}")
    return y


def _state(c: Converter, op: ufw.RecurrentOp) -> list[SSAValue]:
    """The states before the first step, [1, P, 1, N] each, as one value; none without them."""
    found: list[SSAValue] = []
    hidden, part_size = op.hidden, spread(op.hidden)
    for value in op.of_role(Other.STATE):
        x = _turned(c, c.as_float(c.value(value)), (0, 2, 1), "state/columns")
        sequences = types.shape_of(x)[2]
        x = c.reshape(x, (1, hidden, 1, sequences), "state/channels")
        if part_size != hidden:
            matrix = np.eye(part_size, hidden, dtype=np.float32)
            x = _product(c, x, matrix, None, "state/spread")
        found.append(x)
    if len(found) < 2:
        return found
    kind = types.float_tensor((1, 2 * part_size, 1, types.shape_of(found[0])[3]))
    return [c.add(movement.ConcatOp, found, kind, "states", axis=int_attr(1))]


def lower_recurrent(c: Converter, op: ufw.RecurrentOp) -> None:
    length, sequences, size = op.sizes
    cell, hidden, name = op.cell.data, op.hidden, c.top
    gates = GATES[cell]
    x = c.reshape(c.as_float(c.value(op.bottoms[0])), (length, sequences, size), "steps")
    columns = c.reshape(_turned(c, x, (2, 0, 1), "columns"), (1, size, length, sequences), "pixels")
    others = _state(c, op)
    has_state = BoolAttr.from_bool(bool(others))
    for value in op.of_role(Other.CONT):
        marks = c.as_float(c.value(value))
        others.append(c.reshape(marks, (1, 1, length, sequences), "markers"))
    more = len(op.tops_) > 1 and cell is Cell.LSTM
    parts: list[SSAValue] = []
    for direction in range(op.directions):
        weight = op.hidden_weight.array[direction].reshape(gates, hidden, hidden)
        bias = None if op.hidden_bias is None else op.hidden_bias.array[direction]
        backward = direction == 1 or bool(op.reverse.value.data)
        parts.append(
            c.add(
                RecurrentOp,
                [_gates(c, op, columns, direction), others],
                types.float_tensor((1, hidden, length + more, sequences)),
                f"loop{direction}",
                cell=op.cell,
                weight=ConstantAttr.of(np.ascontiguousarray(weight)),
                bias=None if bias is None else ConstantAttr.of(bias.reshape(gates, hidden).copy()),
                reverse=BoolAttr.from_bool(backward),
                gives_cell=BoolAttr.from_bool(more),
                has_state=has_state,
                clip=op.clip,
                resets_first=op.resets_first,
            )
        )
    whole = parts[0]
    y = part(c, whole, 2, 0, length, "outputs") if more else whole
    if len(parts) == 2:
        kind = types.float_tensor((1, 2 * hidden, length, sequences))
        y = c.add(movement.ConcatOp, parts, kind, "both", axis=int_attr(1))
    states = [(whole, 0 if op.reverse.value.data else length - 1), (whole, length)]
    if op.out_weight is not None and op.out_bias is not None:
        y = _product(c, y, op.out_weight.array[0], op.out_bias.array[0], "out")
        y = function_of(c, "tanh", y, "activated")
    _hand_on(c, op, 0, _rows(c, y, "rows"))
    for index, (state, row) in enumerate(states[: len(op.tops_) - 1], start=1):
        c.top = op.top_names[index]
        _hand_on(c, op, index, _rows(c, part(c, state, 2, row, 1, "last"), "rows"))
    c.top = name


def _rows(c: Converter, y: SSAValue, step: str) -> SSAValue:
    """[1, H, T, N] as [T, N, H]."""
    _, hidden, length, sequences = types.shape_of(y)
    return _turned(c, c.reshape(y, (hidden, length, sequences), f"{step}/planes"), (1, 2, 0), step)


def _hand_on(c: Converter, op: ufw.RecurrentOp, index: int, y: SSAValue) -> None:
    result = op.tops_[index]
    y = as_result(c, result, y)
    c.values[result] = c.fit(y, types.tensor_type(result), "requantize")


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    ufw.RecurrentOp: lower_recurrent,
}
