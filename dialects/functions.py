"""All pointwise functions, one row each: ``y = f(x)`` with some numbers as parameters.

A new function is a new row, and its row in docs/prototxt.md. The importers, both dialects, the
chip's commands, the tables of 256 bytes for 8-bit data, calibration and the tests read it from
here. Denormal numbers count as 0 on the chip.
"""

from __future__ import annotations

import math
from math import exp as number_exp
from math import inf, sqrt
from math import log as number_log

import numpy as np

from dialects.expression import (
    ERFC_END,
    Expr,
    absolute,
    any_power,
    clip,
    erfc_power,
    exp,
    greater,
    log,
    maximum,
    minimum,
    nearest,
    rounded,
    rsqrt,
    select,
    sine,
    whole_power,
)
from dialects.function import Array, Function, OnnxOperator, Parameters

LARGEST_WHOLE_POWER = 64
"""Powers up to this are products, half a number more takes a root; others are 2^(power log2(x))."""
TINY = float(np.finfo(np.float32).tiny)
SMALL_POWER = 0.2
"""TINY to a smaller power is no longer as good as 0."""
SIXTH = float(np.float32(0.16666667))
ERFC = np.vectorize(math.erfc, otypes=[np.float64])


def _erfc(x: Array) -> Array:
    return ERFC(x.astype(np.float64))


# -- powers ----------------------------------------------------------------------------------------


def _power(x: Expr, p: Parameters) -> Expr:
    base, power = x * p["scale"] + p["shift"], p["power"]
    size = abs(power)
    if power == 0:
        return base * 0.0 + 1.0
    if size > LARGEST_WHOLE_POWER and power.is_integer():
        found = any_power(maximum(absolute(base), TINY), power)
        return select(base, 0.0, found, -found) if power % 2 else found
    if size > LARGEST_WHOLE_POWER or not (2 * power).is_integer():
        found = any_power(maximum(base, TINY), power)
        return found * greater(base, TINY) if 0 < power < SMALL_POWER else found
    whole = int(size)
    if whole < size:
        base = maximum(base, 0.0)
    if power == -0.5:
        return rsqrt(base)
    if whole == size:
        found = whole_power(base, whole)
    else:
        found = whole_power(base, whole) * _root(base) if whole else _root(base)
    return 1.0 / found if power < 0 else found


def _root(x: Expr) -> Expr:
    return x * rsqrt(x)


def _power_range(p: Parameters) -> tuple[float, float]:
    """An odd power alone can be negative."""
    return (-inf, inf) if p["power"] % 2 == 1 else (0.0, inf)


def _exponential(x: Array, p: Parameters) -> Array:
    factor, outer = _exp_factors(p)
    return np.exp(x * factor) * outer


def _exp_factors(p: Parameters) -> tuple[float, float]:
    """``base ^ (shift + scale x) = outer e^(factor x)``; -1 stands for the base e."""
    rate = 1.0 if p["base"] == -1 else number_log(p["base"])
    return rate * p["scale"], number_exp(min(rate * p["shift"], 700.0))


def _log_factor(p: Parameters) -> float:
    return 1.0 if p["base"] == -1 else 1 / number_log(p["base"])


def _base_fault(p: Parameters) -> str:
    good = p["base"] == -1 or (p["base"] > 0 and p["base"] != 1)
    return "" if good else f"base {p['base']:g}; it is -1 for e, or positive and not 1"


# -- gates -----------------------------------------------------------------------------------------


def _gelu(x: Array, p: Parameters) -> Array:
    if p["tanh"]:
        inner = (x + 0.044715 * (x * x * x)) * sqrt(2 / math.pi)
        return x / (1 + np.exp(-2 * inner))
    return (0.5 * x.astype(np.float64) * _erfc(-x / sqrt(2))).astype(x.dtype)


def _gelu_recipe(x: Expr, p: Parameters) -> Expr:
    """By erf: ``max(x, 0) - |x| erfc(|x| / sqrt(2)) / 2``, which keeps what is small."""
    if p["tanh"]:
        cube = x * x * x * 0.044715
        return x / (1.0 + exp((x + cube) * (-2 * sqrt(2 / math.pi))))
    size = minimum(absolute(x), ERFC_END * sqrt(2))
    return maximum(x, 0.0) - size * 0.5 * erfc_power(size * sqrt(0.5))


