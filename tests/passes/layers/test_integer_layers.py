"""INT8 layers mean what the float layer means: multipliers, shifts and tables fit the scales.

Each layer's quant ops run on integers; the result is compared with the float layer on the real
values of its inputs, in steps of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.utils.exceptions import PassFailedException

from dialects.execute import execute
from dialects.functions import FUNCTIONS
from dialects.quant import types
from dialects.quant.compute import EltwiseOp
from dialects.quant.reference import evaluate
from dialects.quant.scale import ScaleAttr
from dialects.ufw import ops as ufw
from dialects.ufw.layer import SI8, UI8, LayerOp, Top
from dialects.ufw.reference import evaluate as evaluate_layer
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.module.functions import main_function
from tests.dialects.quant.ops_by_hand import Array, noise
from tests.functions import COARSE

SHAPE = (2, 3, 5, 4)
SCALES = st.integers(5, 90).map(lambda thousandths: float(np.float32(thousandths / 1000)))
SEEDS = st.integers(0, 99)
Make = Callable[[Sequence[SSAValue], Top], LayerOp]


def converted(scales: Sequence[float], make: Make, top: Top, unsigned: bool = False) -> ModuleOp:
    """A network of one layer on INT8 inputs of these scales, at the quant level."""
    block = Block(arg_types=[types.int_tensor(SHAPE, scale, unsigned) for scale in scales])
    return converted_block(block, make(block.args, top))


def converted_block(block: Block, layer: LayerOp) -> ModuleOp:
    """The same of a block's arguments and a layer that reads them."""
    block.add_ops([layer, ReturnOp(layer.results[0])])
    kinds = FunctionType.from_lists([a.type for a in block.args], [layer.results[0].type])
    function = FuncOp("main", kinds, Region(block))
    inputs = [StringAttr(f"x{i}") for i in range(len(block.args))]
    function.attributes["input_names"] = ArrayAttr(inputs)
    function.attributes["output_names"] = ArrayAttr([StringAttr(layer.top_names[0])])
    module = ModuleOp([function])
    module.verify()
    ConvertUfwToQuantPass().apply(Context(), module)
    module.verify()
    return module


def both(
    scales: Sequence[float], make: Make, scale: float, seed: int, unsigned: bool = False
) -> tuple[Array, Array, ModuleOp]:
    """(the integers, what they should be in steps of ``scale``, the converted module)."""
    top = Top("y", UI8 if unsigned else SI8, ScaleAttr.of(scale))
    module = converted(scales, make, top)
    xs = [noise(seed + i, np.int8, SHAPE) for i in range(len(scales))]
    (y,) = execute(main_function(module), xs, evaluate)
    real = [x.astype(np.float32) * np.float32(s) for x, s in zip(xs, scales, strict=True)]
    layer = make(Block(arg_types=[types.float_tensor(SHAPE)] * len(xs)).args, Top("y"))
    (expected,) = evaluate_layer(layer, real)
    assert y.dtype == (np.uint8 if unsigned else np.int8)
    return y, expected.astype(np.float64) / scale, module


def error(y: Array, expected: Array) -> Array:
    """How far integers are off, in steps, where the expected value is in their range."""
    info = np.iinfo(y.dtype)
    return np.abs(y - np.clip(expected, info.min, info.max))


def eltwise(kind: str, **settings: Any) -> Make:
    operation = ufw.EltwiseOperation(kind)
    return lambda xs, top: ufw.EltwiseOp(xs, top, operation, **settings)


def ops_of(module: ModuleOp) -> list[Operation]:
    return list(main_function(module).body.block.ops)[:-1]


@given(st.lists(st.tuples(SCALES, st.floats(-1.5, 1.5)), min_size=2, max_size=3), SEEDS)
@settings(max_examples=50)
def test_a_sum(terms: list[tuple[float, float]], seed: int) -> None:
    scales = [scale for scale, _ in terms]
    make = eltwise("sum", coefficients=[factor for _, factor in terms])
    y, expected, module = both(scales, make, sum(scales), seed)
    (op,) = ops_of(module)
    assert isinstance(op, EltwiseOp)
    step = 0.5 * 2.0**-op.shift.value.data
    assert np.all(error(y, expected) <= 0.5 + len(terms) * 128 * step + 1e-3)


@given(SCALES, SCALES, SEEDS, st.floats(0.3, 3))
@settings(max_examples=50)
def test_a_product(a: float, b: float, seed: int, stretch: float) -> None:
    y, expected, _ = both([a, b], eltwise("product"), a * b * 128 * stretch, seed)
    assert np.all(error(y, expected) <= 2 + np.abs(expected) / 100)


@pytest.mark.parametrize("signs", [(0, 0, 1), (0, 1, 0), (1, 1, 0), (1, 1, 1), (0, 0, 0)])
def test_pairs_of_a_product_of_three_fit(signs: tuple[int, ...]) -> None:
    """The largest numbers of every sign: no pair saturates on the way."""
    block = Block(
        arg_types=[types.int_tensor(SHAPE, 1 / (255 if u else 127), bool(u)) for u in signs]
    )
    top = Top("y", UI8 if all(signs) else SI8, ScaleAttr.of(1 / (255 if all(signs) else 127)))
    module = converted_block(block, eltwise("product")(block.args, top))
    xs = [np.full(SHAPE, 255 if u else 127, np.uint8 if u else np.int8) for u in signs]
    (y,) = execute(main_function(module), xs, evaluate)
    assert y.min() >= (250 if all(signs) else 124)


