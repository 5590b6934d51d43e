"""Functions of one quant op: what a plan expects of it, and what its commands cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from xdsl.dialects.builtin import (
    ArrayAttr,
    BoolAttr,
    DenseArrayBase,
    FileLineColLoc,
    FunctionType,
    IntAttr,
    ModuleOp,
    NameLoc,
    StringAttr,
    f32,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Region, SSAValue

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.bm1684 import isa
from dialects.bm1684.cycles import cycles_of
from dialects.bm1684.isa import Direction, Engine
from dialects.bm1684.npu import CommandOp
from dialects.constant import ConstantAttr
from dialects.quant import compute, types
from dialects.quant.base import QuantOp, i64s, int_attr
from passes.cost.lowered import Work

LOWERED = (
    "convert-quant-to-tile{share=2 whole=true},tile-allocate-ddr,"
    "tile-allocate-local{overlap=true},convert-tile-to-npu"
)
LAYER = NameLoc(StringAttr("layer"), FileLineColLoc(StringAttr("net"), IntAttr(1), IntAttr(1)))
OTHER = NameLoc(StringAttr("other"), LAYER)
MOVES = (Direction.SYSTEM_TO_SYSTEM, Direction.LOCAL_TO_LOCAL)
SCALE = 0.05


def tensor(shape: Sequence[int], is_float: bool, unsigned: bool = False) -> Attribute:
    """A tensor type of either precision."""
    return types.float_tensor(shape) if is_float else types.int_tensor(shape, SCALE, unsigned)


def made(
    op_type: type[QuantOp],
    operands: Sequence[Attribute],
    result: Attribute,
    /,
    **properties: Attribute,
) -> QuantOp:
    """An op between ReLUs, in a function of a module."""
    block = Block(arg_types=operands)
    makers = [_relu(arg, f"x{i}") for i, arg in enumerate(block.args)]
    op = op_type.create(
        operands=[maker.results[0] for maker in makers], result_types=[result],
        properties={"tops": ArrayAttr([StringAttr("y")]), **properties}, location=LAYER,
    )
    reader = _relu(op.results[0], "z")
    block.add_ops([*makers, op, reader, ReturnOp(reader.results[0])])
    function = FuncOp("main", FunctionType.from_lists(operands, [result]), Region(block))
    names = [StringAttr(f"in{i}") for i in range(len(operands))]
    function.attributes |= {"input_names": ArrayAttr(names), "output_names": reader.tops}
    ModuleOp([function]).verify()
    return op


def _relu(value: SSAValue, name: str) -> QuantOp:
    return compute.PReluOp.create(
        operands=[value], result_types=[value.type], location=OTHER,
        properties={
            "tops": ArrayAttr([StringAttr(name)]),
            "slope": ConstantAttr.of(np.zeros(1, _dtype(value.type))),
            "shift": int_attr(0), "multiplier": int_attr(1), "multiplier_shift": int_attr(0),
        },
    )  # fmt: skip


def _dtype(kind: Attribute) -> Any:
    return np.float32 if types.is_float(kind) else np.int8


def emitted(op: QuantOp) -> Work:
    """The cycles of the op's commands, but for loads and stores; the op is gone then."""
    module = op.get_toplevel_object()
    assert isinstance(module, ModuleOp)
    run_pipeline(module, parse_pipeline(LOWERED))
    spent = dict.fromkeys(Engine, 0)
    for command in module.walk():
        if not isinstance(command, CommandOp) or command.location != LAYER:
            continue
        inst = command.instruction
        cycles = cycles_of(inst)
        assert cycles is not None
        moves = inst.engine is Engine.TIU or inst.kind is isa.FILL or inst["direction"] in MOVES
        if moves:
            spent[inst.engine] += cycles
    return Work(spent[Engine.TIU], spent[Engine.GDMA])


def conv(
    shape: Sequence[int], outputs: int, kernel: int, is_float: bool, *, stride: int = 1,
    group: int = 1, relu: bool = False, winograd: bool = False,
) -> QuantOp:
    """A convolution with bias and a padding that keeps about the size."""
    n, c, h, w = shape
    pad, taps = kernel // 2, 4 if winograd else kernel
    size = [(x + 2 * pad - kernel) // stride + 1 for x in (h, w)]
    blobs = (np.float32, np.float32) if is_float else (np.int8, np.int16)
    return made(
        compute.ConvOp, [tensor(shape, is_float)], tensor((n, outputs, *size), is_float),
        weight=ConstantAttr.of(np.ones((outputs, c // group, taps, taps), blobs[0])),
        bias=ConstantAttr.of(np.ones(outputs, blobs[1])), stride=i64s([stride] * 2),
        pad=i64s([pad] * 4), group=int_attr(group), relu=BoolAttr.from_bool(relu and is_float),
        winograd=BoolAttr.from_bool(winograd), dilation=i64s([1, 1]), shift=int_attr(0),
    )  # fmt: skip


def pool(kind: type[compute.PoolOp], shape: Sequence[int], kernel: int, stride: int,
         is_float: bool, pad: int = 0) -> QuantOp:  # fmt: skip
    """A pooling whose windows fit."""
    n, c, h, w = shape
    size = [(x + 2 * pad - kernel) // stride + 1 for x in (h, w)]
    return made(kind, [tensor(shape, is_float)], tensor((n, c, *size), is_float),
                kernel=i64s([kernel] * 2), stride=i64s([stride] * 2), pad=i64s([pad] * 4))


def eltwise(kind: str, shape: Sequence[int], count: int, is_float: bool,
            coefficients: Sequence[float] = ()) -> QuantOp:  # fmt: skip
    """A sum, product or maximum of so many tensors."""
    more: dict[str, Attribute] = {}
    if kind == "sum" and not is_float:
        more["multipliers"] = i64s([3] * count)
    if coefficients:
        more["coefficients"] = DenseArrayBase.from_list(f32, list(coefficients))
    one = tensor(shape, is_float)
    attr = compute.EltwiseKindAttr(compute.EltwiseKind(kind))
    return made(compute.EltwiseOp, [one] * count, one, kind=attr,
                shift=int_attr(0 if is_float else 2), relu=BoolAttr.from_bool(False), **more)


def unary(kind: type[QuantOp], shape: Sequence[int], floats: tuple[bool, bool],
          **properties: Attribute) -> QuantOp:  # fmt: skip
    """An op that keeps the shape; ``floats``: whether operand and result are float."""
    return made(kind, [tensor(shape, floats[0])], tensor(shape, floats[1]), **properties)
