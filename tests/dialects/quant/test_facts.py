"""Every op of the dialect, and the facts that passes ask it for."""

from __future__ import annotations

import numpy as np
import pytest
from xdsl.dialects.builtin import ArrayAttr, StringAttr, UnrealizedConversionCastOp
from xdsl.ir import Block
from xdsl.irdl import irdl_op_definition
from xdsl.parser import Parser
from xdsl.utils.exceptions import ParseError

from bmnetu.pipeline import new_context
from dialects.quant import QUANT, types
from dialects.quant.base import QuantOp, Strided, UnaryOp
from dialects.quant.reference import evaluate
from dialects.quant.windows import RowWindow
from passes.cost.layers import layer_cycles
from passes.cost.rows import cut_window
from passes.kernels import KERNELS

OPS = [op for op in QUANT.operations if issubclass(op, QuantOp)]
BY_ROWS = {
    "quant.conv", "quant.max_pool", "quant.average_pool", "quant.eltwise", "quant.requantize",
    "quant.prelu", "quant.lookup", "quant.quantize", "quant.dequantize", "quant.pointwise",
    "quant.softmax", "quant.concat", "quant.slice", "quant.binary", "quant.select",
    "quant.reduce", "quant.take", "quant.interpolate", "quant.interleave",
}  # fmt: skip
IMAGE_BY_IMAGE = BY_ROWS | {
    "quant.matmul", "quant.reshape", "quant.transpose", "quant.broadcast",
    "quant.pool_index",
    "quant.unpool",
    "quant.conv_add",
}  # fmt: skip
STRIDED = {"quant.conv", "quant.conv_add", "quant.max_pool", "quant.average_pool",
           "quant.split_strips", "quant.join_strips", "quant.quantize_strips", "quant.eltwise",
           "quant.prelu", "quant.requantize", "quant.lookup", "quant.pointwise"}  # fmt: skip


def overrides(op: type[QuantOp], name: str) -> bool:
    """Whether an op states a fact, or has the default."""
    return getattr(op, name) is not getattr(QuantOp, name)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_op_has_a_meaning_and_a_kernel(op: type[QuantOp]) -> None:
    own = op.result_of is not UnaryOp.result_of if issubclass(op, UnaryOp) else False
    assert own or (overrides(op, "meaning") and not issubclass(op, UnaryOp))
    assert op in KERNELS


def test_the_facts_that_are_stated() -> None:
    assert {op.name for op in OPS if overrides(op, "rows_needed")} == BY_ROWS
    assert {op.name for op in OPS if overrides(op, "is_image_by_image")} == IMAGE_BY_IMAGE
    assert {op.name for op in OPS if op.has_trait(Strided)} == STRIDED


@irdl_op_definition
class UnknownOp(UnaryOp):
    """An op that states nothing."""

    name = "quant.unknown"


def test_an_op_that_states_nothing_has_safe_facts() -> None:
    kind = types.float_tensor((2, 3, 4, 5))
    block = Block(arg_types=[kind])
    tops = ArrayAttr([StringAttr("y")])
    op = UnknownOp.build(
        operands=[block.args[0]], result_types=[kind], properties={"tops": tops}
    )
    op.verify()
    assert op.row_window() is None
    assert cut_window(op) is None
    assert not op.is_image_by_image()
    assert not op.has_trait(Strided)
    assert not op.with_row_padding(0, 0)
    assert not op.weight_bytes
    assert layer_cycles(op) == float("inf")
    assert not op.states_meaning()
    with pytest.raises(NotImplementedError, match=r"quant\.unknown does not define its meaning"):
        evaluate(op, [np.zeros((2, 3, 4, 5), np.float32)])


def test_what_is_no_op_of_the_level_has_no_meaning() -> None:
    with pytest.raises(TypeError, match="is no op of the quant level"):
        evaluate(UnrealizedConversionCastOp.create(), [])


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (RowWindow(8, 8), (0, 0, False, False)),
        (RowWindow(8, 8, pad=1, extent=3), (1, 1, True, True)),
        (RowWindow(8, 4, stride=2, extent=2), (0, 0, False, False)),
        (RowWindow(9, 4, stride=2, pad=0, extent=3), (0, 1, False, True)),
    ],
)
def test_the_halo_of_a_window(window: RowWindow, expected: tuple[int, int, bool, bool]) -> None:
    assert (window.top, window.bottom, window.reads_below, window.needs_exchange) == expected


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    text = """func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
      %y = quant.eltwise mean(%x) tops ["y"] : tensor<2xf32> -> tensor<2xf32>
      func.return %y : tensor<2xf32> }"""
    with pytest.raises(ParseError, match=r"sum.*product.*max"):
        Parser(new_context(), text).parse_module()
