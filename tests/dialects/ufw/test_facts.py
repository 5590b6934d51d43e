"""What every ufw op states about itself is so, on numbers; and nothing is left unsaid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region
from xdsl.irdl import irdl_op_definition
from xdsl.rewriter import Rewriter

from dialects.constant import Array, ConstantAttr
from dialects.functions import ROWS, Parameters
from dialects.quant import types
from dialects.quant.base import QuantOp
from dialects.quant.eltwise import BinaryKind
from dialects.ufw import facts, ops
from dialects.ufw.convolution import WeightedLayerOp
from dialects.ufw.layer import LayerOp, UnaryLayerOp, shape_of
from dialects.ufw.reference import evaluate
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.layers import LAYERS
from passes.module.functions import main_function
from tests.dialects.ufw.sums import FLOAT_SUMS
from tests.dialects.ufw.test_ops import SHAPE, SHAPES, SOUND, Build, T, floats, operand, value

AVERAGE = ops.PoolingKind.AVERAGE
OTHERS: dict[str, Build] = {
    "relu plain": lambda x: ops.ReLUOp(x, T),
    "relu6": lambda x: ops.ReLUOp(x, T, upper=0.5),
    "leaky, steep": lambda x: ops.ReLUOp(x, T, -3.0),
    "prelu within": lambda x: ops.PReLUOp(x, T, np.array([0.5, -1, 0, 0.25], np.float32)),
    "prelu steep": lambda x: ops.PReLUOp(x, T, np.array([0.5, -4, 0, 0.25], np.float32)),
    "max pooling": lambda x: ops.PoolingOp(x, T, ops.PoolingKind.MAX, (3, 2), pad=(1, 1)),
    "mean of a map": lambda x: ops.PoolingOp(x, T, AVERAGE, (5, 7)),
    "sum": lambda x: ops.EltwiseOp([x, x], T, ops.EltwiseOperation.SUM, [1, 0.5]),
    "difference": lambda x: ops.EltwiseOp([x, x, x], T, ops.EltwiseOperation.SUM, [1, 2, -0.5]),
    "product": lambda x: ops.EltwiseOp([x, x], T, ops.EltwiseOperation.PRODUCT),
    "maximum": lambda x: ops.EltwiseOp([x, x], T, ops.EltwiseOperation.MAX),
    "minimum": lambda x: ops.EltwiseOp([x, x], T, ops.EltwiseOperation.MIN),
    **{
        f"binary {kind}": lambda x, kind=kind: ops.BinaryOp([x, x], T, kind)
        for kind in BinaryKind if kind is not BinaryKind.POW
    },
    "binary with a constant": lambda x: ops.BinaryOp([x], T, BinaryKind.SUB, floats(7), True),
    "scale of two, bias": lambda x: ops.ScaleOp(x, T, x, bias=-2 * floats(*SHAPE), axis=0),
    "bias of two": lambda x: ops.BiasOp(x, T, x, axis=0),
    "prelu of one slope": lambda x: ops.PReLUOp(x, T, 0.5 * floats(1)),
    "two groups": lambda x: ops.ConvolutionOp(x, T, floats(6, 2, 1, 1), group=2),
    "inner product": lambda x: ops.InnerProductOp(x, T, floats(3, 140), floats(3)),
    "flatten all": lambda x: ops.FlattenOp(x, T, axis=0, end_axis=3),
    "flatten channels": lambda x: ops.FlattenOp(x, T, axis=1, end_axis=3),
}


STAY_FLOAT = {
    ops.SoftmaxOp, ops.LogSoftmaxOp, ops.SelectOp, ops.ParameterOp, *FLOAT_SUMS,
    ops.MaxPoolMaskOp, ops.UnpoolOp, ops.PriorBoxOp, ops.CastOp,
}  # fmt: skip
"""Layers whose sums, or places in a map, 8 bits cannot hold, constants, and those that are rare."""


def function(name: str, parameters: Parameters) -> Build:
    return lambda x: ops.PointwiseOp(x, T, name, **parameters)


CASES: dict[str, Build] = {
    **{n: build for n, (build, _) in SOUND.items() if "int8" not in n and n != "prelu shared"},
    **OTHERS,
    **{f"{row.name} {dict(p)}": function(row.name, p) for row in ROWS for p in row.samples},
}
"""Float layers of every op, with the settings that their facts depend on."""


def op_of(name: str) -> LayerOp:
    return CASES[name](operand(name))


def numbers(op: LayerOp, seed: int = 0) -> list[Array]:
    """An array an operand."""
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 2, shape_of(x)).astype(np.float32) for x in op.operands]


def largest(arrays: Sequence[Array]) -> float:
    return max((float(np.abs(array).max()) for array in arrays), default=0.0)


ALL = pytest.mark.parametrize("name", CASES)


@ALL
def test_a_layer_that_keeps_its_scale_stays_within_its_operand(name: str) -> None:
    op = op_of(name)
    for nonnegative in (False, True):
        xs = [np.abs(x) if nonnegative else x for x in numbers(op)]
        if op.keeps_scale([nonnegative] * len(xs)):
            assert largest(evaluate(op, xs)) <= largest(xs[:1]) * (1 + 1e-6)
    if op.has_trait(facts.FollowsOperand):
        assert len(xs) == 1
        assert largest(evaluate(op, xs)) <= largest(xs) * (1 + 1e-6)


@ALL
def test_what_cannot_be_negative_is_not(name: str) -> None:
    op = op_of(name)
    for nonnegative in (False, True):
        xs = [np.abs(x) if nonnegative else x for x in numbers(op)]
        if op.cannot_be_negative([nonnegative] * len(xs)):
            assert not any((y < 0).any() for y in evaluate(op, xs))


@ALL
def test_bounds_and_limits(name: str) -> None:
    op = op_of(name)
    xs = [x * 1e4 for x in numbers(op)]
    ys = evaluate(op, xs)
    if op.is_bounded:
        bounds = op.row.range_of(op.settings) if isinstance(op, ops.PointwiseOp) else (0, 1)
        assert largest(ys) <= max(map(abs, bounds))
    assert not any((y > op.upper_limit).any() for y in ys)
    if op.is_relu:
        limit = np.float32(op.upper_limit)
        np.testing.assert_array_equal(ys[0], np.clip(xs[0], 0, limit))
    if op.averages_map:
        assert largest(ys) < largest(xs) / 3


@ALL
def test_moved_numbers_are_those_of_the_operand(name: str) -> None:
    op = op_of(name)
    if not op.has_trait(facts.MovesData):
        return
    xs = numbers(op)
    ys = evaluate(op, xs)
    wanted = set(xs[0].ravel().tolist())
    assert {number for y in ys for number in y.ravel().tolist()} == wanted
    assert op.keeps_scale([False])


@ALL
def test_joined_numbers_are_those_of_all_operands(name: str) -> None:
    op = op_of(name)
    if op.has_trait(facts.JoinsOperands):
        xs = numbers(op)
        (y,) = evaluate(op, xs)
        wanted = [number for x in xs for number in x.ravel().tolist()]
        assert sorted(y.ravel().tolist()) == sorted(wanted)


@ALL
def test_probabilities_sum_to_one(name: str) -> None:
    op = op_of(name)
    if op.has_trait(facts.GivesProbabilities):
        (y,) = evaluate(op, numbers(op))
        assert any(np.allclose(y.sum(axis=axis), 1) for axis in range(y.ndim))


@ALL
def test_slopes(name: str) -> None:
    op = op_of(name)
    if op.slopes is None:
        assert op.largest_slope == 1
        return
    x = -np.abs(numbers(op)[0]) / 100
    slopes = op.slopes if op.slopes.size == 1 else op.slopes.reshape(-1, 1, 1)
    np.testing.assert_allclose(evaluate(op, [x])[0], x * slopes, rtol=1e-6)
    assert op.largest_slope == max(1, np.abs(op.slopes).max())


@ALL
def test_sums_and_products(name: str) -> None:
    op = op_of(name)
    xs = numbers(op)
    ys = evaluate(op, xs)
    if op.sum_factors is not None:
        wanted = sum(f * x for f, x in zip(op.sum_factors, xs, strict=True))
        np.testing.assert_allclose(ys[0], wanted, rtol=1e-5, atol=1e-5)
    if op.operand_factors is not None:
        assert len(op.operand_factors) == len(xs)
        bound = sum(abs(f) * largest([x]) for f, x in zip(op.operand_factors, xs, strict=True))
        assert largest(ys) <= bound * (1 + 1e-6)
    if op.is_product and op.has_integers:
        np.testing.assert_allclose(ys[0], np.multiply.reduce(xs), rtol=1e-6)
    assert not (op.is_product and op.operand_factors)


@ALL
def test_factors_a_channel_pass_where_the_layer_says_so(name: str) -> None:
    op = op_of(name)
    if not op.keeps_channel_factors(*SHAPE[:2]):
        return
    factors = np.array([0.5, 2, 1, 4], np.float32)
    (x,) = numbers(op)
    apart = factors.reshape(-1, *[1] * (x.ndim - 2))
    plain, scaled = evaluate(op, [x]), evaluate(op, [x * apart])
    for y, z in zip(plain, scaled, strict=True):
        apart = np.repeat(factors, y.shape[1] // 4).reshape(-1, *[1] * (y.ndim - 2))
        np.testing.assert_allclose(z, y * apart, rtol=1e-6)


@ALL
def test_real_coefficients_become_integers(name: str) -> None:
    op = op_of(name)
    if (found := op.real_coefficients()) is None:
        with pytest.raises(NotImplementedError):
            LayerOp.set_integers(op, np.zeros(1, np.int8), None, 0)
        return
    weight, bias = found
    assert np.broadcast_to(op.meet_weights(np.ones(SHAPE[1])), weight.shape).min() == 1
    assert op.has_integers
    has_bias = bias is not None or isinstance(op, (ops.BatchNormOp, ops.BiasOp))
    integers = np.ones(weight.shape, np.int8), np.ones(weight.shape[:1], np.int16)
    shaped = integers[1] if bias is None else np.ones(bias.shape, np.int16)
    op.set_integers(integers[0], shaped if has_bias else None, 3)
    op.verify_layer()
    assert op.properties["right_shift"] is not None
    blobs = [each for each in op.properties.values() if isinstance(each, ConstantAttr)]
    assert {blob.data.dtype for blob in blobs} <= {"int8", "int16"}


@ALL
def test_weights_of_groups(name: str) -> None:
    op = op_of(name)
    if isinstance(op, WeightedLayerOp):
        outputs, inputs = op.weight.shape[:2]
        assert outputs % op.groups == 0
        if op.is_along_channels:
            assert shape_of(op.top)[1] == outputs
            assert inputs * op.groups % SHAPE[1] == 0


@ALL
def test_a_factor_and_an_addend_a_channel(name: str) -> None:
    op = op_of(name)
    found = op.channel_affine(SHAPE[1])
    if found is not None:
        factor, addend = (array.reshape(-1, 1, 1) for array in found)
        (x,) = numbers(op)
        np.testing.assert_allclose(evaluate(op, [x])[0], factor * x + addend, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("op", ops.ALL_OPS, ids=lambda op: op.name)
def test_every_op_is_complete(op: type[LayerOp]) -> None:
    assert op.__doc__
    assert op.meaning is not LayerOp.meaning
    assert op in LAYERS
    assert any(type(op_of(name)) is op for name in CASES)
    stays_float = op.has_integers is LayerOp.has_integers
    assert stays_float == (op in STAY_FLOAT), "say why an op has no INT8 form"


def test_every_trait_is_stated_by_some_op() -> None:
    traits = [
        each for each in vars(facts).values()
        if isinstance(each, type) and issubclass(each, facts.OpTrait) and each is not facts.OpTrait
    ]  # fmt: skip
    assert len(traits) == 7
    assert all(any(op.has_trait(each) for op in ops.ALL_OPS) for each in traits)


class SilentOp(UnaryLayerOp):
    """States nothing."""

    name = "ufw.silent"


def test_an_op_without_a_meaning_is_refused() -> None:
    op = irdl_op_definition(SilentOp).build(
        operands=[value(2, 3)], result_types=[T.type((2, 3))], properties={"tops": ArrayAttr([])}
    )
    with pytest.raises(facts.EvaluationError, match=r"ufw.silent has no meaning in float32"):
        evaluate(op, [np.zeros((2, 3), np.float32)])


def converted(op: LayerOp, kind: TensorType[Attribute]) -> list[Operation]:
    """The quant ops of a layer whose operands have the type, and its results that of its scale;
    indices stay indices."""
    block = Block(arg_types=[kind] * len(op.operands))
    for index, arg in enumerate(block.args):
        op.operands[index] = arg
    for result in (each for each in op.results if not types.is_index(each)):
        Rewriter.replace_value_with_new_type(result, types.like(kind, shape_of(result)))
    block.add_ops([op, ReturnOp(*op.results)])
    kinds = [x.type for x in block.args], [y.type for y in op.results]
    func = FuncOp("main", kinds, Region(block))
    func.attributes["input_names"] = ArrayAttr([StringAttr(f"x{i}") for i in range(len(kinds[0]))])
    func.attributes["output_names"] = op.tops
    module = ModuleOp([func])
    module.verify()
    ConvertUfwToQuantPass().apply(Context(), module)
    module.verify()
    return [each for each in main_function(module).body.block.ops if isinstance(each, QuantOp)]


@ALL
def test_every_layer_is_lowered_to_floats(name: str) -> None:
    op = op_of(name)
    found = converted(op, types.float_tensor(SHAPES.get(name, SHAPE)))
    made = [y for each in found for y in each.results]
    assert all(types.is_float(y) or types.is_index(y) for y in made)


@ALL
def test_every_layer_that_has_integers_is_lowered_to_them(name: str) -> None:
    op = op_of(name)
    if (coefficients := op.real_coefficients()) is not None:
        weight, bias = (np.ones(each.shape) if each is not None else None for each in coefficients)
        assert weight is not None
        own = bias is not None or isinstance(op, (ops.BatchNormOp, ops.BiasOp))
        shape = weight.shape if bias is None else bias.shape
        op.set_integers(weight.astype(np.int8), np.ones(shape, np.int16) if own else None, 3)
    if op.has_integers:
        found = converted(op, types.int_tensor(SHAPES.get(name, SHAPE), 0.05, False))
        assert not any(types.is_float(y) for each in found for y in each.results)
