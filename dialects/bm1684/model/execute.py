"""One instruction: what it touches, and what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from dialects.bm1684 import isa
from dialects.bm1684.isa import Instruction, InstructionKind, IsaError
from dialects.bm1684.model.arithmetic.arith import plan_arith
from dialects.bm1684.model.arithmetic.conv import plan_conv
from dialects.bm1684.model.arithmetic.depthwise import plan_depthwise, plan_max_pool
from dialects.bm1684.model.arithmetic.matmul import plan_matmul
from dialects.bm1684.model.arithmetic.pointwise import (
    plan_compare,
    plan_linear,
    plan_lookup,
    plan_scalar,
    plan_sfu,
)
from dialects.bm1684.model.arithmetic.winograd import plan_winograd
from dialects.bm1684.model.errors import ModelError
from dialects.bm1684.model.gdma import (
    plan_copy_linear,
    plan_fill,
    plan_matrix,
    plan_move,
    plan_transpose,
)
from dialects.bm1684.model.memory.access import Access, PreparedCommand
from dialects.bm1684.model.memory.npu import Npu


def _plan_any_conv(inst: Instruction) -> PreparedCommand:
    return plan_winograd(inst) if inst["opt_winograd"] else plan_conv(inst)


PLANS: Mapping[InstructionKind, Callable[[Instruction], PreparedCommand]] = {
    isa.CONV: _plan_any_conv,
    isa.DEPTHWISE: plan_depthwise,
    isa.MAX_POOL: plan_max_pool,
    isa.MATMUL: plan_matmul,
    isa.ARITH: plan_arith,
    isa.LOOKUP: plan_lookup,
    isa.SCALAR: plan_scalar,
    isa.SFU: plan_sfu,
    isa.LINEAR: plan_linear,
    isa.COMPARE: plan_compare,
    isa.MOVE: plan_move,
    isa.CONVERT: plan_move,
    isa.FILL: plan_fill,
    isa.TRANSPOSE_NC: partial(plan_transpose, axes=(1, 0, 2, 3)),
    isa.TRANSPOSE_CW: partial(plan_transpose, axes=(0, 3, 2, 1)),
    isa.COPY_LINEAR: plan_copy_linear,
    isa.MATRIX: plan_matrix,
}


def plan(inst: Instruction) -> PreparedCommand:
    """The operands and the effect of an instruction.

    Raises :class:`ModelError` naming the field that is illegal, misaligned or out of bounds.
    """
    try:
        inst.check()
    except IsaError as error:
        raise ModelError(str(error)) from None
    return PLANS[inst.kind](inst)


def accesses(inst: Instruction) -> list[Access]:
    """The bytes an instruction reads and writes, one bounding interval an operand."""
    return plan(inst).accesses()


def execute(npu: Npu, inst: Instruction) -> None:
    """Perform one instruction. Raises as :func:`plan`, and for writes to protected memory."""
    perform(npu, plan(inst))


def perform(npu: Npu, step: PreparedCommand) -> None:
    """Perform a planned instruction with the engine's arithmetic, which never traps."""
    with np.errstate(all="ignore"):
        step.run(npu)
