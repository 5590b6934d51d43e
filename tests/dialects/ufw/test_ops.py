"""Every ufw op: text round trip, and one clear sentence for what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects import test as xdsl_test
from xdsl.dialects.builtin import Builtin, ModuleOp, TensorType, f32
from xdsl.dialects.func import Func
from xdsl.ir import Attribute, Dialect, SSAValue
from xdsl.parser import Parser
from xdsl.utils.exceptions import VerifyException

from dialects.constant import CONSTANT, Array
from dialects.quant.eltwise import BinaryKind
from dialects.quant.scale import ScaleAttr
from dialects.ufw import ops
from dialects.ufw.layer import SI8, UI8, LayerOp, shape_of, tensor_type
from dialects.ufw.ops import Top
from tests.dialects.ufw.moves import MOVES
from tests.dialects.ufw.sums import SUMS

Build = Callable[[SSAValue], LayerOp]


def floats(*shape: int) -> Array:
    return np.ones(shape, np.float32)


def bytes8(*shape: int) -> Array:
    return np.ones(shape, np.int8)


def words(*shape: int) -> Array:
    return np.ones(shape, np.int16)


def value(*shape: int, element: Attribute = f32, scale: float | None = None) -> SSAValue:
    encoding = [ScaleAttr.of(scale)] if scale is not None else []
    kind = TensorType(element, shape, *encoding)
    return xdsl_test.TestOp(result_types=[kind]).results[0]


T, S8 = Top("t"), Top("t", SI8, ScaleAttr.of(0.5))
CONCAT = [Top("t"), Top("u")]

SOUND: dict[str, tuple[Build, list[tuple[int, ...]]]] = {
    "convolution": (
        lambda x: ops.ConvolutionOp(
            x,
            T,
            floats(8, 2, 3, 1),
            floats(8),
            stride=(2, 1),
            pad=(1, 0),
            dilation=(2, 1),
            group=2,
            use_winograd=False,
        ),
        [(2, 8, 2, 7)],
    ),
    "convolution int8": (
        lambda x: ops.ConvolutionOp(x, S8, bytes8(8, 4, 1, 1), words(8), right_shift=7),
        [(2, 8, 5, 7)],
    ),
    "inner_product": (
        lambda x: ops.InnerProductOp(x, T, floats(3, 35), floats(3), axis=2),
        [(2, 4, 3)],
    ),
    "binary": (lambda x: ops.BinaryOp([x, x], T, BinaryKind.DIV), [(2, 4, 5, 7)]),
    "cast": (lambda x: ops.CastOp(x, T, True), [(2, 4, 5, 7)]),
    "select": (lambda x: ops.SelectOp([x, x, x], T), [(2, 4, 5, 7)]),
    "parameter": (lambda x: ops.ParameterOp(T, floats(3, 1)), [(3, 1)]),
    "log_softmax": (lambda x: ops.LogSoftmaxOp(x, T, axis=2), [(2, 4, 5, 7)]),
    "batch_norm": (
        lambda x: ops.BatchNormOp(x, T, mean=floats(4), variance=floats(4), eps=1e-5),
        [(2, 4, 5, 7)],
    ),
    "batch_norm int8": (
        lambda x: ops.BatchNormOp(x, S8, weight=bytes8(4), bias=words(4), right_shift=0),
        [(2, 4, 5, 7)],
    ),
    "scale": (lambda x: ops.ScaleOp(x, T, weight=floats(4, 5), bias=floats(4, 5)), [(2, 4, 5, 7)]),
    "scale scalar": (lambda x: ops.ScaleOp(x, T, weight=floats(), axis=0), [(2, 4, 5, 7)]),
    "scale of two": (lambda x: ops.ScaleOp(x, T, x, axis=0), [(2, 4, 5, 7)]),
    "bias": (lambda x: ops.BiasOp(x, T, bias=floats(7), axis=3), [(2, 4, 5, 7)]),
    "bias int8": (
        lambda x: ops.BiasOp(x, S8, weight=bytes8(4), bias=words(4), right_shift=3),
        [(2, 4, 5, 7)],
    ),
    "prelu": (lambda x: ops.PReLUOp(x, T, floats(4)), [(2, 4, 5, 7)]),
    "prelu shared": (lambda x: ops.PReLUOp(x, S8, bytes8(1), right_shift=6), [(2, 4, 5, 7)]),
    "relu": (lambda x: ops.ReLUOp(x, T, 0.1), [(2, 4, 5, 7)]),
    "sigmoid": (lambda x: ops.PointwiseOp(x, T, "sigmoid"), [(2, 4, 5, 7)]),
    "dropout": (lambda x: ops.DropoutOp(x, T), [(2, 4, 5, 7)]),
    "power": (lambda x: ops.PointwiseOp(x, T, "power", power=2, scale=0.3), [(2, 4, 5, 7)]),
    "softmax": (lambda x: ops.SoftmaxOp(x, T, 3), [(2, 4, 5, 7)]),
    "pooling": (
        lambda x: ops.PoolingOp(
            x, T, ops.PoolingKind.AVERAGE, (3, 2), stride=(2, 3), pad=(1, 0), ceil_mode=False
        ),
        [(2, 4, 3, 2)],
    ),
    "eltwise": (
        lambda x: ops.EltwiseOp([x, x], T, ops.EltwiseOperation.SUM, [1, -0.5]),
        [(2, 4, 5, 7)],
    ),
    "concat": (lambda x: ops.ConcatOp([x, x, x], T, 2), [(2, 4, 15, 7)]),
    "slice": (lambda x: ops.SliceOp(x, CONCAT, [1, 3]), [(2, 1, 5, 7), (2, 3, 5, 7)]),
    "split": (lambda x: ops.SplitOp(x, CONCAT), [(2, 4, 5, 7)] * 2),
    "flatten": (lambda x: ops.FlattenOp(x, T, axis=1, end_axis=2), [(2, 20, 7)]),
    "reshape": (lambda x: ops.ReshapeOp(x, T, (7, 40)), [(7, 40)]),
    "permute": (lambda x: ops.PermuteOp(x, T, (3, 0, 2, 1)), [(7, 2, 5, 4)]),
    "silence": (lambda x: ops.SilenceOp([x, x]), []),
    "convolution 3d": (
        lambda x: ops.ConvolutionNdOp(
            x, T, floats(6, 2, 2, 3, 1), floats(6), stride=(1, 2, 1), pad=(1, 1, 0),
            dilation=(2, 1, 1), group=2,
        ),
        [(2, 6, 3, 3, 7)],
    ),
    "convolution 3d int8": (
        lambda x: ops.ConvolutionNdOp(
            x, S8, bytes8(8, 4, 1, 1, 1), words(8), stride=(1, 1, 1), pad=(0, 0, 0),
            dilation=(1, 1, 1), right_shift=7,
        ),
        [(2, 8, 3, 5, 7)],
    ),
    "pooling 3d": (
        lambda x: ops.PoolingNdOp(
            x, T, ops.PoolingKind.AVERAGE, (2, 3, 2), stride=(1, 2, 3), pad=(1, 1, 0),
            ceil_mode=False,
        ),
        [(2, 4, 4, 3, 2)],
    ),
    "convolution 1d": (
        lambda x: ops.ConvolutionNdOp(
            x, T, floats(6, 2, 3), stride=[2], pad=[1], dilation=[1], group=2
        ),
        [(2, 6, 18)],
    ),
    "pooling 1d": (
        lambda x: ops.PoolingNdOp(x, T, ops.PoolingKind.MAX, [3], stride=[2], pad=[0]),
        [(2, 4, 17)],
    ),
    "spp": (lambda x: ops.SPPOp(x, T, ops.PoolingKind.AVERAGE, 2), [(2, 20)]),
    "spp max": (lambda x: ops.SPPOp(x, T, ops.PoolingKind.MAX, 2), [(2, 20)]),
    **SUMS,
    **MOVES,
}
"""A layer of every op, and the shapes of its results."""
SHAPE = (2, 4, 5, 7)
SHAPES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys([name for name in SOUND if "3d" in name], (2, 4, 3, 5, 7)),
    **dict.fromkeys([name for name in SOUND if "1d" in name], (2, 4, 35)),
}
"""The operands' shape where it is not SHAPE."""


