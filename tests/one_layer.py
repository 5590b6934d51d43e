"""Networks of one layer, compiled and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xdsl.dialects.builtin import FileLineColLoc, IntAttr, ModuleOp, NameLoc, StringAttr
from xdsl.ir import Block, SSAValue

from dialects.quant import types
from dialects.ufw.layer import LayerOp
from tests.compiled import compiled
from tests.random_nets import finished_block

Build = Callable[..., LayerOp]


def one_layer(
    build: Build, *shapes: Sequence[int], integer: bool = False, signed: bool = True
) -> ModuleOp:
    """A network whose inputs, float or 8 bit, are the operands of the layer."""
    kinds: list[Any] = [
        types.int_tensor(shape, 0.05, not signed) if integer else types.float_tensor(shape)
        for shape in shapes
    ]
    block = Block(arg_types=kinds)
    operands: tuple[SSAValue, ...] = tuple(block.args)
    op = build(*operands)
    op.location = NameLoc(
        StringAttr("layer"), FileLineColLoc(StringAttr("net"), IntAttr(1), IntAttr(0))
    )
    block.add_op(op)
    return finished_block(block)


def check(
    build: Build, *shapes: Sequence[int], integer: bool = False, opts: Sequence[int] = (0, 1, 2)
) -> float:
    """Compiles the layer at every opt level; what the NPU computes must be what it means. The
    largest error of a float."""
    worst = 0.0
    for opt in opts:
        module = one_layer(build, *shapes, integer=integer)
        findings = compiled(module, opt, "INT8" if integer else "FP32")
        assert findings.ok, (opt, findings)
        worst = max(worst, *(each.isolated.error for each in findings.tensors))
    return worst
