"""The price of any command."""

from __future__ import annotations

from dialects.bm1684.cycles import gdma, tiu
from dialects.bm1684.isa import MATRIX, Engine, Instruction

SLOW_DDR = 0.6
"""Of the rate that the cost model has DDR at: what a network may find on silicon."""
FORMULAS = {**tiu.FORMULAS, **gdma.FORMULAS}


def cycles_of(instruction: Instruction) -> int | None:
    """Cycles of a legal command at the TIU's clock; None when no formula for it is known.

    Unknown are: transposes, linear copies, accumulating and index-shifting moves, transposing
    matrix moves, and matrix products with a transposed left operand.
    """
    formula = FORMULAS.get(instruction.kind)
    return None if formula is None else formula(instruction)


def traced_cycles_of(instruction: Instruction) -> int | None:
    """As :func:`cycles_of`, as the trace of the vendor's compiler has it: it prices a matrix move
    as a plain one, though its library has an estimator for them."""
    if instruction.kind is MATRIX:
        return gdma.tensor_cycles(instruction)
    return cycles_of(instruction)


def slow_cycles_of(instruction: Instruction) -> int | None:
    """As :func:`cycles_of`, where DDR has SLOW_DDR of its rate."""
    cycles = cycles_of(instruction)
    if cycles is None or instruction.engine is not Engine.GDMA:
        return cycles
    traffic = gdma.traffic_of(instruction)
    return round(cycles / SLOW_DDR) if traffic.read or traffic.written else cycles
