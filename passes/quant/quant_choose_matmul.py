"""quant-choose-matmul: float inner products of many rows become products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, BoolAttr, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue

from dialects.bm1684.cycles.convolution import Convolution
from dialects.constant import ConstantAttr
from dialects.quant import types
from dialects.quant.compute import ConvOp
from dialects.quant.eltwise import ConstantOp
from dialects.quant.movement import ReshapeOp
from dialects.quant.reductions import MatMulOp
from passes.base import NpuFunctionPass

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
                _replace(function, op)


def _is_inner_product(op: ConvOp) -> bool:
    """Whether the window covers the whole map, which has one group."""
    whole = types.shape_of(op.x)[2:] == op.kernel and types.shape_of(op.y)[2:] == (1, 1)
    return types.is_float(op.x) and whole and op.group.value.data == 1 and not any(_pads(op))


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


def _replace(function: FuncOp, op: ConvOp) -> None:
    block, rows = function.body.block, types.shape_of(op.x)[0]
    weight = op.weight.array.reshape(op.weight.shape[0], -1).T
    if op.bias is not None:
        weight = np.concatenate([weight, op.bias.array[None]])

    def add(kind: type[Operation], operands: Sequence[SSAValue], result: Attribute, step: str,
            **properties: Attribute) -> SSAValue:
        tops = op.tops if not step else ArrayAttr([StringAttr(f"{op.top}/{step}")])
        made = kind.build(operands=list(operands), result_types=[result],
                          properties={**properties, "tops": tops})
        made.location = op.location
        block.insert_op_before(made, op)
        return made.results[0]

    matrix = np.ascontiguousarray(weight)
    weights = add(ConstantOp, [], types.float_tensor(matrix.shape), "weights",
                  value=ConstantAttr.of(matrix))
    x = add(ReshapeOp, [op.x], types.like(op.x, (rows, op.weight.array[0].size)), "rows")
    product = add(MatMulOp, [x, weights], types.like(op.y, (rows, matrix.shape[1])), "product",
                  bias=BoolAttr.from_bool(op.bias is not None), relu=op.relu)
    y = add(ReshapeOp, [product], op.y.type, "")
    op.y.replace_all_uses_with(y)
    op.detach()
    op.erase()
