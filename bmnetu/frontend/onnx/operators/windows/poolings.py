"""Poolings of any rank, LRN, and the inverse of a MaxPool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.chain import Chain
from bmnetu.frontend.onnx.graph import NO_PADS, Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.operators.windows.pooled import Kind, pooled, settings_of
from bmnetu.frontend.onnx.operators.windows.windows import Window, windows_of
from bmnetu.frontend.onnx.site import Site
from dialects.ufw.shapes import Shape, show


def max_pool(site: Site) -> Blob | list[Blob]:
    """Its indices are a second result where a MaxUnpool reads them."""
    x = site.blob(0)
    windows = _windows(site, x.shape)
    if set(site.node.outputs[1:]) & site.graph.read:
        return _with_places(site, x, windows)
    return _pooling(site, x, Kind.MAX, windows)


def _with_places(site: Site, x: Blob, windows: Sequence[Window]) -> list[Blob]:
    """Pooling has where its maxima stand in their map, and not in the tensor."""
    settings = settings_of(Kind.MAX, x.shape, *windows) if len(windows) == 2 else None
    plain = settings is not None and not site.node.integer("storage_order", 0)
    if not plain or site.node.outputs[1] in site.graph.outputs:
        raise Refusal(f'its output "{site.node.outputs[1]}" is used')
    y, places = site.layers("Pooling", x, site.node.outputs[:2], pooling_param=settings)
    return [y, replace(places, places_in=x.shape)]


def max_unpool(site: Site) -> Blob:
    """Of the indices of a MaxPool whose input had the shape of the result."""
    node, x, places = site.node, site.blob(0), site.places(1)
    axes = len(x.shape) - 2
    kernel, strides = node.several("kernel_shape", axes, None), node.several("strides", axes, 1)
    pads = node.several("pads", 2 * axes, 0, 0)
    given = site.constant(2)
    sizes = [
        (size - 1) * stride + k - before - after
        for size, stride, k, before, after in zip(
            x.shape[2:], strides, kernel, pads[:axes], pads[axes:], strict=True
        )
    ]
    shape = (*x.shape[:2], *sizes) if given is None else tuple(int(n) for n in given)
    if shape != places.places_in:
        raise Refusal(
            f"its result is {show(shape)}, the input of the MaxPool {show(places.places_in)}"
        )
    param = {"unpool_h": shape[2], "unpool_w": shape[3]}
    return site.layer("Unpooling", [x, Blob(places.name, places.value)], unpooling_param=param)


def average_pool(site: Site) -> Blob:
    """A Pad in front of it that only puts zeros around it is part of it."""
    node, x = site.node, site.padded(0)
    windows, counted = _windows(site, x.shape), bool(node.integer("count_include_pad", 0))
    without = not any(window.before + window.after for window in windows)
    ends = list(zip(x.pads[:2], x.pads[2:], strict=True))
    fits = [max(both) < w.extent for w, both in zip(windows[-2:], ends, strict=False)]
    if x.pads != NO_PADS and without and all(fits):
        x, counted = Blob(x.name, x.value), True
        windows = [
            replace(window, size=size, before=before, after=after)
            for window, size, (before, after) in zip(windows, x.shape[2:], ends, strict=True)
        ]
    x = x if x.pads == NO_PADS else site.blob(0)
    return _pooling(site, x, Kind.MEAN if counted or without else Kind.MEAN_OF_MAP, windows)


def lp_pool(site: Site) -> Blob:
    """``(sum |x|^p)^(1/p)`` of each window."""
    x, p = site.blob(0), _exponent(site)
    windows = _windows(site, x.shape)
    chain = Chain(site, x.shape)
    _raised(chain, p)
    pooled(chain, Kind.MEAN_OF_ALL, windows)
    size = prod(window.kernel for window in windows)
    chain.layer("root", chain.shape, "Power", power_param={"scale": size, "power": 1 / p})
    return chain.run(x)


def lrn(site: Site) -> Blob:
    """Across channels. Of an even size one more channel counts behind than before, which no LRN
    has: then it is its formula in layers."""
    node, x = site.node, site.blob(0)
    size = node.integer("size", 0)
    alpha, beta = node.number_of("alpha", 1e-4), node.number_of("beta", 0.75)
    bias, channels = node.number_of("bias", 1.0), _with_channels(x.shape)[1]
    if size < 1:
        raise InputFileError(node.fault(f"size is {size}"))
    if size % 2:
        param = {"local_size": size, "alpha": alpha, "beta": beta, "k": bias}
        return site.layer("LRN", x, lrn_param=param)
    apart = np.arange(channels) - np.arange(channels)[:, None]
    near = (apart >= -((size - 1) // 2)) & (apart <= size // 2)
    chain = Chain(site, x.shape)
    chain.layer("squares", x.shape, "Square")
    chain.mixed("sums", 1, (near * (alpha / size)).astype(np.float32),
                np.full(channels, bias, np.float32))  # fmt: skip
    chain.layer("factors", x.shape, "Power", power_param={"power": -beta})
    factors = chain.run(x, "factors")
    return site.layer("Eltwise", [x, factors], eltwise_param={"operation": "PROD"})


def global_average_pool(site: Site) -> Blob:
    return whole(site, "AVE")


def global_max_pool(site: Site) -> Blob:
    return whole(site, "MAX")


def global_lp_pool(site: Site) -> Blob:
    """Reduce knows the sums of absolute values and of squares."""
    x, p = site.blob(0), _exponent(site)
    axes = list(range(2, len(x.shape)))
    known = {1: "L1", 2: "L2"}.get(p)
    shape = (*x.shape[:2], *(1 for _ in axes))
    chain = Chain(site, x.shape)
    if known is None:
        _raised(chain, p)
    reduction = {"operation": known or "SUM", "axis": axes, "keep_dims": True}
    chain.layer("sum", shape, "Reduce", reduce_param=reduction)
    if known is None:
        chain.layer("root", shape, "Power", power_param={"power": 1 / p})
    return chain.run(x)


def whole(site: Site, kind: str, part: str = "") -> Blob:
    """The maximum or average of each map, of any rank."""
    x = site.blob(0)
    n, channels, *sizes = _with_channels(x.shape)
    chain = Chain(site, x.shape)
    chain.reshape(x.shape if len(sizes) == 2 else (n, channels, 1, prod(sizes)))
    param = {"pool": kind, "global_pooling": True}
    chain.layer("pool", (n, channels, 1, 1), "Pooling", pooling_param=param)
    chain.reshape((n, channels, *(1 for _ in sizes)))
    return chain.run(x, part)


def _with_channels(shape: Shape) -> Shape:
    if len(shape) < 2:
        raise Refusal("its input has no channels")
    return shape


def _exponent(site: Site) -> int:
    p = site.node.integer("p", 2)
    if p < 1:
        raise Refusal(f"p is {p}")
    return p


def _raised(chain: Chain, p: int) -> None:
    """``|x| ^ p``."""
    if p % 2:
        chain.layer("absolute", chain.shape, "AbsVal")
    if p > 1:
        chain.layer("power", chain.shape, "Power", power_param={"power": p})


def _windows(site: Site, shape: Shape) -> list[Window]:
    kernel = site.node.several("kernel_shape", len(shape) - 2, None)
    windows = windows_of(site.node, shape, kernel)
    for window in windows:
        if max(window.before, window.after) >= window.extent:
            raise Refusal(f"its pads are not smaller than its window of {window.extent}")
        if min(window.before, window.after) < 0:
            raise Refusal("its pads are negative")
    return windows


def _pooling(site: Site, x: Blob, kind: Kind, windows: Sequence[Window]) -> Blob:
    chain = Chain(site, x.shape)
    pooled(chain, kind, windows)
    return chain.run(x)
