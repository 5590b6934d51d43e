"""Conv and Gemm as Convolution and InnerProduct; pooling and reductions as Pooling.

Caffe pads both ends alike. Uneven zeros before a Conv become zeros of its weights; a pooling with
uneven pads is compiled where Caffe's rounding has the same windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from xdsl.utils.exceptions import VerifyException

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.file import MAX_NUMBERS
from bmnetu.frontend.onnx.graph import NO_PADS, Blob, Site, pair
from bmnetu.frontend.onnx.node import Node, Refusal
from dialects.constant import Array
from dialects.ufw import shapes
from dialects.ufw.shapes import Shape, show
from dialects.ufw.windows import average_divisors

MAX_SIDE = 1 << 16
"""More windows along one side are not looked at."""

Pairs = Sequence[tuple[int, int]]
"""Zeros before and after, of height and width."""


def _planar(shape: Shape) -> Shape:
    """Height and width of N x C x H x W."""
    if len(shape) != 4:
        raise Refusal(f"its input is {show(shape)}; N x C x H x W can be compiled")
    return shape[2:]


def _pads(node: Node, sizes: Shape, extents: Sequence[int], strides: Sequence[int]) -> Pairs:
    """The node's zeros, for windows of these extents over an input of these sizes."""
    mode = node.text("auto_pad", "NOTSET")
    if mode in ("NOTSET", "VALID"):
        none = mode == "VALID"
        top, left, bottom, right = (0,) * 4 if none else node.several("pads", 4, 0, lambda x: True)
        if min(top, left, bottom, right) < 0:
            raise Refusal("its pads are negative")
        return [(top, bottom), (left, right)]
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise InputFileError(node.fault(f"auto_pad is {mode!r}"))
    found: list[tuple[int, int]] = []
    for size, extent, stride in zip(sizes, extents, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        small, large = total // 2, total - total // 2
        found.append((small, large) if mode == "SAME_UPPER" else (large, small))
    return found


def convolution(site: Site) -> Blob:
    node, x, weight = site.node, site.padded(0), site.weights(1)
    sizes = _planar(x.shape)
    if weight.ndim != 4:
        raise InputFileError(node.fault(f"its weights are {show(weight.shape)}"))
    kernel = weight.shape[2:]
    if node.integers("kernel_shape") not in (None, kernel):
        raise InputFileError(node.fault(f"its weights are {show(weight.shape)}, not kernel_shape"))
    strides, dilations = node.several("strides", 2, 1), node.several("dilations", 2, 1)
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    top, left, bottom, right = x.pads
    outside = [(top, bottom), (left, right)]
    pads = [
        (before + more, after + even_more)
        for (before, after), (more, even_more) in zip(
            _pads(node, sizes, extents, strides), outside, strict=True
        )
    ]
    weight, pad = _evened(weight, pads, dilations)
    bias = site.coefficients(2)
    settings = {
        "num_output": weight.shape[0],
        "bias_term": bias is not None,
        "group": node.integer("group", 1),
        "kernel_size": pair(weight.shape[2:]),
        "stride": pair(strides),
        "pad": pair(pad),
        "dilation": pair(dilations),
    }
    plain = Blob(x.name, x.value)
    return site.layer("Convolution", plain, weight, bias, convolution_param=settings)


def _evened(weight: Array, pads: Pairs, dilations: Sequence[int]) -> tuple[Array, list[int]]:
    """Weights with zeros so that the same pad at both ends does the same, and that pad."""
    more = [(0, 0), (0, 0)]
    for (before, after), dilation in zip(pads, dilations, strict=True):
        gap = after - before
        if gap % dilation:
            raise Refusal(f"its pads {before} and {after} differ, and dilation is {dilation}")
        more.append((max(gap, 0) // dilation, max(-gap, 0) // dilation))
    size = prod(n + sum(each) for n, each in zip(weight.shape, more, strict=True))
    if size > MAX_NUMBERS:
        raise Refusal(f"its pads {list(pads)} are too uneven")
    return np.pad(weight, more), [max(each) for each in pads]


def gemm(site: Site) -> Blob:
    node, x, weight = site.node, site.blob(0), site.weights(1)
    if node.integer("transA", 0):
        raise Refusal("transA")
    if weight.ndim != 2 or len(x.shape) != 2:
        raise InputFileError(node.fault(f"multiplies {show(x.shape)} with {show(weight.shape)}"))
    weight = weight if node.integer("transB", 0) else weight.T
    alpha, beta = node.number_of("alpha", 1.0), node.number_of("beta", 1.0)
    bias, outputs = site.coefficients(2), weight.shape[0]
    if bias is not None:
        while bias.ndim > 1 and bias.shape[0] == 1:
            bias = bias[0]
        if bias.shape not in ((), (1,), (outputs,)):
            raise Refusal(f"it adds {show(bias.shape)}; one number an output can be compiled")
        bias = site.floats(np.broadcast_to(bias, (outputs,)) * np.float32(beta), "C")
    return _inner_product(site, x, site.floats(weight * np.float32(alpha), "B"), bias, 1)


def matmul(site: Site) -> Blob:
    x, weight = site.blob(0), site.weights(1)
    if weight.ndim != 2 or len(x.shape) < 2:
        raise Refusal(f"it multiplies {show(x.shape)} with {show(weight.shape)}")
    return _inner_product(site, x, weight.T, None, len(x.shape) - 1)


def _inner_product(site: Site, x: Blob, weight: Array, bias: Array | None, axis: int) -> Blob:
    if x.shape[axis:] != weight.shape[1:]:
        raise InputFileError(
            site.node.fault(f"its weights are for {weight.shape[1]} inputs, it has {x.shape[axis]}")
        )
    settings = {"num_output": weight.shape[0], "bias_term": bias is not None, "axis": axis}
    weight = np.ascontiguousarray(weight)
    return site.layer("InnerProduct", x, weight, bias, inner_product_param=settings)


def max_pool(site: Site) -> Blob:
    x = site.blob(0)
    return _Window.of(site.node, x.shape).layer(site, x, "MAX")


def average_pool(site: Site) -> Blob:
    """Caffe divides by the size of a window in the padded input, ONNX by that or by how much of
    it lies in the input: where these differ, a Scale follows.
    """
    node, x = site.node, site.padded(0)
    window, counted = _Window.of(node, x.shape), bool(node.integer("count_include_pad", 0))
    if x.pads != NO_PADS and not any(map(sum, window.pads)):
        top, left, bottom, right = x.pads
        x, counted = Blob(x.name, x.value), True
        window = replace(window, sizes=x.shape[2:], pads=[(top, bottom), (left, right)])
    x = x if x.pads == NO_PADS else site.blob(0)
    rows, columns = window.corrections(counted)
    factors = np.outer(rows, columns).astype(np.float32)
    if (factors == 1).all():
        return window.layer(site, x, "AVE")
    x = window.layer(site, x, "AVE", "pool")
    return site.layer("Scale", x, factors, scale_param={"axis": 2, "num_axes": 2})


@dataclass(frozen=True)
class _Window:
    """A pooling's windows over height and width."""

    sizes: Shape
    kernel: Shape
    strides: Shape
    pads: Pairs
    ceil: bool

    @staticmethod
    def of(node: Node, shape: Shape) -> _Window:
        sizes = _planar(shape)
        kernel, strides = node.several("kernel_shape", 2, 0), node.several("strides", 2, 1)
        if set(node.several("dilations", 2, 1)) != {1}:
            raise Refusal("dilations")
        pads = _pads(node, sizes, kernel, strides)
        return _Window(sizes, kernel, strides, pads, bool(node.integer("ceil_mode", 0)))

    @property
    def counts(self) -> tuple[int, int]:
        """How many windows ONNX has; none begins in the zeros at the end."""
        height, width = (
            self._count(*each)
            for each in zip(self.sizes, self.kernel, self.strides, self.pads, strict=True)
        )
        return height, width

    def _count(self, size: int, kernel: int, stride: int, pads: tuple[int, int]) -> int:
        span = size + sum(pads) - kernel
        if not self.ceil:
            return span // stride + 1
        count = -(-span // stride) + 1
        return count - 1 if (count - 1) * stride >= size + pads[0] else count

    def layer(self, site: Site, x: Blob, kind: str, part: str = "") -> Blob:
        """A Pooling with these pads, rounded so that it has as many windows."""
        (top, bottom), (left, right) = self.pads
        pads = {"pad_h": top, "pad_w": left}
        if (top, left) != (bottom, right):
            pads = {"pad_t": top, "pad_b": bottom, "pad_l": left, "pad_r": right}
        for ceil in (False, True):
            try:
                four = (top, bottom, left, right)
                found = shapes.pooling(x.shape, self.kernel, self.strides, four, ceil)
            except VerifyException:
                continue
            if found[2:] == self.counts:
                settings = {
                    "pool": kind,
                    "kernel_h": self.kernel[0], "kernel_w": self.kernel[1],
                    "stride_h": self.strides[0], "stride_w": self.strides[1],
                    **pads,
                    "round_mode": "CEIL" if ceil else "FLOOR",
                }  # fmt: skip
                return site.layer("Pooling", x, part=part, pooling_param=settings)
        raise Refusal(
            f"windows of {show(self.kernel)} with strides {show(self.strides)} and pads "
            f"{list(self.pads)} over {show(x.shape)}: Caffe has no rounding with "
            f"{show(self.counts)} of them"
        )

    def corrections(self, counted: bool) -> list[Array]:
        """Caffe's divisors by ONNX's, for the rows and the columns of an average."""
        found: list[Array] = []
        windows = zip(self.sizes, self.counts, self.kernel, self.strides, self.pads, strict=True)
        for size, count, kernel, stride, (before, after) in windows:
            if max(count, kernel) > MAX_SIDE:
                raise Refusal(f"{count} windows of {kernel}")
            starts = np.arange(count) * stride - before
            ends = np.minimum(starts + kernel, size + (after if counted else 0))
            inside = ends - (starts if counted else np.maximum(starts, 0))
            if inside.min(initial=1) < 1:
                raise Refusal("a window lies outside the input")
            found.append(average_divisors(size, count, kernel, stride, (before, after)) / inside)
        return found


def global_average_pool(site: Site) -> Blob:
    return _whole(site, "AVE")


def global_max_pool(site: Site) -> Blob:
    return _whole(site, "MAX")


def _whole(site: Site, kind: str, part: str = "") -> Blob:
    x = site.blob(0)
    _planar(x.shape)
    return site.layer(
        "Pooling", x, part=part, pooling_param={"pool": kind, "global_pooling": True}
    )


def reduce_mean(site: Site) -> Blob:
    return _reduce(site, "AVE")


def reduce_max(site: Site) -> Blob:
    return _reduce(site, "MAX")


def _reduce(site: Site, kind: str) -> Blob:
    """Over height, width or both."""
    node, x = site.node, site.blob(0)
    height, width = _planar(x.shape)
    given = site.integers("axes", 1)
    axes = {site.axis(axis, 4) for axis in given or range(4)}
    if not given and node.integer("noop_with_empty_axes", 0):
        return x
    if not axes <= {2, 3}:
        raise Refusal(f"it goes over axes {sorted(axes)}; 2 and 3 can be compiled")
    part = "" if node.integer("keepdims", 1) else "pool"
    if axes == {2, 3}:
        found = _whole(site, kind, part)
    else:
        kernel = {
            "kernel_h": height if 2 in axes else 1, "kernel_w": width if 3 in axes else 1,
            "stride_h": 1, "stride_w": 1,
        }  # fmt: skip
        found = site.layer("Pooling", x, part=part, pooling_param={"pool": kind, **kernel})
    kept = [size for axis, size in enumerate(found.shape) if axis not in axes]
    return site.reshaped(found, kept) if part else found