def operand(name: str) -> SSAValue:
    """What the layer reads."""
    return value(*SHAPES.get(name, SHAPE))


@pytest.mark.parametrize("name", SOUND)
def test_shape_and_text(name: str) -> None:
    build, shapes = SOUND[name]
    x = operand(name)
    op = build(x)
    op.verify()
    assert [shape_of(result) for result in op.results] == shapes
    assert len(op.top_names) == len(shapes)
    owner = x.owner
    assert isinstance(owner, xdsl_test.TestOp)
    module = ModuleOp([owner, op])
    assert str(reparsed(module)) == str(module)


def reparsed(module: ModuleOp) -> ModuleOp:
    context = Context()
    for dialect in (
        Builtin,
        Func,
        xdsl_test.Test,
        ops.UFW,
        CONSTANT,
        Dialect("quant", [], [ScaleAttr]),
    ):
        context.load_dialect(dialect)
    found = Parser(context, str(module)).parse_module()
    found.verify()
    return found


def test_every_op_is_tried() -> None:
    assert {type(SOUND[name][0](operand(name))) for name in SOUND} == set(ops.ALL_OPS)


AVERAGE = ops.PoolingKind.AVERAGE
WRONG: list[tuple[str, Build]] = [
    ("require 6 input channels, the input has 4",
     lambda x: ops.ConvolutionOp(x, T, floats(8, 6, 1, 1))),
    ("group 3 does not divide 4", lambda x: ops.ConvolutionOp(x, T, floats(6, 2, 1, 1), group=3)),
    ("kernel of extent 9 is larger", lambda x: ops.ConvolutionOp(x, T, floats(8, 4, 9, 1))),
    ("stride 0x1 is smaller than 1",
     lambda x: ops.ConvolutionOp(x, T, floats(8, 4, 1, 1), stride=(0, 1))),
    ("stride requires 2 numbers, has 3",
     lambda x: ops.ConvolutionOp(x, T, floats(8, 4, 1, 1), stride=(1, 1, 1))),
    ("pad -1x-1x0x0 is smaller than 0",
     lambda x: ops.ConvolutionOp(x, T, floats(8, 4, 1, 1), pad=(-1, 0))),
    ("bias is 7, 8 value(s) are required",
     lambda x: ops.ConvolutionOp(x, T, floats(8, 4, 1, 1), floats(7))),
    ("weights and bias are int8 and None but there is no right_shift",
     lambda x: ops.ConvolutionOp(x, S8, bytes8(8, 4, 1, 1))),
    ("weights are int8 and bias int16, not int8 and float32",
     lambda x: ops.ConvolutionOp(x, S8, bytes8(8, 4, 1, 1), floats(8), right_shift=1)),
    ("right_shift 32 is not in 0..31",
     lambda x: ops.ConvolutionOp(x, S8, bytes8(8, 4, 1, 1), right_shift=32)),
    ("require 36 inputs, a tensor of 2x4x5x7 has 35",
     lambda x: ops.InnerProductOp(x, T, floats(3, 36), axis=2)),
    ("axis 4 is outside a tensor of 4 dimensions",
     lambda x: ops.InnerProductOp(x, T, floats(3, 36), axis=4)),
    ("has mean, variance and eps, or weight, bias and right_shift",
     lambda x: ops.BatchNormOp(x, T, mean=floats(4), eps=1.0)),
    ("has 5 values, the input has 4 channels",
     lambda x: ops.BatchNormOp(x, T, mean=floats(5), variance=floats(5), eps=1.0)),
    ("an operand of 5 does not fit a tensor of 2x4x5x7 at axis 1",
     lambda x: ops.ScaleOp(x, T, weight=floats(5))),
    ("either a weight or a second input", lambda x: ops.ScaleOp(x, T)),
    ("either a bias or a second input", lambda x: ops.BiasOp(x, T)),
    ("only an INT8 bias layer has a weight",
     lambda x: ops.BiasOp(x, T, weight=floats(4), bias=floats(4))),
    ("slope has 3 values, the input has 4", lambda x: ops.PReLUOp(x, T, floats(3))),
    ("axis 4 is outside", lambda x: ops.SoftmaxOp(x, T, 4)),
    ("pad 2 must be smaller than its kernel 2",
     lambda x: ops.PoolingOp(x, T, AVERAGE, (2, 3), pad=(2, 2))),
    ("larger than the padded input (5 + 0 + 0)",
     lambda x: ops.PoolingOp(x, T, AVERAGE, (6, 3))),
    ("begins outside the input of size 7",
     lambda x: ops.PoolingOp(x, T, AVERAGE, (1, 1), stride=(1, 4))),
    ("only a sum has coefficients",
     lambda x: ops.EltwiseOp([x, x], T, ops.EltwiseOperation.MAX, [1, 1])),
    ("1 coefficient(s) for 2 inputs",
     lambda x: ops.EltwiseOp([x, x], T, ops.EltwiseOperation.SUM, [1])),
    ("at least 2 inputs, has 1", lambda x: ops.EltwiseOp([x], T, ops.EltwiseOperation.SUM)),
    ("differ in shape: 2x4x5x7 and 2x4",
     lambda x: ops.EltwiseOp([x, value(2, 4)], T, ops.EltwiseOperation.SUM)),
    ("differ outside axis 1: 2x4x5x7 and 3x4x5x7",
     lambda x: ops.ConcatOp([x, value(3, 4, 5, 7)], T)),
    ("slices of [1, 2] do not cut 4 along axis 1", lambda x: ops.SliceOp(x, CONCAT, [1, 2])),
    ("axis 2 comes after its end axis 1",
     lambda x: ops.FlattenOp(x, T, axis=2, end_axis=1)),
    ("2x4x5x7 cannot be reshaped to 7x41", lambda x: ops.ReshapeOp(x, T, (7, 41))),
    ("[0, 1, 2, 2] is no order", lambda x: ops.PermuteOp(x, T, (0, 1, 2, 2))),
    ("more than 2^31 elements",
     lambda x: ops.ConcatOp([value(65536, 32768)] * 2, T)),
    ("without a #quant.scale holds f32", lambda x: ops.ReLUOp(x, Top("t", UI8))),
    ("the sign of a scale is for f32",
     lambda x: ops.ReLUOp(x, Top("t", SI8, ScaleAttr.of(1.0, unsigned=True)))),
    ("a scale must be positive", lambda x: ops.ReLUOp(x, Top("t", SI8, ScaleAttr.of(-1.0)))),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "build"), WRONG)
