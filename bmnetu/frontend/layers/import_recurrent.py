"""Imports the recurrent layers."""

from __future__ import annotations

from math import prod

import numpy as np

from bmnetu.frontend.layers.site import LayerSite
from bmnetu.frontend.ufw_pb2 import LSTMParameter
from bmnetu.frontend.weights.blobs import Role
from dialects.constant import Array
from dialects.quant.reductions.recurrent import GATES, STATES, Cell
from dialects.ufw import ops
from dialects.ufw.layer import shape_of
from dialects.ufw.reductions.recurrent import Other
from dialects.ufw.shapes import Shape, require

Required = list[tuple[Role, Shape]]


def _inputs(site: LayerSite, batch: bool) -> int:
    """Numbers of a step of x, [T, N, ...] or, with a batch, [T N, ...]."""
    require(site.rank > 1, "a recurrent layer requires T x N x I")
    return prod(site.shape[1 if batch else 2 :])


def _stacked(site: LayerSite, required: Required, directions: int) -> list[Array]:
    """The blobs of each direction, one after the other in the file, stacked to [D, ...]."""
    arrays = site.coefficients(*(required * directions)).arrays
    count = len(required)
    return [np.stack(arrays[index::count]) for index in range(count)]


def _of_descendants(site: LayerSite, param: LSTMParameter, cell: Cell) -> ops.LayerOp:
    """Lstm, GRU and Rnn of x [T, N, ...]; of [T N, ...] with a batch_size or two dimensions. Behind
    x the states before the first step, if any; behind y those behind the last one."""
    hidden, directions = param.num_output, 2 if param.bidirectional else 1
    require(hidden > 0, "num_output is missing or 0")
    batch = param.HasField("batch_size") or site.rank == 2
    rows, size = GATES[cell] * hidden, _inputs(site, batch)
    weights: Required = [(Role.WEIGHT, (rows, size)), (Role.WEIGHT, (rows, hidden))]
    addends: Required = [(Role.BIAS, (rows,))]
    if cell is not Cell.GRU:
        weight, hidden_weight, bias = _stacked(site, weights + addends, directions)
        hidden_bias = None
    else:
        required = [weights[0], addends[0], weights[1], addends[0]]
        weight, bias, hidden_weight, hidden_bias = _stacked(site, required, directions)
    return ops.RecurrentOp(
        site.bottoms,
        site.tops,
        cell,
        weight,
        bias,
        hidden_weight,
        others=[Other.STATE] * (len(site.bottoms) - 1),
        hidden_bias=hidden_bias,
        reverse=param.reverse and directions == 1,
        bias_last=cell is not Cell.GRU,
        clip=float(param.cell_clip) if cell is Cell.LSTM and param.cell_clip > 0 else None,
        resets_first=cell is Cell.GRU and param.resets_first,
        batch=param.batch_size if batch else None,
    )


def lstm_of_descendants(site: LayerSite) -> ops.LayerOp:
    return _of_descendants(site, site.param.lstm_param, Cell.LSTM)


def gru(site: LayerSite) -> ops.LayerOp:
    return _of_descendants(site, site.param.gru_param, Cell.GRU)


def rnn_of_descendants(site: LayerSite) -> ops.LayerOp:
    return _of_descendants(site, site.param.rnn_param, Cell.RNN)


def recurrent(site: LayerSite) -> ops.LayerOp:
    """Caffe's LSTM and RNN: x, the markers of a sequence's continuation, an operand of every step,
    and with expose_hidden the states before the first step, which are then handed on, too."""
    param = site.param.recurrent_param
    cell = Cell.LSTM if site.param.type == "LSTM" else Cell.RNN
    hidden, states = param.num_output, STATES[cell] * param.expose_hidden
    require(hidden > 0, "num_output is missing or 0")
    behind = len(site.bottoms) - 2 - states
    require(
        behind in (0, 1),
        f"{len(site.bottoms)} bottoms: x, the markers, a static input or none"
        + (f" and {states} state(s) are required" if states else " are required"),
    )
    require(
        len(site.tops) == 1 + states,
        f"{len(site.tops)} top(s), {1 + states} are required",
    )
    others = [Other.CONT] + [Other.STATIC] * behind + [Other.STATE] * states
    rows = GATES[cell] * hidden
    required: Required = [(Role.WEIGHT, (rows, _inputs(site, False))), (Role.BIAS, (rows,))]
    if behind:
        size = prod(shape_of(site.bottoms[2])[1:])
        required.append((Role.WEIGHT, (rows, size)))
    required.append((Role.WEIGHT, (rows, hidden)))
    if cell is Cell.RNN:
        required += [(Role.WEIGHT, (hidden, hidden)), (Role.BIAS, (hidden,))]
    arrays = iter(_stacked(site, required, 1))
    weight, bias = next(arrays), next(arrays)
    static = next(arrays) if behind else None
    hidden_weight = next(arrays)
    return ops.RecurrentOp(
        site.bottoms,
        site.tops,
        cell,
        weight,
        bias,
        hidden_weight,
        others=others,
        static_weight=static,
        out_weight=next(arrays) if cell is Cell.RNN else None,
        out_bias=next(arrays) if cell is Cell.RNN else None,
    )
