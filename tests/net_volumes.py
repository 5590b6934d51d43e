"""Random layers over time, height and width, for the net maker."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

from dialects.quant import types
from dialects.ufw import ops as ufw

if TYPE_CHECKING:
    from tests.net_maker import NetMaker

MOST = 1 << 14
Make = Callable[["NetMaker"], None]


def _volume(net: NetMaker) -> tuple[int, ...] | None:
    """Reshapes an image so that some of its channels are frames."""
    x = net.pick(four=True)
    if x is None or prod(types.shape_of(x)) > MOST:
        return None
    n, c, h, w = types.shape_of(x)
    frames = net.rng.choice([f for f in (1, 2, 3, 4, 5) if c % f == 0])
    shape = (n, c // frames, frames, h, w)
    net.add(ufw.ReshapeOp(x, net.top(like=x), shape))
    return shape


def convolution_3d(net: NetMaker) -> None:
    shape, rng = _volume(net), net.rng
    if shape is None:
        return
    x, channels = net.values[-1], shape[1]
    if net.integer and not net.readable(x):
        return
    kernel = [rng.choice([k for k in (1, 2, 3) if k <= size]) for size in shape[2:]]
    stride = [rng.choice([1, 1, 2]) for _ in kernel]
    pad = [rng.choice([0, 0, k - 1]) for k in kernel]
    group = rng.choice([1, 1, *[g for g in (2, 3) if channels % g == 0]])
    out = rng.choice([1, 3, 20]) * group
    fan_in = channels // group * prod(kernel)
    settings = net.coefficients((out, channels // group, *kernel), out, fan_in)
    weight, unsigned = settings.pop("weight"), rng.random() < 0.5
    net.add(
        ufw.ConvolutionNdOp(
            x,
            net.top(unsigned),
            weight,
            stride=stride,
            pad=pad,
            dilation=(1, 1, 1),
            group=group,
            **settings,
        )
    )


def pooling_3d(net: NetMaker) -> None:
    shape, rng = _volume(net), net.rng
    if shape is None:
        return
    x = net.values[-1]
    kernel = [rng.choice([k for k in (1, 2, 3) if k <= size]) for size in shape[2:]]
    stride = [rng.randint(1, k) for k in kernel]
    pad = [rng.choice([0, k // 2]) for k in kernel]
    kind = rng.choice(list(ufw.PoolingKind))
    net.add(ufw.PoolingNdOp(x, net.top(like=x), kind, kernel, stride=stride, pad=pad))


def spp(net: NetMaker) -> None:
    x, rng = net.pick(four=True), net.rng
    if x is None or prod(types.shape_of(x)) > MOST:
        return
    levels = rng.choice([1, 2]) if min(types.shape_of(x)[2:]) > 1 else 1
    net.add(ufw.SPPOp(x, net.top(like=x), rng.choice(list(ufw.PoolingKind)), levels))


VOLUMES: tuple[Make, ...] = (convolution_3d, pooling_3d, spp)
