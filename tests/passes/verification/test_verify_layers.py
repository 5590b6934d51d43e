"""verify-layers on networks whose tensors go by several names."""

from __future__ import annotations

import re

import pytest
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i64
from xdsl.parser import Parser
from xdsl.utils.exceptions import PassFailedException

from bmnetu.pipeline import new_context
from bmnetu.ways.static import OPT_LEVELS
from dialects.bm1684.chip import BM1684
from dialects.bm1684.tile_memory import InputOp
from passes.module.functions import main_function
from passes.verify_layers import VerifyLayersPass
from tests.compiled import compiled

NAMES = """
func.func @main(%x: !t) -> (!t, !t, !t, !t)
    attributes {input_names = ["x"], output_names = ["x", "a", "b", "c"]} {
  %s = ufw.softmax ["s"] %x axis 2 : (!t) -> !t
  %a = ufw.dropout ["a"] %s : (!t) -> !t
  %d = ufw.dropout ["d"] %s : (!t) -> !t
  %b = ufw.dropout ["b"] %d : (!t) -> !t
  %c = ufw.pointwise "tanh" ["c"] %b : (!t) -> !t
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


CLAIMS = {
    "coeff_size": (1 << 40, "coeff_size is 1099511627776, the constants end at "),
    "context_size": (1 << 40, "context_size is 1099511627776, no board has so much memory"),
    "bytes": (1 << 30, 'tile.input "x": 1073741824 bytes are not those of its shape'),
    "address": (BM1684.context_start + (1 << 33), '"x" lies outside the network\'s memory'),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_sizes_that_a_text_only_claims_take_no_memory(name: str) -> None:
    module, (value, sentence) = module_of("FP32"), CLAIMS[name]
    compiled(module, 1, "FP32")
    function = main_function(module)
    claim = IntegerAttr(value, i64)
    if name in function.attributes:
        function.attributes[name] = claim
    else:
        (tensor,) = (op for op in function.body.block.ops if isinstance(op, InputOp))
        tensor.properties[name] = claim
    with pytest.raises(PassFailedException, match="^" + re.escape(sentence)):
        VerifyLayersPass().apply(new_context(), module)
