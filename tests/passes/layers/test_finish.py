"""What a lowering makes last is known by the layer's name."""

from __future__ import annotations

import pytest
from xdsl.ir import SSAValue

from dialects.quant.base import QuantOp
from dialects.ufw import ops
from dialects.ufw.ops import Top
from passes import convert_ufw_to_quant
from passes.layers.binary import binary
from passes.layers.converter import Converter
from tests.one_layer import one_layer
from tests.quant_runs import run


@pytest.mark.parametrize("step", ["", "product"])
def test_the_last_op_has_the_name(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Also where the lowering called it a step, as that of a plug-in may."""

    def lower(c: Converter, op: ops.ReLUOp) -> None:
        x = c.value(op.bottom)
        c.finish(op, binary(c, "mul", binary(c, "add", x, x, "sum"), x, step))

    def build(x: SSAValue) -> ops.LayerOp:
        return ops.ReLUOp(x, Top("t"))

    monkeypatch.setattr(convert_ufw_to_quant, "lower", lower)
    module = run(one_layer(build, (2, 3)), "convert-ufw-to-quant")
    assert [op.top for op in module.walk() if isinstance(op, QuantOp)] == ["t/sum", "t"]
