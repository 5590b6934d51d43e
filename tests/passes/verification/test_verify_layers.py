"""verify-layers on networks whose tensors go by several names."""

from __future__ import annotations

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

from bmnetu.pipeline import OPT_LEVELS, new_context
from tests.compiled import compiled

NAMES = """
func.func @main(%x: !t) -> (!t, !t, !t, !t)
    attributes {input_names = ["x"], output_names = ["x", "a", "b", "c"]} {
  %s = ufw.softmax ["s"] %x axis 2 : (!t) -> !t
  %a = ufw.dropout ["a"] %s : (!t) -> !t
  %d = ufw.dropout ["d"] %s : (!t) -> !t
  %b = ufw.dropout ["b"] %d : (!t) -> !t
  %c = ufw.tanh ["c"] %b : (!t) -> !t
  func.return %x, %a, %b, %c : !t, !t, !t, !t
}"""
KINDS = {
    "FP32": "tensor<3x2x500xf32>",
    "INT8": "tensor<3x2x500xsi8, #quant.scale<0.01>>",
}


def module_of(precision: str) -> ModuleOp:
    return Parser(new_context(), f"!t = {KINDS[precision]}{NAMES}").parse_module()


@pytest.mark.parametrize("opt", OPT_LEVELS)
@pytest.mark.parametrize("precision", KINDS)
def test_one_tensor_under_several_names(precision: str, opt: int) -> None:
    findings = compiled(module_of(precision), opt, precision)
    assert findings.ok, findings.verdict()
    outputs = findings.outputs
    assert (outputs["a"] == outputs["b"]).all()
    assert (outputs["x"] == findings.inputs["x"]).all()
