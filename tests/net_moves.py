"""Random layers that cut, pad, repeat, resize, rearrange and unpool, for the net maker."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

from dialects.quant import types
from dialects.ufw import ops as ufw

if TYPE_CHECKING:
    from tests.net_maker import NetMaker

MOST = 1 << 15
"""Elements of a result."""
Make = Callable[["NetMaker"], None]


def deconvolution(net: NetMaker) -> None:
    x, rng = net.pick(four=True), net.rng
    if x is None:
        return
    n, c, h, w = types.shape_of(x)
    group = rng.choice([1, 1, c, *[g for g in (2, 3, 5) if c % g == 0]])
    out = group if group == c else rng.choice([1, 2, 16, 65]) * group
    kernel, stride = ([rng.choice(sizes) for _ in "hw"] for sizes in ((1, 2, 3, 4), (1, 2, 2, 3)))
    dilation = [rng.choice([1, 1, 1, 2]) for _ in "hw"]
    spans = zip((h, w), stride, kernel, dilation, strict=True)
    whole = [s * (size - 1) + d * (k - 1) + 1 for size, s, k, d in spans]
    pad = [rng.choice([p for p in (0, 0, 1, 2) if 2 * p < size]) for size in whole for _ in "be"]
    if n * out * prod(whole) > MOST or c // group * prod(kernel) > 2000:
        return
    fan_in = max(1, c // group * prod(kernel) // prod(stride))
    settings = net.coefficients((out, c // group, *kernel), out, fan_in)
    weight, unsigned = settings.pop("weight"), rng.random() < 0.5
    net.add(
        ufw.DeconvolutionOp(
            x, net.top(unsigned), weight,
            stride=stride, pad=pad, dilation=dilation, group=group, **settings,
        )
    )  # fmt: skip


def strided_slice(net: NetMaker) -> None:
    x, rng = net.pick(), net.rng
    if x is None:
        return
    begin: list[int] = []
    extent: list[int] = []
    step: list[int] = []
    for size in types.shape_of(x):
        first = rng.choice([0, 0, rng.randrange(size)])
        by = rng.choice([1, 1, 2, -1]) if size < 64 else 1
        room = first // -by + 1 if by < 0 else (size - 1 - first) // by + 1
        begin.append(first)
        step.append(by)
        extent.append(rng.choice([room, room, rng.randint(1, room)]))
    net.add(ufw.StridedSliceOp([x], net.top(like=x), begin, extent, step))


def pad(net: NetMaker) -> None:
    x, rng = net.pick(), net.rng
    if x is None:
        return
    shape, mode = types.shape_of(x), rng.choice(list(ufw.PadMode))
    sides = [[min(rng.choice([0, 0, 1, 3]), size - 1) for size in shape] for _ in "be"]
    sides = sides if shape[0] <= 2 else [[0, *side[1:]] for side in sides]
    if prod(size + a + b for size, a, b in zip(shape, *sides, strict=True)) > 2 * MOST:
        return
    value = rng.choice([0.0, 0.0, 0.3]) if mode is ufw.PadMode.CONSTANT else 0.0
    top = net.top() if value else net.top(like=x)
    net.add(ufw.PadOp(x, top, sides[0], sides[1], mode, value))


def tile(net: NetMaker) -> None:
    x = net.pick()
    shape = types.shape_of(x) if x is not None else ()
    axes = list(range(bool(shape) and shape[0] > 2, len(shape)))
    if x is not None and axes and prod(shape) <= MOST // 3:
        axis = net.rng.choice(axes)
        net.add(ufw.TileOp(x, net.top(like=x), axis, net.rng.choice([1, 2, 3])))


def resize(net: NetMaker) -> None:
    x, rng = net.pick(four=True), net.rng
    if x is None:
        return
    n, c, h, w = types.shape_of(x)
    size = [max(1, rng.choice([s, 2 * s, 2 * s - 1, s // 2, 7])) for s in (h, w)]
    if n * c * prod(size) <= MOST and max(size) < 200:
        mode, positions = rng.choice(list(ufw.ResizeMode)), rng.choice(list(ufw.Positions))
        net.add(ufw.ResizeOp(x, net.top(like=x), size, mode, positions))


def rearrange(net: NetMaker) -> None:
    x, rng = net.pick(four=True), net.rng
    if x is None:
        return
    n, c, h, w = types.shape_of(x)
    if c % 2 == 0 and rng.random() < 0.5:
        shape, order = (n, 2, c // 2, h, w), (0, 2, 1, 3, 4)
        net.add(ufw.RearrangeOp(x, net.top(like=x), shape, order, (n, c, h, w)))
    elif c % 4 == 0:
        split, result = (n, 2, 2, c // 4, h, w), (n, c // 4, 2 * h, 2 * w)
        net.add(ufw.RearrangeOp(x, net.top(like=x), split, (0, 3, 4, 1, 5, 2), result))
    elif h % 2 == 0 and w % 2 == 0:
        split, result = (n, c, h // 2, 2, w // 2, 2), (n, 4 * c, h // 2, w // 2)
        net.add(ufw.RearrangeOp(x, net.top(like=x), split, (0, 3, 5, 1, 2, 4), result))


def im2col(net: NetMaker) -> None:
    x, rng = net.pick(four=True), net.rng
    if x is None:
        return
    kernel = [rng.choice([1, 2]) for _ in "hw"]
    stride, side = [rng.choice([1, 2]) for _ in "hw"], rng.choice([0, 1])
    n, c, h, w = types.shape_of(x)
    if min(h, w) >= 2 and n * c * h * w <= MOST // 8:
        net.add(ufw.Im2colOp(x, net.top(like=x), kernel, stride=stride, pad=(side, 0)))


def unpool(net: NetMaker) -> None:
    """Pools with a mask, and puts the maxima, or others in their place, where they were."""
    x, rng = net.pick(four=True), net.rng
    if x is None:
        return
    h, w = types.shape_of(x)[2:]
    kernel = [min(rng.choice([1, 2, 3]), size) for size in (h, w)]
    stride = [min(k, rng.choice([1, 2, 2])) for k in kernel]
    pads = [rng.choice([0, 0, 1]) if k > 1 else 0 for k in kernel]
    ceil = rng.random() < 0.7
    tops = [net.top(floating=True), net.top(floating=True)]
    op = ufw.MaxPoolMaskOp(x, tops, kernel, stride=stride, pad=pads, ceil_mode=ceil)
    net.add(op)
    if rng.random() < 0.7:
        top = net.top(floating=True)
        net.add(ufw.UnpoolOp(op.top, op.mask, top, (h, w), kernel=kernel, stride=stride, pad=pads))


MOVES: list[Make] = [
    deconvolution, strided_slice, pad, tile, resize, rearrange, im2col, unpool
]  # fmt: skip
