"""All pointwise functions, one row each: ``y = f(x)`` with some numbers as parameters.

A new function is a new row, and its row in docs/prototxt.md. The importers, both dialects, the
chip's commands, the tables of 256 bytes for 8-bit data, calibration and the tests read it from
here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialects.expression import Expr, exp, log, maximum, minimum, whole_power

Array = NDArray[Any]
Parameters = Mapping[str, float]
LARGEST_WHOLE_POWER = 64
"""Powers up to this are products; others are e^(power * ln(base))."""


@dataclass(frozen=True)
class OnnxOperator:
    """An ONNX operator that is the function with the parameters ``fixed``; ``attributes`` are
    parameters that the node can give, with ONNX's defaults."""

    name: str
    fixed: Parameters = field(default_factory=dict[str, float])
    attributes: Parameters = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Function:
    """One function.

    ``layer`` is its type in a prototxt, ``message`` the field of LayerParameter with its parameters
    ("" where it has none); ``defaults`` are the parameters' names and default values, both as in
    that message. ``meaning`` computes it with numpy, from float32 or float64 in that type;
    ``recipe`` is the same for the chip, and differs by at most ``error * max(1, |y|)`` with
    parameters as in ``samples``, which are for tests and random networks. Both take all
    parameters. All results lie from ``low`` to ``high``.
    """

    name: str
    formula: str
    layer: str
    meaning: Callable[[Array, Parameters], Array]
    recipe: Callable[[Expr, Parameters], Expr]
    error: float
    message: str = ""
    defaults: Parameters = field(default_factory=dict[str, float])
    low: float = -inf
    high: float = inf
    onnx: tuple[OnnxOperator, ...] = ()
    samples: tuple[Parameters, ...] = ({},)

    @property
    def is_bounded(self) -> bool:
        """Whether no result is beyond some number, however large the operand is."""
        return isfinite(self.low) and isfinite(self.high)

    @property
    def documentation(self) -> str:
        """The function's row in the table of docs/prototxt.md."""
        fields = ", ".join(f"{name} = {value:g}" for name, value in self.defaults.items())
        settings = f"`{self.message}`: {fields}" if fields else ""
        operators = ", ".join(each.name for each in self.onnx)
        return f"| {self.layer} | {settings} | `{self.formula}` | {self.error:g} | {operators} |"

    def of(self, x: Array, parameters: Parameters) -> Array:
        """The results, in the type of x: float32 or float64."""
        with np.errstate(all="ignore"):
            return self.meaning(x, parameters)


def _power(x: Expr, p: Parameters) -> Expr:
    base, power = x * p["scale"] + p["shift"], p["power"]
    if power == 0:
        return base * 0.0 + 1.0
    if not power.is_integer() or abs(power) > LARGEST_WHOLE_POWER:
        return exp(log(maximum(base, float(np.finfo(np.float32).tiny))) * power)
    found = whole_power(base, int(abs(power)))
    return 1.0 / found if power < 0 else found


ROWS = (
    Function(
        "sigmoid",
        "1 / (1 + exp(-x))",
        layer="Sigmoid",
        meaning=lambda x, p: 1 / (1 + np.exp(-x)),
        recipe=lambda x, p: 1.0 / (1.0 + exp(-x)),
        error=1e-6,
        low=0.0,
        high=1.0,
        onnx=(OnnxOperator("Sigmoid"),),
    ),
    Function(
        "tanh",
        "tanh(x)",
        layer="TanH",
        meaning=lambda x, p: np.tanh(x),
        recipe=lambda x, p: 1.0 + -2.0 / (1.0 + exp(2.0 * x)),
        error=1e-6,
        low=-1.0,
        high=1.0,
        onnx=(OnnxOperator("Tanh"),),
    ),
    Function(
        "power",
        "(shift + scale * x) ^ power",
        layer="Power",
        meaning=lambda x, p: np.power(x * p["scale"] + p["shift"], p["power"]),
        recipe=_power,
        error=1e-4,
        message="power_param",
        defaults={"power": 1.0, "scale": 1.0, "shift": 0.0},
        onnx=(
            OnnxOperator("Neg", {"scale": -1.0}),
            OnnxOperator("Reciprocal", {"power": -1.0}),
            OnnxOperator("Sqrt", {"power": 0.5}),
        ),
        samples=tuple({"power": power, "scale": 0.5, "shift": 0.25} for power in (1.0, 2.0, 3.0)),
    ),
    Function(
        "elu",
        "x > 0 ? x : alpha * (exp(x) - 1)",
        layer="ELU",
        meaning=lambda x, p: np.where(x > 0, x, p["alpha"] * np.expm1(np.minimum(x, 0))),
        recipe=lambda x, p: maximum(x, 0.0) + (exp(minimum(x, 0.0)) - 1.0) * p["alpha"],
        error=1e-5,
        message="elu_param",
        defaults={"alpha": 1.0},
        onnx=(OnnxOperator("Elu", attributes={"alpha": 1.0}),),
        samples=({"alpha": 0.5}, {"alpha": 2.0}),
    ),
)

FUNCTIONS: dict[str, Function] = {row.name: row for row in ROWS}
"""The functions by name."""
