"""The int8 net as a ufw module, as if its umodel had been loaded."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp, f32
from xdsl.ir import SSAValue
from xdsl.rewriter import Rewriter

from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.calibration.int8.quantized_net import QuantizedNet
from bmnetu.calibration.run.judged import judged
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.thresholds.thresholds import Numbers
from dialects.quant import types
from dialects.quant.scale import ScaleAttr
from dialects.ufw.layer import SI8, UI8, LayerOp, Top, shape_of
from passes.module.functions import main_function


def judged_net(net: FloatNet, quantized: QuantizedNet) -> Int8Net:
    """The integer arithmetic of what the net is judged by, see :meth:`FloatNet.judged`."""
    return Int8Net(judged(int8_module(net, quantized)))


def int8_module(net: FloatNet, quantized: QuantizedNet) -> ModuleOp:
    """A copy of the float module with integer coefficients and the scales of all blobs."""
    module = net.module.clone()
    function = main_function(module)
    for old, new in zip(net.function.body.block.args, function.body.block.args, strict=True):
        _retype(new, quantized.numbers[old])
    copies = (op for op in function.body.block.ops if isinstance(op, LayerOp))
    for old, new in zip(net.layers, copies, strict=True):
        for before, after in zip(old.results, new.results, strict=True):
            _retype(after, quantized.numbers[before])
        if old in quantized.coefficients:
            found = quantized.coefficients[old]
            new.set_integers(found.weight, found.bias, found.shift)
    return module


def _retype(value: SSAValue, numbers: Numbers) -> None:
    if types.is_index(value):
        return
    element = f32 if numbers.is_float else UI8 if numbers.unsigned else SI8
    scale = ScaleAttr.of(numbers.scale, numbers.is_float and numbers.unsigned)
    kind = Top("", element, scale).type(shape_of(value))
    Rewriter.replace_value_with_new_type(value, kind)