def test_wrong_layers(sentence: str, build: Build) -> None:
    with pytest.raises(VerifyException) as caught:
        build(value(2, 4, 5, 7)).verify()
    assert sentence in str(caught.value)


def test_a_result_of_another_shape_is_refused() -> None:
    op = ops.ReLUOp(value(2, 4), T)
    other = ops.ReLUOp.create(
        operands=op.operands, result_types=[TensorType(f32, [2, 5])], properties=op.properties
    )
    with pytest.raises(VerifyException, match="the result is 2x5, its inputs give 2x4"):
        other.verify()


def test_every_result_has_a_name() -> None:
    op = ops.SplitOp(value(2, 4), CONCAT)
    op.tops = ops.ReLUOp(value(2), T).tops
    with pytest.raises(VerifyException, match=r"1 top name\(s\) for 2 result\(s\)"):
        op.verify()


def test_a_top_like_a_value() -> None:
    x = value(1, 2, element=UI8, scale=0.25)
    op = ops.DropoutOp(x, Top.like(x, "y"))
    op.verify()
    assert tensor_type(op.top) == x.type
    assert op.top_names == ["y"]


def test_defaults_are_not_printed() -> None:
    op = ops.ConvolutionOp(value(1, 4, 5, 7), T, floats(8, 4, 1, 1))
    assert "stride" not in str(op)
    assert list(op.stride.get_values()) == [1, 1]
