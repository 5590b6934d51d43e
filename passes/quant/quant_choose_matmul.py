"""quant-choose-matmul: float inner products of many rows become products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from xdsl.dialects.builtin import BoolAttr
from xdsl.dialects.func import FuncOp

from dialects.bm1684.cycles.convolution import Convolution
from dialects.constant import ConstantAttr
from dialects.quant import types
from dialects.quant.compute import ConvOp
from dialects.quant.eltwise import ConstantOp
from dialects.quant.movement import ReshapeOp
from dialects.quant.reductions import MatMulOp
from passes.base import NpuFunctionPass
from passes.module.inserting import inserted

LEAST_ROWS = 8
"""Fewer rows are the images of a small batch, whose weights take longer to load."""


@dataclass(frozen=True)
class QuantChooseMatmulPass(NpuFunctionPass):
    """Makes a product of matrices of a float inner product where that takes fewer cycles.

    Before: ``conv`` whose kernel covers the whole map, an image a row: one pixel at a time, of the
    16 that the command computes. After: ``matmul`` of the rows and the transposed weights, whose
    last row is the bias; there the outputs are the pixels.
    """

    name = "quant-choose-matmul"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        for op in list(function.body.block.ops):
            if isinstance(op, ConvOp) and _is_inner_product(op) and _pays(op):
                _replace(op)


def _is_inner_product(op: ConvOp) -> bool:
    """Whether the window covers the whole map, which has one group. The weights of winograd are
    others."""
    whole = types.shape_of(op.x)[2:] == op.kernel and types.shape_of(op.y)[2:] == (1, 1)
    plain = op.group.value.data == 1 and not any(_pads(op)) and not op.winograd.value.data
    return types.is_float(op.x) and whole and plain


def _pads(op: ConvOp) -> Sequence[int]:
    return op.pad.get_values()


def _pays(op: ConvOp) -> bool:
    """Whether the convolution whose weights are the rows is faster."""
    rows, terms = types.shape_of(op.x)[0], op.weight.array[0].size
    if rows < LEAST_ROWS:
        return False
    outputs, bias = op.weight.shape[0], op.bias is not None
    plain = Convolution(rows, outputs, terms, (1, 1), (1, 1), bias=bias, is_float=True)
    turned = replace(
        plain, images=1, outputs=rows, channels=terms + bias, size=(1, outputs), bias=False
    )
    return turned.cycles() < plain.cycles()


def _replace(op: ConvOp) -> None:
    rows = types.shape_of(op.x)[0]
    weight = op.weight.array.reshape(op.weight.shape[0], -1).T
    if op.bias is not None:
        weight = np.concatenate([weight, op.bias.array[None]])
    matrix = np.ascontiguousarray(weight)
    terms = op.weight.array[0].size
    value, bias = ConstantAttr.of(matrix), BoolAttr.from_bool(op.bias is not None)
    kind = types.float_tensor(matrix.shape)
    weights = inserted(op, ConstantOp, [], kind, "weights", value=value)
    x = inserted(op, ReshapeOp, [op.x], types.like(op.x, (rows, terms)), "rows")
    result = types.like(op.y, (rows, matrix.shape[1]))
    y = inserted(op, MatMulOp, [x, weights], result, "product", bias=bias, relu=op.relu)
    op.y.replace_all_uses_with(inserted(op, ReshapeOp, [y], op.y.type, ""))
    op.detach()
    op.erase()
