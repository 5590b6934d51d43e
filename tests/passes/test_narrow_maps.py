"""Layers on maps of a few columns: 8-bit images of a batch of one load as fast as others."""

from __future__ import annotations

from random import Random

import pytest

from bmnetu.report.profile import profile
from dialects.quant import types
from dialects.ufw import ops as ufw
from tests.compiled import compiled
from tests.net_maker import NetMaker
from tests.random_nets import finished


def cycles(shape: tuple[int, int, int, int], opt: int) -> int:
    """Of a 3x1 convolution."""
    net = NetMaker(Random(1), True)
    x = net.block.insert_arg(types.int_tensor(shape, 0.02, False), 0)
    channels = shape[1]
    settings = net.coefficients((8, channels, 3, 1), 8, channels * 3)
    weight = settings.pop("weight")
    net.add(ufw.ConvolutionOp(x, net.top(False), weight, pad=(1, 1, 0, 0), **settings))
    module = finished(net)
    assert compiled(module, opt, "INT8").ok
    return profile(module).total.cycles


@pytest.mark.parametrize("shape", [(1, 65, 512, 1), (1, 65, 512, 2)])
def test_opt_2_is_no_slower(shape: tuple[int, int, int, int]) -> None:
    assert cycles(shape, 2) < cycles(shape, 1)