def _erf_recipe(x: Expr, p: Parameters) -> Expr:
    rest = erfc_power(minimum(absolute(x), ERFC_END))
    return select(x, 0.0, 1.0 - rest, rest - 1.0)


def _mish_recipe(x: Expr, p: Parameters) -> Expr:
    """``tanh(log(1 + e^x)) = n / (n + 2)`` with ``n = e^x (e^x + 2)``; from 20 on it is 1."""
    power = exp(minimum(x, 20.0))
    n = power * (power + 2.0)
    return x * (n / (n + 2.0))


def _softplus_recipe(x: Expr, p: Parameters) -> Expr:
    beta = p["beta"]
    z = x if beta == 1 else x * beta
    found = maximum(z, 0.0) + log(1.0 + exp(absolute(z) * -1.0))
    return found if beta == 1 else found * (1 / beta)


def _whole(x: Expr, direction: int) -> Expr:
    """The nearest whole number, or one less (more) where that is above (below) x."""
    near = nearest(x)
    moved = near - greater(near, x) if direction < 0 else near + greater(x, near)
    return rounded(x, moved)

LARGEST = float(np.finfo(np.float32).max)
"""The largest float32."""

ROWS = (
    Function(
        "sigmoid",
        "1 / (1 + exp(-x))",
        layer="Sigmoid",
        meaning=lambda x, p: 1 / (1 + np.exp(-x)),
        recipe=lambda x, p: 1.0 / (1.0 + exp(-x)),
        low=0.0,
        high=1.0,
        onnx=(OnnxOperator("Sigmoid"),),
    ),
    Function(
        "tanh",
        "tanh(x)",
        layer="TanH",
        aliases=("Tanh",),
        meaning=lambda x, p: np.tanh(x),
        recipe=lambda x, p: 1.0 + -2.0 / (1.0 + exp(2.0 * x)),
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
        error=1e-5,
        message="power_param",
        defaults={"power": 1.0, "scale": 1.0, "shift": 0.0},
        bounds=_power_range,
        onnx=(OnnxOperator("Neg", {"scale": -1.0}),),
        samples=(
            *({"power": power, "scale": 0.5, "shift": 0.25} for power in (1.0, 2.0, 3.0, 7.0)),
            {"power": 0.0},
        ),
    ),
    Function(
        "elu",
        "x > 0 ? x : alpha * (exp(x) - 1)",
        layer="ELU",
        aliases=("Elu",),
        meaning=lambda x, p: np.where(x > 0, x, p["alpha"] * np.expm1(np.minimum(x, 0))),
        recipe=lambda x, p: maximum(x, 0.0) + (exp(minimum(x, 0.0)) - 1.0) * p["alpha"],
        message="elu_param",
        defaults={"alpha": 1.0},
        onnx=(OnnxOperator("Elu", attributes={"alpha": 1.0}),),
        samples=({"alpha": 0.5}, {"alpha": 2.0}),
    ),
    Function(
        "selu",
        "lambda * (x > 0 ? x : alpha * (exp(x) - 1))",
        layer="SELU",
        aliases=("Selu",),
        meaning=lambda x, p: p["lambda"]
        * np.where(x > 0, x, p["alpha"] * np.expm1(np.minimum(x, 0))),
        recipe=lambda x, p: maximum(x, 0.0) * p["lambda"]
        + (exp(minimum(x, 0.0)) - 1.0) * (p["alpha"] * p["lambda"]),
        message="selu_param",
        defaults={"alpha": float(np.float32(1.67326324)), "lambda": float(np.float32(1.05070098))},
        onnx=(
            OnnxOperator(
                "Selu",
                attributes={"alpha": 1.67326324, "lambda": 1.05070098},
                names={"lambda": "gamma"},
            ),
        ),
    ),
    Function(
        "clip",
        "min(max(x, min), max)",
        layer="Clip",
        meaning=lambda x, p: np.minimum(np.maximum(x, p["min"]), p["max"]),
        recipe=lambda x, p: clip(x, p["min"], p["max"]),
        message="clip_param",
        defaults={"min": -LARGEST, "max": LARGEST},
        fault=lambda p: "min is above max" if p["min"] > p["max"] else "",
        bounds=lambda p: (p["min"], p["max"]),
        samples=({"min": -0.75, "max": 1.5}, {"min": 0.0, "max": 6.0}),
    ),
    Function(
        "abs",
        "abs(x)",
        layer="AbsVal",
        aliases=("Abs",),
        meaning=lambda x, p: np.abs(x),
        recipe=lambda x, p: absolute(x),
        low=0.0,
        onnx=(OnnxOperator("Abs"),),
    ),
    Function(
        "exp",
        "base ^ (shift + scale * x), base -1 is e",
        layer="Exp",
        meaning=_exponential,
        recipe=lambda x, p: exp(x * _exp_factors(p)[0]) * _exp_factors(p)[1],
        error=1e-5,
        message="exp_param",
        defaults={"base": -1.0, "scale": 1.0, "shift": 0.0},
        fault=_base_fault,
        low=0.0,
        onnx=(OnnxOperator("Exp"),),
        samples=({}, {"base": 2.0, "scale": 0.5, "shift": -1.0}),
    ),
    Function(
        "log",
        "log of shift + scale * x to the base; -1 is e",
        layer="Log",
        meaning=lambda x, p: np.log(x * p["scale"] + p["shift"]) * _log_factor(p),
        recipe=lambda x, p: log(maximum(x * p["scale"] + p["shift"], TINY)) * _log_factor(p),
        message="log_param",
        defaults={"base": -1.0, "scale": 1.0, "shift": 0.0},
        fault=_base_fault,
        onnx=(OnnxOperator("Log"),),
        samples=({"shift": 12.0}, {"base": 10.0, "scale": 0.5, "shift": 9.0}),
    ),
    Function(
        "sqrt",
        "sqrt(x)",
        layer="Sqrt",
        meaning=lambda x, p: np.sqrt(x),
        recipe=lambda x, p: _root(maximum(x, 0.0)),
        low=0.0,
        onnx=(OnnxOperator("Sqrt"),),
    ),
    Function(
        "rsqrt",
        "1 / sqrt(x)",
        layer="Rsqrt",
        meaning=lambda x, p: 1 / np.sqrt(x),
        recipe=lambda x, p: rsqrt(maximum(x, 0.0)),
        low=0.0,
    ),
    Function(
        "square",
        "x * x",
        layer="Square",
        meaning=lambda x, p: x * x,
        recipe=lambda x, p: x * x,
        low=0.0,
    ),
    Function(
        "reciprocal",
        "1 / x",
        layer="Reciprocal",
        meaning=lambda x, p: 1 / x,
        recipe=lambda x, p: 1.0 / x,
        onnx=(OnnxOperator("Reciprocal"),),
    ),
    Function(
        "floor",
        "the largest whole number not above x",
        layer="Floor",
        meaning=lambda x, p: np.floor(x),
        recipe=lambda x, p: _whole(x, -1),
        onnx=(OnnxOperator("Floor"),),
    ),
    Function(
        "ceil",
        "the least whole number not below x",
        layer="Ceil",
        meaning=lambda x, p: np.ceil(x),
        recipe=lambda x, p: _whole(x, 1),
        onnx=(OnnxOperator("Ceil"),),
    ),
    Function(
        "round",
        "the nearest whole number, half to even",
        layer="Round",
        meaning=lambda x, p: np.rint(x),
        recipe=lambda x, p: rounded(x, nearest(x)),
        onnx=(OnnxOperator("Round"),),
    ),
    Function(
        "sin",
        "sin(x), x from -25000 to 25000",
        layer="Sin",
        meaning=lambda x, p: np.sin(x),
        recipe=lambda x, p: sine(x),
        low=-1.0,
        high=1.0,
        onnx=(OnnxOperator("Sin"),),
    ),
    Function(
        "cos",
        "cos(x), x from -25000 to 25000",
        layer="Cos",
        meaning=lambda x, p: np.cos(x),
        recipe=lambda x, p: sine(x, 0.5),
        low=-1.0,
        high=1.0,
        onnx=(OnnxOperator("Cos"),),
    ),
    Function(
        "swish",
        "x / (1 + exp(-beta * x))",
        layer="Swish",
        aliases=("SiLU", "Silu"),
        meaning=lambda x, p: x / (1 + np.exp(x * -p["beta"])),
        recipe=lambda x, p: x / (1.0 + exp(x * -p["beta"])),
        message="swish_param",
        defaults={"beta": 1.0},
        samples=({"beta": 1.0}, {"beta": 1.5}),
        onnx=(OnnxOperator("Swish", attributes={"beta": 1.0}, names={"beta": "alpha"}),),
    ),
    Function(
        "mish",
        "x * tanh(log(1 + exp(x)))",
        layer="Mish",
        meaning=lambda x, p: x * np.tanh(np.logaddexp(x, 0, dtype=x.dtype)),
        recipe=_mish_recipe,
        onnx=(OnnxOperator("Mish"),),
    ),
    Function(
        "hsigmoid",
        "min(max(alpha * x + beta, 0), 1)",
        layer="HSigmoid",
        aliases=("Hsigmoid", "HardSigmoid"),
        meaning=lambda x, p: np.clip(x * p["alpha"] + p["beta"], 0, 1),
        recipe=lambda x, p: clip(x * p["alpha"] + p["beta"], 0.0, 1.0),
        message="hsigmoid_param",
        defaults={"alpha": SIXTH, "beta": 0.5},
        low=0.0,
        high=1.0,
        onnx=(OnnxOperator("HardSigmoid", attributes={"alpha": 0.2, "beta": 0.5}),),
    ),
    Function(
        "hswish",
        "x * min(max(alpha * x + beta, 0), 1)",
        layer="HSwish",
        aliases=("Hswish", "HardSwish"),
        meaning=lambda x, p: x * np.clip(x * p["alpha"] + p["beta"], 0, 1),
        recipe=lambda x, p: x * clip(x * p["alpha"] + p["beta"], 0.0, 1.0),
        message="hswish_param",
        defaults={"alpha": SIXTH, "beta": 0.5},
        onnx=(OnnxOperator("HardSwish"),),
    ),
    Function(
        "softplus",
        "log(1 + exp(beta * x)) / beta",
        layer="Softplus",
        aliases=("SoftPlus", "BNLL"),
        meaning=lambda x, p: np.logaddexp(x * p["beta"], 0, dtype=x.dtype) / p["beta"],
        recipe=_softplus_recipe,
        message="softplus_param",
        defaults={"beta": 1.0},
        fault=lambda p: "" if p["beta"] else "beta is 0",
        low=0.0,
        onnx=(OnnxOperator("Softplus"),),
        samples=({"beta": 1.0}, {"beta": 0.5}),
    ),
    Function(
        "softsign",
        "x / (1 + abs(x))",
        layer="Softsign",
        aliases=("SoftSign",),
        meaning=lambda x, p: x / (1 + np.abs(x)),
        recipe=lambda x, p: x / (1.0 + absolute(x)),
        low=-1.0,
        high=1.0,
        onnx=(OnnxOperator("Softsign"),),
    ),
    Function(
        "gelu",
        "x * (1 + erf(x / sqrt(2))) / 2, or its form by tanh",
        layer="GELU",
        aliases=("Gelu",),
        meaning=_gelu,
        recipe=_gelu_recipe,
        message="gelu_param",
        defaults={"tanh": 0.0},
        samples=({"tanh": 0.0}, {"tanh": 1.0}),
    ),
    Function(
        "erf",
        "erf(x)",
        layer="Erf",
        meaning=lambda x, p: (1 - _erfc(x)).astype(x.dtype),
        recipe=_erf_recipe,
        low=-1.0,
        high=1.0,
        onnx=(OnnxOperator("Erf"),),
    ),
    Function(
        "threshold",
        "x > threshold ? 1 : 0",
        layer="Threshold",
        meaning=lambda x, p: (x > p["threshold"]).astype(x.dtype),
        recipe=lambda x, p: greater(x, p["threshold"]),
        message="threshold_param",
        defaults={"threshold": 0.0},
        low=0.0,
        high=1.0,
        samples=({"threshold": 0.0}, {"threshold": 0.7}),
    ),
)

FUNCTIONS: dict[str, Function] = {row.name: row for row in ROWS}
"""The functions by name."""
