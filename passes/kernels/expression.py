"""Expressions of one tensor as commands: first a list of steps on numbered buffers, then tile
ops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684.layout import Ref
from dialects.expression import BINARY, Expr, Operand
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.float_functions import SCRATCH, UNARY_KERNELS, exp, series

STEP_CYCLES = {"exp": 43, "div": 30, "rsqrt": 27}
"""Of what takes more than 2."""
X, Y = 0, -1
"""The buffers of the tensors themselves, which are only read."""


@dataclass(frozen=True)
class FunctionStep:
    """One operation: ``operands`` are numbers of buffers (int) or constants (float). The factor of
    an "exp" is its second operand."""

    kind: str
    target: int
    operands: tuple[int | float, ...]

    @property
    def buffers(self) -> set[int]:
        """All buffers that the step reads or writes."""
        return {self.target, *(each for each in self.operands if isinstance(each, int))}


def _operands(expr: Expr) -> tuple[Operand, ...]:
    """The operands of a step; that of ``exp(factor * x)`` is x, with the factor behind."""
    if expr.kind != "exp":
        return expr.operands
    inner = expr.operands[0]
    if isinstance(inner, Expr) and inner.kind == "mul" and not isinstance(inner.operands[1], Expr):
        return inner.operands
    return (inner, 1.0)


@dataclass
class _Scheduler:
    steps: list[FunctionStep] = field(default_factory=list[FunctionStep])
    found: dict[Expr, int] = field(default_factory=dict[Expr, int])
    uses: Counter[Expr] = field(default_factory=Counter[Expr])
    count: int = 1

    def see(self, expr: Expr) -> None:
        """Counts how often each part is read."""
        for operand in _operands(expr):
            if isinstance(operand, Expr):
                self.uses[operand] += 1
                if self.uses[operand] == 1:
                    self.see(operand)

    def place(self, expr: Expr) -> int:
        """The buffer of a part, whose steps are added when they are not there yet."""
        if expr.kind in ("x", "y"):
            return X if expr.kind == "x" else Y
        if expr not in self.found:
            given = _operands(expr)
            operands = [self.place(e) if isinstance(e, Expr) else float(e) for e in given]
            self.found[expr] = target = self._target(expr.kind, given)
            self.steps.append(FunctionStep(expr.kind, target, tuple(operands)))
        return self.found[expr]

    def _target(self, kind: str, given: Sequence[Operand]) -> int:
        """A part that is read once gives its buffer to the result."""
        if kind in BINARY:
            for operand in given:
                if isinstance(operand, Expr) and operand in self.found and self.uses[operand] == 1:
                    return self.found[operand]
        self.count += 1
        return self.count - 1


def schedule(expr: Expr) -> list[FunctionStep]:
    """The steps of an expression, in order; the last one's target is the result."""
    scheduler = _Scheduler()
    scheduler.see(expr)
    scheduler.place(expr)
    return scheduler.steps


def buffers_alive(steps: Sequence[FunctionStep]) -> int:
    """The most buffers that hold numbers at a time: loaded tensor and scratch included."""
    first, last = {X: 0}, dict[int, int]()
    for i, step in enumerate(steps):
        for buffer in step.buffers:
            first.setdefault(buffer, i)
            last[buffer] = i
    alive = (
        sum(first[buffer] <= i <= last[buffer] for buffer in last) + SCRATCH.get(step.kind, 0)
        for i, step in enumerate(steps)
    )
    return max(alive, default=1)


def cycles_a_step(steps: Sequence[FunctionStep]) -> int:
    """Cycles, about, that a step of pixels takes."""
    total = 0
    for step in steps:
        series = 4 * len(step.operands) if step.kind == "series" else 0
        total += series + STEP_CYCLES.get(step.kind, 2)
    return total


def compute_steps(
    b: TileBuilder, steps: Sequence[FunctionStep], x: SSAValue, y: SSAValue | None = None
) -> SSAValue:
    """Does the steps on a float32 tensor in local memory, or on two; the result, x where there are
    none."""
    values, result = {X: x}, x
    if y is not None:
        values[Y] = y
    for step in steps:
        operands = [values[e] if isinstance(e, int) else e for e in step.operands]
        target = values.get(step.target) if step.kind in BINARY else None
        result = values[step.target] = _compute(b, step.kind, target, operands)
    return result


def _compute(
    b: TileBuilder, kind: str, target: SSAValue | None, operands: list[SSAValue | float]
) -> SSAValue:
    first, *rest = operands
    if kind in BINARY:
        tensor = first if isinstance(first, SSAValue) else rest[0]
        assert isinstance(tensor, SSAValue)
        target = b.local(f32, Ref.of(tensor).shape) if target is None else target
        return _binary(b, kind, target, first, rest[0])
    assert isinstance(first, SSAValue)
    if kind == "select":
        return b.select(b.local(f32, Ref.of(first).shape), first, rest[0], rest[1], rest[2])
    numbers = [each for each in rest if not isinstance(each, SSAValue)]
    if kind == "series":
        return series(b, first, numbers)
    return exp(b, first, *numbers) if kind == "exp" else UNARY_KERNELS[kind](b, first)


def _binary(
    b: TileBuilder, kind: str, target: SSAValue, left: SSAValue | float, right: SSAValue | float
) -> SSAValue:
    if not isinstance(left, SSAValue):
        assert isinstance(right, SSAValue)
        return b.scalar(kind, target, right, first=left)
    if kind in ("min", "max", "gt", "eq"):
        other = right if isinstance(right, SSAValue) else float_bits(right)
        return b.arith(kind, target, left, other)
    return b.scalar(kind, target, left, right)
