"""The least that a network can cost: all multipliers at work, or all of DDR's rate."""

from __future__ import annotations

from math import prod

from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from dialects.bm1684.cycles import PEAK_MACS
from dialects.bm1684.isa import Precision
from dialects.constant import ConstantAttr
from dialects.quant.types import is_float
from dialects.ufw import ops as ufw
from dialects.ufw.convolution import WeightedLayerOp
from dialects.ufw.layer import shape_of

DDR_BYTES_A_CYCLE = 53.3
FLOAT_BYTES = 4


def products(op: Operation) -> int:
    """The multiplications of a layer as they are counted on paper, with those of borders."""
    if isinstance(op, ufw.DeconvolutionOp):
        outputs, _, *window = op.weight.shape
        return prod(shape_of(op.operands[0])) * outputs // op.groups * prod(window)
    if isinstance(op, WeightedLayerOp):
        return prod(shape_of(op.results[0])) * prod(op.weight.shape[1:])
    if isinstance(op, ufw.MatMulOp):
        inner = shape_of(op.a)[-2 if op.transpose_a.value.data else -1]
        return prod(shape_of(op.results[0])) * inner
    if isinstance(op, ufw.RecurrentOp):
        steps, batch, _ = op.sizes
        return steps * batch * (prod(op.weight.shape) + prod(op.hidden_weight.shape))
    return 0


def lower_bound(function: FuncOp, float_border: bool = False) -> int:
    """Cycles that no schedule can go below: all multipliers at work, or all weights, inputs and
    outputs moved once at the full rate of DDR, whichever is more.

    Weights that are no integers count as floats, and so does the border if that is asked for. What
    can be folded into other layers, such as a BatchNorm, counts nothing.
    """
    peaks = {True: PEAK_MACS[Precision.INT8], False: PEAK_MACS[Precision.FP32]}
    ops = list(function.body.block.ops)
    constants = dict[str, int]()
    cycles, has_integers = 0.0, any(_are_integers(op) for op in ops)
    for op in ops:
        if macs := products(op):
            held = _coefficients(op)
            constants |= {each.data.digest: each.array.nbytes for each in held}
            cycles += macs / peaks[_are_integers(op) if held else has_integers]
    last = function.body.block.last_op
    assert last is not None
    border = sum(
        prod(shape_of(each)) * (FLOAT_BYTES if float_border or is_float(each) else 1)
        for each in (*function.body.block.args, *last.operands)
    )
    return round(max(cycles, (sum(constants.values()) + border) / DDR_BYTES_A_CYCLE))


def _coefficients(op: Operation) -> list[ConstantAttr]:
    return [each for each in op.properties.values() if isinstance(each, ConstantAttr)]


def _are_integers(op: Operation) -> bool:
    return any(each.data.dtype == "int8" for each in _coefficients(op))