@given(st.lists(SCALES, min_size=2, max_size=3), SEEDS, st.floats(0.2, 5), st.booleans())
@settings(max_examples=50)
def test_a_maximum(scales: list[float], seed: int, stretch: float, unsigned: bool) -> None:
    y, expected, _ = both(scales, eltwise("max"), max(scales) * stretch, seed, unsigned)
    assert np.all(error(y, expected) <= 0.5 + np.abs(expected) / 127)


@given(st.lists(SCALES, min_size=2, max_size=2), SEEDS, st.floats(0.2, 5))
@settings(max_examples=30)
def test_a_concatenation(scales: list[float], seed: int, stretch: float) -> None:
    y, expected, _ = both(
        scales, lambda xs, top: ufw.ConcatOp(xs, top, axis=1), scales[0] * stretch, seed
    )
    assert np.all(error(y, expected) <= 0.5 + np.abs(expected) / 127)


def test_equal_scales_are_not_requantised() -> None:
    y, expected, module = both([0.05, 0.05], lambda xs, top: ufw.ConcatOp(xs, top, axis=1), 0.05, 1)
    assert [op.name for op in ops_of(module)] == ["quant.concat"]
    np.testing.assert_allclose(y, expected, atol=1e-4)


@given(SCALES, SEEDS, st.floats(1, 8), st.floats(1, 8), st.booleans())
@settings(max_examples=30)
def test_a_slope_above_1(
    scale: float, seed: int, slope: float, stretch: float, negative: bool
) -> None:
    """The result has a scale of its own, so that it does not saturate."""
    slope = -slope if negative else slope
    y, expected, _ = both(
        [scale], lambda xs, top: ufw.ReLUOp(xs[0], top, slope), scale * stretch, seed
    )
    assert np.all(error(y, expected) <= 1 + np.abs(expected) / 100)


@given(SCALES, SEEDS, st.floats(0.3, 4))
@settings(max_examples=30)
def test_relu(scale: float, seed: int, stretch: float) -> None:
    y, expected, _ = both(
        [scale], lambda xs, top: ufw.ReLUOp(xs[0], top), scale * stretch, seed, unsigned=True
    )
    assert np.all(error(y, expected) <= 0.5 + np.abs(expected) / 127)


@given(SCALES, SEEDS, st.floats(-1.5, 1.5).filter(lambda slope: abs(slope) > 1e-3))
@settings(max_examples=30)
def test_a_leaky_relu(scale: float, seed: int, slope: float) -> None:
    y, expected, _ = both([scale], lambda xs, top: ufw.ReLUOp(xs[0], top, slope), scale, seed)
    assert np.all(error(y, expected) <= 0.5 + np.abs(expected) / 127 + 1e-3)


PRODUCTS = ("power", "clip", "abs", "threshold", "elu", "selu")
"""Functions that can be a product where their table is equal to one."""


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_a_function_that_is_a_product_needs_no_table(factor: float) -> None:
    def make(xs: Sequence[SSAValue], top: Top) -> LayerOp:
        return ufw.PointwiseOp(xs[0], top, "power", scale=factor)

    y, expected, module = both([0.02], make, 0.02 * factor, 3)
    assert [op.name for op in ops_of(module)] == ["quant.requantize"]
    np.testing.assert_allclose(y, expected, atol=1e-3)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(scale=SCALES, seed=SEEDS, unsigned=st.booleans())
@settings(max_examples=6)
def test_a_function_is_its_table(name: str, scale: float, seed: int, unsigned: bool) -> None:
    row = FUNCTIONS[name]
    parameters = row.samples[-1]
    y, expected, module = both(
        [scale],
        lambda xs, top: ufw.PointwiseOp(xs[0], top, name, **parameters),
        1 / 127 if row.is_bounded({**row.defaults, **parameters}) else 4 / 127,
        seed,
        unsigned,
    )
    (made,) = ops_of(module)
    assert made.name == "quant.lookup" or name in PRODUCTS
    defined = ~np.isnan(expected)
    right = error(y[defined], expected[defined]) <= 0.5 + 1e-3
    assert right.mean() >= (0.95 if name in COARSE else 1.0)


def test_scales_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(PassFailedException, match="thresholds of its blobs do not fit each other"):
        converted([1.0, 0.001], eltwise("max"), Top("y", SI8, ScaleAttr.of(0.001)))


def test_a_mean_whose_scale_does_not_fit_is_an_error() -> None:
    def mean(xs: Sequence[SSAValue], top: Top) -> LayerOp:
        return ufw.PoolingOp(xs[0], top, ufw.PoolingKind.AVERAGE, (2, 2))

    converted([1.0], mean, Top("y", SI8, ScaleAttr.of(1 / 200)))
    with pytest.raises(PassFailedException, match="thresholds of its blobs do not fit each other"):
        converted([1.0], mean, Top("y", SI8, ScaleAttr.of(1 / 300)))


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_multipliers_of_a_sum_are_int8_whatever_the_ratio_of_the_scales(factor: float) -> None:
    for ratio in (0.01, 0.3, 0.99, 1.0, 2.0, 50.0, 126.0):
        make = eltwise("sum", coefficients=[factor, -factor])
        module = converted([ratio, ratio / 3], make, Top("y", SI8, ScaleAttr.of(1.0)))
        (op,) = ops_of(module)
        assert isinstance(op, EltwiseOp)
        assert op.multipliers is not None
        multipliers = [int(m) for m in op.multipliers.get_values()]
        assert max(map(abs, multipliers)) <= 127
        got = multipliers[0] / 2.0**op.shift.value.data
        assert got == pytest.approx(ratio * factor, rel=1 / 127, abs=1 / 256)
