"""Every pointwise function on the NPU model, over its whole range."""

from __future__ import annotations

import numpy as np
import pytest
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.function import Array, Function, Parameters
from dialects.function_properties import function_properties
from dialects.functions import FUNCTIONS, ROWS
from dialects.quant import types
from dialects.quant.compute import PointwiseFunctionOp
from passes.verify_layers import VerifyLayersPass

LOWERING = (
    "keep-reference,convert-quant-to-tile{whole=true},tile-allocate-ddr,"
    "tile-allocate-local,convert-tile-to-npu,npu-assign-waits,verify-layers"
)
NEAR = 1e-6
RELATIVE = 1e-5
LARGEST = 1e38
"""Larger results may be cut off."""
SPECIAL = [
    0.0, -0.0, 1e-45, -1e-45, 1e-39, 1.2e-38, 1e-20, -1e-20, 1e4, -1e4, 0.5, 1.5, 2.5, -0.5, -2.5,
    0.49999997, 2.0**22, 2.0**22 - 0.5, -(2.0**22) + 0.5, 4e6, -4e6, 16.0, 88.0, -88.0, 5.7, -5.7,
]  # fmt: skip
ANGLES = 25000.0


def numbers() -> Array:
    """Numbers of all sizes up to 1e4 and of both signs, many near 0, and special ones."""
    rng = np.random.default_rng(7)
    sizes = 10.0 ** rng.uniform(-6, 4, 3000) * rng.choice([-1, 1], 3000)
    even = np.concatenate([np.linspace(-12, 12, 4001), np.linspace(-100, 100, 2001)])
    found = np.concatenate([sizes, even, rng.uniform(-1e4, 1e4, 3000), SPECIAL])
    return np.resize(found, (1, 64, 3, 700)).astype(np.float32)


def on_the_chip(function: str, parameters: Parameters, x: Array) -> Array:
    """The function of a float32 tensor as the commands compute it."""
    block = Block(arg_types=[types.float_tensor(x.shape)])
    op = PointwiseFunctionOp.build(
        operands=[block.args[0]],
        result_types=[types.float_tensor(x.shape)],
        properties={"tops": ArrayAttr([StringAttr("y")])}
        | function_properties(function, parameters),
    )
    block.add_ops([op, ReturnOp(op.y)])
    main = FuncOp("main", ([block.args[0].type], [op.y.type]), Region(block))
    main.attributes["input_names"] = ArrayAttr([StringAttr("x")])
    main.attributes["output_names"] = ArrayAttr([StringAttr("y")])
    module = ModuleOp([main])
    passes = parse_pipeline(LOWERING)
    verify = passes[-1]
    assert isinstance(verify, VerifyLayersPass)
    verify.findings.fatal = False
    verify.data.arrays["x"] = x
    run_pipeline(module, passes, lambda item: None)
    return verify.findings.outputs["y"]


def off(row: Function, parameters: Parameters, x: Array) -> Array:
    """By how many times each result is further off than it may be; 0 where it is undefined. The
    chip takes denormal numbers as 0."""
    found = on_the_chip(row.name, parameters, x).astype(np.float64)
    flushed = np.where(np.abs(x) < np.finfo(np.float32).tiny, np.float32(0), x)
    return np.minimum(*(_error(row, parameters, each, found) for each in (x, flushed)))


def _error(row: Function, parameters: Parameters, x: Array, found: Array) -> Array:
    expected = row.of(x, {**row.defaults, **parameters}).astype(np.float64)
    with np.errstate(all="ignore"):
        error = np.abs(found - expected) / np.maximum(NEAR, RELATIVE * np.abs(expected))
    return np.where(np.abs(expected) < LARGEST, error, 0.0)


POWERS = [
    0.5, -0.5, -1.0, 1.5, -2.5, 0.1, 0.3333, -0.7, 2.2, 5.5, 9.75, 64.0, 20.3, -31.9, 100.0, 65.0,
    -0.001,
]  # fmt: skip
CASES = [
    *((row, parameters) for row in ROWS for parameters in row.samples),
    *((FUNCTIONS["power"], {"power": power}) for power in POWERS),
    (FUNCTIONS["power"], {"power": -1.5, "scale": 0.2, "shift": 4.0}),
]


@pytest.mark.parametrize(
    ("row", "parameters"), CASES, ids=[f"{row.name} {dict(each)}" for row, each in CASES]
)
def test_the_whole_range(row: Function, parameters: Parameters) -> None:
    x = numbers()
    if row.name in ("sin", "cos"):
        x = np.clip(x, -ANGLES, ANGLES)
        x[0, 0] = np.linspace(-ANGLES, ANGLES, x[0, 0].size).reshape(x[0, 0].shape)
    error = off(row, parameters, x)
    worst = np.unravel_index(error.argmax(), error.shape)
    assert error[worst] <= 1, f"{error[worst]:.3g} times at {x[worst]!r}"
