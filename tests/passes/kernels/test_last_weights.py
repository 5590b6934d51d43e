"""The weights that come last come in ever smaller parts."""

from __future__ import annotations

from random import Random

import pytest
from xdsl.dialects.builtin import ModuleOp

from dialects.bm1684.isa import CONV
from dialects.bm1684.npu import CommandOp
from dialects.quant import types
from dialects.ufw import ops as ufw
from passes.module.functions import main_function
from tests.compiled import compiled
from tests.net_maker import NetMaker
from tests.random_nets import finished


def network(integer: bool, size: int, *outputs: int) -> ModuleOp:
    """Convolutions of 1x1 on an image, one behind the other."""
    net = NetMaker(Random(1), integer)
    shape = (1, 512, size, size)
    kind = types.int_tensor(shape, 0.02, False) if integer else types.float_tensor(shape)
    net.values.append(net.block.insert_arg(kind, 0))
    channels = shape[1]
    for count in outputs:
        settings = net.coefficients((count, channels, 1, 1), count, channels)
        weight = settings.pop("weight")
        net.add(ufw.ConvolutionOp(
            net.values[-1], net.top(False), weight, stride=[1, 1], pad=[0, 0], dilation=[1, 1],
            group=1, **settings,
        ))  # fmt: skip
        channels = count
    return finished(net)


def parts(module: ModuleOp) -> list[int]:
    """Channels of each convolution's result."""
    ops = [op for op in main_function(module).body.block.ops if isinstance(op, CommandOp)]
    return [op.instruction["res0_c"] for op in ops if op.instruction.kind is CONV]


@pytest.mark.parametrize("integer", [False, True])
def test_one_pixel(integer: bool) -> None:
    """It waits for its weights; those of the layer before come in one part."""
    module = network(integer, 1, 512, 1000)
    findings = compiled(module, 2, "INT8" if integer else "FP32")
    assert findings.ok, findings.verdict()
    assert sum(parts(module)) == 1512
    assert parts(module)[-5:] == [512, 256, 128, 64, 40]
    assert 64 not in parts(module)[:-5]


def test_many_pixels_wait_for_no_weights() -> None:
    module = network(True, 28, 512, 512)
    assert compiled(module, 2, "INT8").ok
    assert set(parts(module)) == {512}
