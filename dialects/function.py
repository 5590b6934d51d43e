"""What a pointwise function is: ``y = f(x)`` with some numbers as parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialects.expression import Expr

Array = NDArray[Any]
Parameters = Mapping[str, float]


@dataclass(frozen=True)
class OnnxOperator:
    """An ONNX operator that is the function with the parameters ``fixed``; ``attributes`` are
    parameters that the node can give, with ONNX's defaults, and ``names`` what ONNX calls those
    that it calls otherwise."""

    name: str
    fixed: Parameters = field(default_factory=dict[str, float])
    attributes: Parameters = field(default_factory=dict[str, float])
    names: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Function:
    """One function.

    ``layer`` is its type in a prototxt, ``aliases`` are other spellings of it, ``message`` is the
    field of LayerParameter with its parameters ("" where it has none); ``defaults`` are the
    parameters' names and default values, both as in that message, and ``fault`` says what is wrong
    with parameters ("" where nothing is).

    ``meaning`` computes it with numpy, from float32 or float64 in that type; ``recipe`` is the same
    for the chip, and differs by at most ``error * max(1, |y|)`` with parameters as in ``samples``,
    which are for tests and random networks. Both take all parameters. All results lie from ``low``
    to ``high``, or within ``bounds`` where these depend on the parameters.
    """

    name: str
    formula: str
    layer: str
    meaning: Callable[[Array, Parameters], Array]
    recipe: Callable[[Expr, Parameters], Expr]
    error: float = 1e-6
    message: str = ""
    defaults: Parameters = field(default_factory=dict[str, float])
    low: float = -inf
    high: float = inf
    onnx: tuple[OnnxOperator, ...] = ()
    fault: Callable[[Parameters], str] | None = None
    bounds: Callable[[Parameters], tuple[float, float]] | None = None
    aliases: tuple[str, ...] = ()
    samples: tuple[Parameters, ...] = ({},)

    def range_of(self, parameters: Parameters) -> tuple[float, float]:
        """The least and the largest result that there can be; infinity where there is none."""
        return (self.low, self.high) if self.bounds is None else self.bounds(parameters)

    def is_bounded(self, parameters: Parameters) -> bool:
        """Whether no result is beyond some number, however large the operand is."""
        return all(isfinite(bound) for bound in self.range_of(parameters))

    @property
    def documentation(self) -> str:
        """The function's row in the table of docs/prototxt.md."""
        fields = ", ".join(f"{name} = {value:g}" for name, value in self.defaults.items())
        settings = f"`{self.message}`: {fields}" if fields else ""
        operators = ", ".join(each.name for each in self.onnx)
        layers = ", ".join((self.layer, *self.aliases))
        return f"| {layers} | {settings} | `{self.formula}` | {self.error:g} | {operators} |"

    def of(self, x: Array, parameters: Parameters) -> Array:
        """The results, in the type of x: float32 or float64."""
        with np.errstate(all="ignore"):
            return self.meaning(x, parameters)
