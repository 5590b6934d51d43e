"""Expressions of one tensor as commands: first a list of steps on numbered buffers, then tile
ops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684.layout import Ref
from dialects.expression import UNARY, Expr, Operand
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.float_functions import SCRATCH, exp, log

X = 0
"""The buffer of the tensor itself, which is only read."""


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
        if expr.kind == "x":
            return X
        if expr not in self.found:
            given = _operands(expr)
            operands = [self.place(e) if isinstance(e, Expr) else float(e) for e in given]
            self.found[expr] = target = self._target(expr.kind, given)
            self.steps.append(FunctionStep(expr.kind, target, tuple(operands)))
        return self.found[expr]

    def _target(self, kind: str, given: Sequence[Operand]) -> int:
        """A part that is read once gives its buffer to the result."""
        if kind not in UNARY:
            for operand in given:
                if isinstance(operand, Expr) and operand.kind != "x" and self.uses[operand] == 1:
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


def compute_steps(b: TileBuilder, steps: Sequence[FunctionStep], x: SSAValue) -> SSAValue:
    """Does the steps on a float32 tensor in local memory; the result, x where there are none."""
    values, result = {X: x}, x
    for step in steps:
        first, *rest = [values[e] if isinstance(e, int) else e for e in step.operands]
        if step.kind in UNARY:
            assert isinstance(first, SSAValue)
            result = log(b, first) if step.kind == "log" else exp(b, first, *_floats(rest))
        else:
            target = values.get(step.target)
            target = b.local(f32, Ref.of(x).shape) if target is None else target
            result = _binary(b, step.kind, target, first, rest[0])
        values[step.target] = result
    return result


def _floats(operands: Sequence[SSAValue | float]) -> list[float]:
    return [each for each in operands if not isinstance(each, SSAValue)]


def _binary(
    b: TileBuilder, kind: str, target: SSAValue, left: SSAValue | float, right: SSAValue | float
) -> SSAValue:
    if not isinstance(left, SSAValue):
        assert isinstance(right, SSAValue)
        return b.scalar(kind, target, right, first=left)
    if kind in ("min", "max"):
        other = right if isinstance(right, SSAValue) else float_bits(right)
        return b.arith(kind, target, left, other)
    return b.scalar(kind, target, left, right)
