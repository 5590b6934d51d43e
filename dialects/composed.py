"""Functions that are composed of others, as text: ``a = hsigmoid(x); mul(x, a)``.

Steps are separated by semicolons; each is a name, an equals sign and a call, the last one a call
alone. A call is a function of :mod:`dialects.functions` of one value, with its parameters as
keywords, or one of ARITHMETIC of two, each a value or a number. ``x`` is the operand.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from keyword import iskeyword
from math import inf, isfinite, isnan
from typing import Any

import numpy as np

from dialects.expression import Expr, Operand, equal, greater, maximum, minimum
from dialects.function import Array, Function, Parameters
from dialects.functions import FUNCTIONS

Value = Array | float
Bounds = tuple[float, float]
X = "x"
MOST_STEPS = 64


class ComposedError(ValueError):
    """A text that is no composed function; the message says why."""


@dataclass(frozen=True)
class Step:
    """``target = function(operands)``; operands are names or numbers."""

    target: str
    function: str
    operands: tuple[str | float, ...]
    parameters: tuple[tuple[str, float], ...] = ()

    def renamed(self, names: Mapping[str, str]) -> Step:
        """The step with other names; what has none keeps its own."""
        operands = (names.get(e, e) if isinstance(e, str) else e for e in self.operands)
        target = names.get(self.target, self.target)
        return replace(self, target=target, operands=tuple(operands))

    def __str__(self) -> str:
        """The call as text, exact."""
        given = [each if isinstance(each, str) else repr(each) for each in self.operands]
        given += [f"{_keyword(name)}={value!r}" for name, value in self.parameters]
        return f"{self.function}({', '.join(given)})"


def _keyword(name: str) -> str:
    """A parameter's name in the text: a word of Python's gets a low line behind it."""
    return f"{name}_" if iskeyword(name) else name


def text_of(steps: Sequence[Step]) -> str:
    """The function as text."""
    *inner, last = steps
    return "; ".join([*(f"{each.target} = {each}" for each in inner), str(last)])


@dataclass(frozen=True)
class Arithmetic:
    """A step of two operands: with numpy, on the chip, and the bounds of its results."""

    meaning: Callable[[Any, Any], Any]
    recipe: Callable[[Operand, Operand], Expr]
    bounds: Callable[[Bounds, Bounds], Bounds] = lambda a, b: (-inf, inf)


def _comparison(ufunc: np.ufunc, recipe: Callable[[Operand, Operand], Expr]) -> Arithmetic:
    return Arithmetic(ufunc, recipe, lambda a, b: (0.0, 1.0))


def _swapped(function: Callable[[Expr, Operand], Expr]) -> Callable[[Operand, Operand], Expr]:
    """A function of two operands in any order, whose first one must be no number."""

    def recipe(a: Operand, b: Operand) -> Expr:
        first, second = (a, b) if isinstance(a, Expr) else (b, a)
        assert isinstance(first, Expr)
        return function(first, second)

    return recipe


def _product(a: Bounds, b: Bounds) -> Bounds:
    found = [0.0 if isnan(p) else p for p in (x * y for x in a for y in b)]
    return min(found), max(found)


def _operator(function: Callable[[Any, Any], Any]) -> Callable[[Operand, Operand], Expr]:
    return function


ARITHMETIC: dict[str, Arithmetic] = {
    "add": Arithmetic(
        np.add, _operator(lambda a, b: a + b), lambda a, b: (a[0] + b[0], a[1] + b[1])
    ),
    "sub": Arithmetic(
        np.subtract, _operator(lambda a, b: a - b), lambda a, b: (a[0] - b[1], a[1] - b[0])
    ),
    "mul": Arithmetic(np.multiply, _operator(lambda a, b: a * b), _product),
    "div": Arithmetic(np.divide, _operator(lambda a, b: a / b)),
    "max": Arithmetic(
        np.maximum, _swapped(maximum), lambda a, b: (max(a[0], b[0]), max(a[1], b[1]))
    ),
    "min": Arithmetic(
        np.minimum, _swapped(minimum), lambda a, b: (min(a[0], b[0]), min(a[1], b[1]))
    ),
    "gt": _comparison(np.greater, greater),
    "lt": _comparison(np.less, lambda a, b: greater(b, a)),
    "ge": _comparison(np.greater_equal, lambda a, b: 1.0 - greater(b, a)),
    "le": _comparison(np.less_equal, lambda a, b: 1.0 - greater(a, b)),
    "eq": _comparison(np.equal, _swapped(equal)),
    "ne": _comparison(np.not_equal, lambda a, b: 1.0 - _swapped(equal)(a, b)),
}
"""The steps of two operands."""


def _settings(step: Step) -> dict[str, float]:
    return {**FUNCTIONS[step.function].defaults, **dict(step.parameters)}


def _follow(
    steps: Sequence[Step],
    first: Any,
    of_row: Callable[[Function, Any, Parameters], Any],
    of_two: Callable[[Arithmetic, Any, Any], Any],
    number: Callable[[float], Any],
) -> Any:
    """The value of the last step, each computed by ``of_row`` or ``of_two``."""
    values: dict[str, Any] = {X: first}
    result = first
    for step in steps:
        operands = [values[e] if isinstance(e, str) else number(e) for e in step.operands]
        if step.function in ARITHMETIC:
            result = of_two(ARITHMETIC[step.function], *operands)
        else:
            result = of_row(FUNCTIONS[step.function], operands[0], _settings(step))
        values[step.target] = result
    return result


def composed(steps: Sequence[Step]) -> Function:
    """The function. Its ``error`` is that of a few steps."""
    text = text_of(steps)

    def meaning(x: Array, p: Parameters) -> Array:
        found = _follow(
            steps, x, lambda row, y, q: row.of(y, q),
            lambda each, a, b: each.meaning(a, b).astype(x.dtype), x.dtype.type,
        )  # fmt: skip
        return np.broadcast_to(found, x.shape)

    def recipe(x: Expr, p: Parameters) -> Expr:
        return _follow(
            steps, x, lambda row, y, q: row.recipe(y, q), lambda each, a, b: each.recipe(a, b),
            float,
        )  # fmt: skip

    low, high = _follow(
        steps, (-inf, inf), lambda row, y, q: row.range_of(q),
        lambda each, a, b: each.bounds(a, b), lambda value: (value, value),
    )  # fmt: skip
    low, high = (-inf if isnan(low) else low), (inf if isnan(high) else high)
    return Function(text, text, "", meaning, recipe, error=1e-5, low=low, high=high)


@lru_cache(maxsize=1024)
def parsed(text: str) -> Function:
    """The function that a text describes. Raises :class:`ComposedError`."""
    return composed(steps_of(text))


def steps_of(text: str) -> list[Step]:
    """The steps of a text. Raises :class:`ComposedError`."""
    try:
        body = ast.parse(text.replace(";", "\n").replace("\n ", "\n")).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ComposedError(f'"{text}" is no function') from None
    if not 1 <= len(body) <= MOST_STEPS:
        raise ComposedError(f"a composed function has 1 to {MOST_STEPS} steps, not {len(body)}")
    names, steps = {X}, list[Step]()
    for i, node in enumerate(body):
        step = _step(node, i == len(body) - 1, names)
        names.add(step.target)
        steps.append(step)
    return steps


def _step(node: ast.stmt, is_last: bool, names: set[str]) -> Step:
    if is_last and isinstance(node, ast.Expr):
        target, call = "", node.value
    elif not is_last and isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        target, call = node.targets[0].id, node.value
    else:
        raise ComposedError("all steps but the last one have the form name = function(...)")
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ComposedError(f'"{ast.unparse(node)}" is no call of a function')
    name = call.func.id
    operands = tuple(_operand(each, names) for each in call.args)
    keywords = [(each.arg or "", each.value) for each in call.keywords]
    parameters = tuple((name.rstrip("_"), _number(value)) for name, value in keywords)
    two = name in ARITHMETIC
    if not two and name not in FUNCTIONS:
        raise ComposedError(f'"{name}" is no function')
    known: Mapping[str, float] = {} if two else FUNCTIONS[name].defaults
    good = len(operands) == (2 if two else 1) and any(isinstance(e, str) for e in operands)
    if not good or any(each not in known for each, _ in parameters):
        raise ComposedError(f'"{ast.unparse(node)}": wrong operands or parameters')
    return Step(target, name, operands, parameters)


def _operand(node: ast.expr, names: set[str]) -> str | float:
    if isinstance(node, ast.Name):
        if node.id not in names:
            raise ComposedError(f'"{node.id}" is not there yet')
        return node.id
    return _number(node)


def _number(node: ast.expr) -> float:
    try:
        value = float(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError):
        value = inf
    if not isfinite(value):
        raise ComposedError(f'"{ast.unparse(node)}" is no finite number')
    return value
